"""What a pretext teaches: the shape that every function of `pretexts/` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pipeline_lib.core.types import Dataset

Labels = Callable[[Dataset, int], Tensor]
Change = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Lesson:
    """How a pretext changes what a network is taught.

    Args:
        num_classes: outputs that the network needs; None: as many as the data set has classes.
        labels: (data set, seed) -> int64 label of every training image (N,), the same at every visit; None: the true ones.
        choices: every image of every batch gets a number in [0, choices), drawn anew at each visit; 1: always 0.
        change: (inputs (n, C, H, W) normalised and augmented, labels (n,), numbers (n,)) -> inputs and labels. It is recorded
            and replayed on a GPU: shapes may not depend on values, and it may not ask the device for one. None: no change.
    """

    num_classes: int | None = None
    labels: Labels | None = None
    choices: int = 1
    change: Change | None = None

    @property
    def sets_labels(self) -> bool:
        """Whether labels mean something else than the data set's own. A `change` that returns other labels sets `num_classes`."""
        return self.labels is not None or self.num_classes is not None
