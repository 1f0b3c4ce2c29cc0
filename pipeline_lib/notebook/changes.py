"""What is done to a trained network or to a start: pruning and perturbing."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch

from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.experiments import criteria
from pipeline_lib.experiments.changes import Perturbation
from pipeline_lib.experiments.starts import parse
from pipeline_lib.notebook import given
from pipeline_lib.notebook import own as of_modules
from pipeline_lib.notebook.networks import initialise
from pipeline_lib.perturbations.support import application
from pipeline_lib.perturbations.support.context import Around, initial_deviation
from pipeline_lib.pruning import selection
from pipeline_lib.pruning.masks import ones
from pipeline_lib.stages.masks import score
from pipeline_lib.stages.support.data import World


def _whole(world: World) -> Mask:
    return ones({name: world.network.get_parameter(name).shape for name in prunable(world.network)})


@singledispatch
def prune(
    world: World,
    state: State,
    mask: Mask | None = None,
    fraction: float = 0.2,
    criterion: str = "magnitude",
    scope: str = "global",
    seed: int = 0,
    examples: int = 2000,
) -> Mask:
    """Prune the survivors that a criterion scores lowest: `ceil(fraction * survivors)` of them.

    Of modules: `prune(network, mask=None, fraction=0.2, criterion="magnitude", scope="global", seed=0, data=None)`, see
    `notebook/own.py`.

    Args:
        world: of the task; says which tensors can be pruned.
        state: a trained network.
        mask: what survives so far; everything if not given.
        fraction: share of the survivors to prune, in (0, 1).
        criterion: "magnitude", "random", "snip", "grasp", "synflow", "taylor" or another one of `pruning/criteria`.
        scope: "global" ranks all layers together, "layer" each by itself.
        seed: of a criterion that draws.
        examples: training images that a criterion looks at which looks at data.

    Returns:
        The next mask, a subset of `mask`: True = kept.

    Raises:
        ValueError: an unknown criterion or scope, a fraction out of range, or weights that are not finite.

    Source: paper B, algorithm 2.

    Example:
        >>> once = prune(digits, one, fraction=0.2)
        >>> twice = prune(digits, one, once, fraction=0.2)
        >>> round(density(once), 3), round(density(twice), 3)
        (0.799, 0.639)
    """
    kept = _whole(world) if mask is None else mask
    known: dict[str, Any] = {"weights": {name: state.params[name].numpy() for name in kept}}
    known["rng"] = numpy_generator("prune", criterion, seed)
    for name in criteria.derivatives(criterion):
        found = score.derivative(world, name, state, kept, examples, world.task["batch_size"])
        known[name] = {at: tensor.double().cpu().numpy() for at, tensor in found.items()}
    return selection.prune(criterion, known, kept, fraction, scope)


def perturb(world: World, start: State, change: str, mask: Mask | None = None, seed: int = 0) -> State:
    """Perturb the surviving weights of a start, as the words of a config say it.

    Args:
        world: of the task.
        start: state of a seed, masked or not; biases and BatchNorm stay as they are.
        change: such as "noise(0.5)" or "shuffle(layer, same_sign)"; several are joined by "|".
        mask: what survives; everything if not given.
        seed: of the start's W_0 and of the draws.

    Returns:
        The perturbed state, at the start's step.

    Raises:
        ValueError: an unknown perturbation or option, or one that wants the next level's mask or trains.

    Source: paper A, section 5.

    Example:
        >>> noisy = perturb(digits, w0, "noise(0.5)")
        >>> shuffled = perturb(digits, w0, "shuffle(layer)")
        >>> float(noisy.params["stem.fc1.weight"].std() / w0.params["stem.fc1.weight"].std()) > 1
        True
    """
    asked = parse(f"k{start.step} | {change}", world.task, "change")
    steps = [step for part in asked.after if isinstance(part, Perturbation) for step in part.steps]
    if asked.before or len(steps) < len(asked.after):
        raise ValueError(f"change must be perturbations alone, got {change!r}; train or prune by the functions of these names")
    kept = _whole(world) if mask is None else mask
    initial, fresh, weights = (
        {name: state.params[name].numpy() for name in kept}
        for state in (initialise(world, seed), initialise(world, seed, "fresh"), start)
    )
    rule = world.task["initialisation"]["name"]
    around = Around(kept, initial, fresh, {name: initial_deviation(rule, weight) for name, weight in initial.items()})
    changed = application.perturb(weights, around, steps, numpy_generator("perturb", asked.text, seed))
    params = {**start.params, **{name: torch.from_numpy(changed[name]) for name in kept}}
    return State(params, start.buffers, start.step)


given.answer(prune, of_modules.prune)
