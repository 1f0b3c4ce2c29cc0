"""On from where pruning left the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_lib.core.values import PositiveShare
from pipeline_lib.pruning.retraining import Strategy, Task


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
