"""From a task's name to a trained network and its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Mask, Split, State
from pipeline_lib.experiments import validation
from pipeline_lib.experiments.config import load_task
from pipeline_lib.experiments.plugins import plug
from pipeline_lib.notebook import given
from pipeline_lib.notebook import own as of_modules
from pipeline_lib.pruning.masks import check_fit
from pipeline_lib.stages.support.data import World, build
from pipeline_lib.stages.support.training import Run, Setting, numerics, train_cohort
from pipeline_lib.store.device import pick
from pipeline_lib.training.evaluation import Score
from pipeline_lib.training.evaluation import evaluate as evaluate_on


def load(task: str, data_root: str | Path | None = None, plugins: Sequence[str] = (), **changes: Any) -> World:
    """Load a task's data set and build its network, on the GPU if there is one.

    Args:
        task: its name; `rewind tasks` lists them.
        data_root: folder of the data sets; none for the default download folder, and for data that come with a package.
        plugins: files whose functions the task names, as under `plugins` of a config.
        changes: keys of a task to have otherwise than its file, such as `steps=300` or `network={"widths": [20]}`.

    Returns:
        Data set, network and recipe, which all other functions take.

    Raises:
        ValueError: an unknown task, key, name or option.

    Example:
        >>> small = load("digits_mlp", network={"widths": [8]}, steps=20)
        >>> small.dataset.train.x.shape
        torch.Size([1440, 1, 8, 8])
        >>> small.task["steps"]
        20
    """
    if plugins:
        plug(plugins)
    validation.validate({"experiments": {"x": {"tasks": [task]}}, "tasks": {task: changes}})
    recipe: Any = load_task(task, {task: changes} if changes else None)
    dataset: Dataset = registry.call("datasets", recipe["dataset"], data_root=None if data_root is None else Path(data_root))
    place = pick(numerics(recipe))
    train, test = (
        Split(split.x.to(place) if isinstance(split.x, Tensor) else split.x, split.y.to(place))
        for split in (dataset.train, dataset.test)
    )
    whole = replace(dataset, train=train, test=test)
    return World(recipe, whole, build(recipe, whole))


@singledispatch
def initialise(world: World, seed: int = 0, draw: str = "W0") -> Any:
    """Draw W_0: the state that seed `seed` of the workflow begins with, to the bit.

    Of modules: `initialise(network, seed=0, draw="W0")`, a copy drawn anew by each module's own `reset_parameters`.

    Args:
        world: of the task.
        seed: number of the replicate.
        draw: name of the draw; another name makes another initialisation of the same seed.

    Returns:
        The state at step 0.

    Example:
        >>> w0 = initialise(digits, seed=3)
        >>> w0.step, w0.params["stem.fc1.weight"].shape
        (0, torch.Size([8, 64]))
    """
    generator = torch_generator("init", seed, draw)
    return registry.call("initialisers", world.task["initialisation"], network=world.network, generator=generator)


@singledispatch
def train(world: World, start: State, until: int | None = None, mask: Mask | None = None, seed: int = 0, order: int = 0) -> Any:
    """Train from a state by the task's recipe; from an early state under a mask this is rewinding.

    Momentum begins anew, the learning-rate schedule goes on at the start's step, and batch t depends on (seed, order, t) alone.
    Weights outside of the mask begin at zero and stay there. To keep W_k, train to k first and go on from there.

    Of modules: `train(network, data, until, optimiser, step=0, mask=None, batch_size=64, schedule=None, loss=cross_entropy,
    seed=0, order=0)`, see `notebook/own.py`.

    Args:
        world: of the task.
        start: where to begin; it is not changed.
        until: the step to reach, at least the start's; the task's last if not given.
        mask: kept entries by prunable tensor; none for a dense network.
        seed: number of the replicate.
        order: number of the order of SGD noise; two orders of a seed see other batches.

    Returns:
        The state at step `until`, on the CPU.

    Raises:
        ValueError: the mask does not fit, `until` lies before the start, or the run diverges.

    Source: paper B, algorithms 1 and 2.

    Example:
        >>> w5 = train(digits, w0, until=5)
        >>> sparse = train(digits, w5, mask=mask, order=1)
        >>> sparse.step, float(density(mask))
        (20, 0.5)
    """
    if mask is not None:
        check_fit(mask, {name: tensor.numpy() for name, tensor in start.params.items()})
    begin = replace(start if mask is None else algebra.masked(start, mask), slots={})
    setting = Setting(world.task, world.network, world.dataset, world.task["steps"] if until is None else until)
    ((trained, _),) = train_cohort(setting, [Run(begin, mask, (seed, order))])
    if trained.last_finite is not None:
        name, last = world.task["name"], trained.last_finite
        raise ValueError(f"training of {name} must stay finite, got none after step {last}; lower the learning rate")
    return replace(trained.state, slots={})


@singledispatch
def evaluate(world: World, state: State, split: str = "test") -> Score:
    """Compute a network's error and loss in eval mode, without augmentation: `(1/N) sum_n [argmax f(x_n) != y_n]`, `-log p`.

    Of modules: `evaluate(network, data, loss=cross_entropy)`, see `notebook/own.py`.

    Args:
        world: of the task.
        state: what to evaluate.
        split: "train" or "test".

    Returns:
        `error`, the share of wrong predictions in [0, 1], and `loss`, the mean cross-entropy in nats.

    Example:
        >>> evaluate(digits, one).loss < evaluate(digits, w0).loss
        True
    """
    there, data = algebra.moved(state, world.device), world.dataset
    return evaluate_on(world.network, there, world.split(split), data, world.numerics)


given.answer(train, of_modules.train)
given.answer(evaluate, of_modules.evaluate)
given.answer(initialise, of_modules.initialise)
