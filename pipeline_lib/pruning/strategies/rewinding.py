"""Back to an earlier step, of weights or of the schedule."""

from __future__ import annotations

from pipeline_lib.pruning.retraining import Strategy


def weight_rewinding() -> Strategy:
    """Return weights and schedule to step k. Source: paper C, algorithm 1 (IMP-WR)."""
    return Strategy(resumes=False, restarts=False, recipe=dict)


def lr_rewinding() -> Strategy:
    """Keep the weights and repeat the whole schedule. Source: paper C, section 2 (IMP-LRR); Renda, Frankle and Carbin, 2020."""
    return Strategy(resumes=True, restarts=True, recipe=dict)
