"""Training on pretexts: the mini-batches that they make, and a head of another width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, State, Stream, Tensors
from pipeline_lib.pretexts.support.lessons import Lesson
from pipeline_lib.training import batches
from pipeline_lib.training.batches import Order, steps_per_epoch
from pipeline_lib.training.epoch_draws import EpochDraws


def _teacher(lessons: Sequence[Lesson]) -> Lesson | None:
    """Find the one lesson that sets the labels."""
    setters = [lesson for lesson in lessons if lesson.sets_labels]
    if len(setters) > 1:
        raise ValueError(f"pretexts must have at most one that sets the labels, got {len(setters)}; combine it with blurs alone")
    return setters[0] if setters else None


def head_width(lessons: Sequence[Lesson]) -> int | None:
    """Tell how many outputs a network needs for these lessons; None: as many as the data set has classes.

    Raises:
        ValueError: more than one lesson sets the labels.
    """
    teacher = _teacher(lessons)
    return teacher.num_classes if teacher else None


def _relabelled(dataset: Dataset, lessons: Sequence[Lesson], seed: int) -> Dataset:
    teacher = _teacher(lessons)
    if teacher is None or teacher.labels is None:
        return dataset
    return replace(dataset, train=replace(dataset.train, y=teacher.labels(dataset, seed)))


def _draw_epoch(lessons: Sequence[Lesson], order: Order, shape: tuple[int, int], epoch: int) -> Tensor:
    """Draw a number for each example of each batch, a row a lesson."""
    generator = torch_generator("pretext", *order, "epoch", epoch)
    # A lesson without a choice takes nothing from the generator, so that a blur leaves the rotations as they are.
    rows = [
        torch.randint(lesson.choices, shape, generator=generator) if lesson.choices > 1 else torch.zeros(shape, dtype=torch.int64)
        for lesson in lessons
    ]
    return torch.stack(rows, dim=1)


class _Taught:
    """Batches of another stream, changed by lessons one after the other."""

    def __init__(
        self, plain: Stream, lessons: Sequence[Lesson], order: Order, y: Tensor, batch_size: int, layout: torch.memory_format
    ) -> None:
        self._plain, self._lessons, self._layout = plain, lessons, layout
        self._per_epoch = steps_per_epoch(len(y), batch_size)
        self._draws = EpochDraws(partial(_draw_epoch, lessons, order, (self._per_epoch, batch_size)), y.device)
        self._numbers = torch.zeros((len(lessons), batch_size), dtype=torch.int64, device=y.device)

    def load(self, step: int) -> None:
        self._plain.load(step)
        epoch, position = divmod(step, self._per_epoch)
        self._numbers.copy_(self._draws.at(epoch)[position])

    def draw(self) -> tuple[Tensor, Tensor]:
        x, y = self._plain.draw()
        for lesson, numbers in zip(self._lessons, self._numbers, strict=True):
            if lesson.change:
                x, y = lesson.change(x, y, numbers)
        return x.contiguous(memory_format=self._layout), y


def stream(
    dataset: Dataset,
    order: Order,
    batch_size: int,
    pad: int = 0,
    flip: bool = False,
    channels_last: bool = False,
    lessons: Sequence[Lesson] = (),
) -> Stream:
    """Make the stream of a run's mini-batches under pretexts: the batches of `batches.stream`, changed by the lessons in turn.

    Images, crops and mirrorings are those of the plain stream. Without lessons it is the plain stream.

    Args:
        dataset: its training split is drawn from, on the device where its labels are; it is not changed.
        order: (seed, order) of the replicate; batch t depends on it and t alone, labels that stay the same on the seed.
        batch_size: examples a batch.
        pad: pixels of zero padding for random crops.
        flip: whether to mirror every image with probability 1/2.
        channels_last: memory layout of the inputs, whatever lessons do to them.
        lessons: what changes, first to last; at most one may set the labels.

    Raises:
        ValueError: more than one lesson sets the labels.

    Source: paper A, section 6.
    """
    taught = _relabelled(dataset, lessons, order[0])
    plain = batches.stream(taught, order, batch_size, pad, flip, channels_last)
    if not any(lesson.change for lesson in lessons):
        return plain
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return _Taught(plain, lessons, order, dataset.train.y, batch_size, layout)


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def new_head(state: State, fresh: State) -> State:
    """Exchange the layers whose shapes differ for those of a fresh state; the step is kept, the optimiser starts anew.

    A layer is exchanged whole: of the last linear layer weight and bias. All others, BatchNorm statistics included, are kept.

    Args:
        state: what a network learned with another number of outputs.
        fresh: an initial state of the network with the outputs wanted.

    Raises:
        ValueError: the two do not have tensors of the same names.

    Source: paper A, section 6; ambiguity A-X20.
    """
    parts: list[tuple[Tensors, Tensors]] = [(state.params, fresh.params), (state.buffers, fresh.buffers)]
    for old, new in parts:
        if alone := sorted(old.keys() ^ new.keys()):
            raise ValueError(f"state must have the fresh state's tensors, got {alone[0]!r} in one alone; build one network twice")
    changed = {_module(name) for old, new in parts for name, tensor in old.items() if tensor.shape != new[name].shape}
    params, buffers = ({n: new[n] if _module(n) in changed else tensor for n, tensor in old.items()} for old, new in parts)
    return State(params, buffers, state.step)
