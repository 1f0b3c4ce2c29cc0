"""Retraining strategies: how a ladder trains a network that it has just pruned.

Every public function here is a name that a start may take, such as `k2000 | lr_rewinding`; its arguments are its options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_lib.core.values import PositiveShare

Task = dict[str, Any]


@dataclass(frozen=True)
class Strategy:
    """How pruned networks are retrained.

    Args:
        resumes: whether they keep the trained weights that pruning left; else they are rewound to W_k.
        restarts: whether the schedule begins at step 0; else at k.
        recipe: gives the task to retrain by, from the ladder's own.
    """

    resumes: bool
    restarts: bool
    recipe: Callable[[Mapping[str, Any]], Task]


def weight_rewinding() -> Strategy:
    """Return weights and schedule to step k. Source: paper C, algorithm 1 (IMP-WR)."""
    return Strategy(resumes=False, restarts=False, recipe=dict)


def lr_rewinding() -> Strategy:
    """Keep the weights and repeat the whole schedule. Source: paper C, section 2 (IMP-LRR); Renda, Frankle and Carbin, 2020."""
    return Strategy(resumes=True, restarts=True, recipe=dict)


def fine_tuning(factor: PositiveShare = 0.01) -> Strategy:
    """Keep the weights and train as long at a constant low rate, without weight decay.

    Args:
        factor: the rate, as a share of the peak, in (0, 1].

    Source: paper C, section 2 and appendix B (IMP-FT); the rate on CIFAR-10 is ambiguity C-X8.
    """

    def recipe(task: Mapping[str, Any]) -> Task:
        optimiser = task["optimiser"]
        decay = {"weight_decay": 0.0} if "weight_decay" in optimiser else {}
        low = {**optimiser, "lr": factor * optimiser["lr"], **decay}
        return {**task, "optimiser": low, "schedule": {"name": "constant", "warmup": 0}}

    return Strategy(resumes=True, restarts=True, recipe=recipe)
