"""What the specs of stages have in common: tasks, and what is measured of them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

# `name` of a registered function, and its options.
Bound = dict[str, Any]


class MeasuredTask(TypedDict):
    """What a measurement of a task's networks depends on.

    Args:
        name: of the task.
        network: layers.
        dataset: images.
        precision: number format, `fp32`, `tf32` or `bf16`.
        channels_last: memory layout.
    """

    name: str
    network: Bound
    dataset: Bound
    precision: str
    channels_last: bool


class Dynamics(MeasuredTask):
    """What a training step depends on, too.

    Args:
        initialisation: how weights are drawn.
        optimiser: what a step is.
        schedule: of the learning rate.
        batch_size: training images in a step.
        pad: pixels of zeros around images, out of which they are cropped at random.
        flip: whether images are mirrored at random.
    """

    initialisation: Bound
    optimiser: Bound
    schedule: Bound
    batch_size: int
    pad: int
    flip: bool


class Task(Dynamics):
    """A whole task.

    Args:
        steps: training steps from step 0 to the end.
        evaluate_every: steps between points of the learning curve.
    """

    steps: int
    evaluate_every: int


class Seeds(TypedDict):
    """A chunk of seeds, in the order that artifacts have their members."""

    seeds: list[int]


class Measured(TypedDict):
    """Networks of a task that are measured."""

    task: MeasuredTask


class Training(TypedDict):
    """Networks of a task that are trained."""

    task: Task


class Network(Measured):
    """Runs from one start that are measured.

    Args:
        kind: of their masks, such as `imp`.
        k: rewind step.
        level: of the ladder; 0 is dense.
    """

    kind: str
    k: int
    level: int


class Members(Network):
    """Runs from one start, one by one: `members` are a seed and an order each."""

    members: list[list[int]]


class Pairs(Network):
    """Runs from one start, pair by pair: `pairs` are a seed and two orders each, and the second run's seed if it is another."""

    pairs: list[list[int]]


class Solutions(Measured, Seeds):
    """The solution of a level of the ladder that is rewound to step k; a network a seed."""

    k: int
    level: int


class Table(TypedDict):
    """A table.

    Args:
        experiment: that it is of.
        table: which one.
        columns: spelled out, name, type, unit and meaning each.
        starts: the parts of the starts that occur in a measured table that has them, by their text.
        chance: the error of guessing, by task, for a measured table of pairs.
    """

    experiment: str
    table: str
    columns: list[list[str]]
    starts: NotRequired[dict[str, dict[str, Any]]]
    chance: NotRequired[dict[str, float]]
