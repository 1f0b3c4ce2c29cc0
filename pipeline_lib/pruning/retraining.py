"""What a retraining strategy says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
