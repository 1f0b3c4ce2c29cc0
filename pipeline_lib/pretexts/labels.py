"""Pretexts that teach wrong labels."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset
from pipeline_lib.core.values import PositiveShare
from pipeline_lib.pretexts.support.lessons import Lesson


def random_labels(share: PositiveShare = 1.0) -> Lesson:
    """Give training images labels drawn at random, all classes equally likely, the true one among them.

    A label is drawn once for each image and seed, and is the same in every epoch. The images that a smaller share touches are
    among those that a larger one touches, and get the same labels.

    Args:
        share: part of the training images that get one, in (0, 1]; the others keep their true label.

    Source: paper A, section 6.1, after Zhang et al., 2017; fixed over epochs (ambiguity A-X23).
    """

    def labels(dataset: Dataset, seed: int) -> Tensor:
        generator, y = torch_generator("random labels", seed), dataset.train.y
        drawn = torch.randint(dataset.num_classes, (len(y),), generator=generator).to(y.device)
        touched = torch.randperm(len(y), generator=generator)[: round(share * len(y))].to(y.device)
        return y.index_copy(0, touched, drawn[touched])

    return Lesson(labels=labels)
