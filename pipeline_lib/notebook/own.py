"""The same questions of one's own networks: any module with its weights, any loss, tensors or a loader of (inputs, targets).

The public names take these where they take a world, by their first argument: `path(one, other, data)`. A network comes as a
module, which stays as it is; what is trained or drawn is a copy. `data` are two tensors (inputs, targets) or something that
yields such batches each time it is gone through, such as a DataLoader. A loss maps outputs and targets to the mean over a batch.
Errors are shares of wrong predictions, NaN where targets are no class numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.analysis import curvature, mixtures, paths, planes, spectra
from pipeline_lib.analysis.curvature import Batches
from pipeline_lib.analysis.mixtures import Loss
from pipeline_lib.analysis.paths import Ends
from pipeline_lib.analysis.spectra import Spectrum
from pipeline_lib.analysis.sublevel_sets import Landscape
from pipeline_lib.core import algebra, registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import numpy_generator, torch_generator
from pipeline_lib.core.types import Mask, Schedule, State
from pipeline_lib.experiments import criteria
from pipeline_lib.notebook import given
from pipeline_lib.pruning import masks, selection
from pipeline_lib.training import fitting
from pipeline_lib.training.evaluation import Score
from pipeline_lib.training.initialisers.modules import own_reset

_CHUNK = 1000  # examples that are evaluated at a time, of data that come as two tensors


def _state(network: nn.Module) -> State:
    params = {name: tensor.detach() for name, tensor in network.named_parameters()}
    return State(params, dict(network.named_buffers()))


def _states(*networks: nn.Module) -> list[State]:
    """Read the states of networks, which must have tensors of the same names and shapes."""
    found = [_state(network) for network in networks]
    shapes = [{name: tuple(tensor.shape) for name, tensor in (*state.params.items(), *state.buffers.items())} for state in found]
    for other in shapes[1:]:
        odd = sorted(name for name in {*shapes[0], *other} if shapes[0].get(name) != other.get(name))
        if odd:
            sides = f"{shapes[0].get(odd[0], 'none')} and {other.get(odd[0], 'none')}"
            raise ValueError(
                f"networks must have the same tensors, got {odd[0]} of {sides}; compare networks of one architecture"
            )
    return found


def _batches(network: nn.Module, data: Any) -> Batches:
    """Make what goes through the data, on the network's device, as often as it is called."""
    place = next(network.parameters()).device
    pair = isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(part, Tensor) for part in data)
    if not pair and (isinstance(data, Iterator) or not isinstance(data, Iterable)):
        rule = "data must be two tensors (inputs, targets) or yield such batches each time they are gone through"
        raise ValueError(f"{rule}, got {type(data).__name__}; give a DataLoader or a list of batches")

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        parts = zip(*(part.split(_CHUNK) for part in given.batch(data)), strict=True) if pair else map(given.batch, data)
        yield from ((x.to(place), y.to(place)) for x, y in parts)

    return batches


def initialise(network: nn.Module, seed: int = 0, draw: str = "W0") -> nn.Module:
    """Draw the parameters of a copy anew, each module's by its own `reset_parameters`; they depend on seed and draw alone.

    Raises:
        ValueError: a parameter belongs to a module that has no such function, or whose function leaves it out.
    """
    state, own = own_reset(network, torch_generator("init", seed, draw)), copy.deepcopy(network)
    own.load_state_dict({**own.state_dict(), **state.params})
    return own


def evaluate(network: nn.Module, data: Any, loss: Loss = F.cross_entropy) -> Score:
    """Compute a network's error and mean loss in eval mode."""
    state = _state(network)
    points = [lambda: {**state.params, **state.buffers}]
    return mixtures.scores(network, points, _batches(network, data), given.of_classes(loss))[0]


def path(first: nn.Module, second: nn.Module, data: Any, num: int = 30, loss: Loss = F.cross_entropy) -> dict[float, Score]:
    """Evaluate the line between two networks, every tensor of them mixed.

    Args:
        first: W_1, at alpha = 1.
        second: W_2, at alpha = 0.
        data: to evaluate on.
        num: evenly spaced alphas in [0, 1], ends included; 1/2 is added.
        loss: of outputs and targets.

    Raises:
        ValueError: the networks differ in their tensors, or the data have no examples.
    """
    weights, states = paths.with_midpoint(paths.alphas(num)), _states(first, second)
    points = [partial(mixtures.mixed, states, (a, 1 - a), (a, 1 - a), ()) for a in weights]
    return dict(zip(weights, mixtures.scores(first, points, _batches(first, data), given.of_classes(loss)), strict=True))


def instability(first: nn.Module, second: nn.Module, data: Any, num: int = 30, loss: Loss = F.cross_entropy) -> Ends:
    """Sum up the line between two networks."""
    line = path(first, second, data, num, loss)
    return paths.summarise(list(line), list(line.values()), num)


def plane(
    solution: nn.Module,
    second: nn.Module,
    third: nn.Module,
    data: Any,
    num: int = 21,
    margin: float = 0.2,
    loss: Loss = F.cross_entropy,
    names: Sequence[str] | None = None,
) -> Landscape:
    """Evaluate the plane through three networks.

    Args:
        solution: W_1, at the origin.
        second: W_2, on the x axis.
        third: W_3.
        data: to evaluate on.
        num: values on each axis.
        margin: how much farther the grid reaches than the three, as a share of their extent.
        loss: of outputs and targets.
        names: of parameters that span the plane, all others being mixed as at the nearest point of the triangle; the prunable
            ones if not given, or all if none is.

    Raises:
        ValueError: the three lie on one line, or differ in their tensors; or the grid has no ends.
    """
    given.check_grid(num, margin)
    one, two, three = _states(solution, second, third)
    spanned = planes.through((one, two, three), given.names(solution, names or prunable(solution) or one.params), follow=True)
    x, y = planes.covering(spanned, num, margin)
    places = np.concatenate([planes.grid_points(x, y), spanned.places[:1]])
    both = zip(spanned.mixture(places).tolist(), spanned.others(places).tolist(), strict=True)
    points = [partial(mixtures.mixed, spanned.corners, own, others, spanned.prunable) for own, others in both]
    *errors, own = [score.error for score in mixtures.scores(solution, points, _batches(solution, data), given.of_classes(loss))]
    return Landscape(x, y, np.array(errors).reshape(len(y), len(x)), spanned.places[0], own)


def hessian(
    network: nn.Module,
    data: Any,
    mask: Mask | None = None,
    iterations: int = 30,
    probes: int = 4,
    loss: Loss = F.cross_entropy,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Spectrum:
    """Probe the curvature of the mean loss over all of the data, in eval mode.

    Args:
        network: where to take it.
        data: to take it on.
        mask: kept entries of the named parameters; all if not given.
        iterations: products a probe, at most one a weight.
        probes: random starts.
        loss: of outputs and targets.
        seed: of the probes.
        names: of the parameters that count; those of the mask if not given, without one the prunable ones, or all if none is.
    """
    state = _state(network)
    counted = given.names(network, names or mask or prunable(network) or state.params)
    with mixtures.evaluating(network):
        product, like = curvature.loss_product(given.of_classes(loss), network, state, _batches(network, data), counted, mask)
        return spectra.spectrum(product, like, iterations, [torch_generator("probe", seed, i) for i in range(probes)])


def prune(
    network: nn.Module,
    mask: Mask | None = None,
    fraction: float = 0.2,
    criterion: str = "magnitude",
    scope: str = "global",
    seed: int = 0,
    data: Any = None,
) -> Mask:
    """Prune the survivors that a criterion scores lowest, of the weights of linear layers and 2-d convolutions.

    Args:
        network: a trained network.
        mask: what survives so far; everything if not given.
        fraction: share of the survivors to prune, in (0, 1).
        criterion: as for a world.
        scope: likewise.
        seed: likewise.
        data: what a criterion looks at that looks at data, by the cross-entropy.
    """
    state = _state(network)
    kept = masks.ones({name: state.params[name].shape for name in prunable(network)}) if mask is None else mask
    if not kept:
        raise ValueError("network must have linear layers or 2-d convolutions, got none to prune; give it some, with names")
    masks.check_fit(kept, {name: tensor.cpu().numpy() for name, tensor in state.params.items()})
    known: dict[str, Any] = {"weights": {name: state.params[name].cpu().numpy() for name in kept}}
    known["rng"] = numpy_generator("prune", criterion, seed)
    for name in criteria.derivatives(criterion):
        there, derivative = algebra.masked(state, kept), registry.entries("derivatives")[name].load()
        with mixtures.evaluating(network):
            found = derivative(network=network, state=there, batches=_batches(network, data), mask=kept)
        known[name] = {at: tensor.double().cpu().numpy() for at, tensor in found.items()}
    return selection.prune(criterion, known, kept, fraction, scope)


def train(
    network: nn.Module,
    data: Any,
    until: int,
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    step: int = 0,
    mask: Mask | None = None,
    batch_size: int = 64,
    schedule: Schedule | None = None,
    loss: Loss = F.cross_entropy,
    seed: int = 0,
    order: int = 0,
) -> nn.Module:
    """Train a copy of a network. Training an early network under a mask is rewinding.

    Args:
        network: where to begin.
        data: two tensors (inputs, targets), or a DataLoader, of which the data set and how it collates examples count: batch t
            depends on (seed, order, t) alone.
        until: the step to reach.
        optimiser: makes one of torch's from parameters, such as `partial(torch.optim.SGD, lr=0.1)`; it begins anew at every call.
        step: where `network` is; the schedule and the batches go on from there.
        mask: kept entries by parameter.
        batch_size: examples a batch.
        schedule: step -> factor of the learning rate; it stays if there is none.
        loss: of outputs and targets, the mean over a batch.
        seed: number of the replicate.
        order: number of the order of SGD noise.

    Returns:
        The trained network, in eval mode.

    Raises:
        ValueError: the mask does not fit, `until` lies before `step`, the data have no numbers, the optimiser is one already
            instead of what makes one, or the run diverges.
    """
    given.check_optimiser(optimiser)
    if until < step:
        raise ValueError(f"until must be at least the network's step {step}, got {until}; train only goes forward")
    own = copy.deepcopy(network)
    masks.check_fit(mask or {}, {name: tensor.detach().cpu().numpy() for name, tensor in own.named_parameters()})
    how = fitting.Fit(given.of_classes(loss), optimiser, schedule or (lambda step: 1.0), mask)
    fitting.fit(own, fitting.stream(data, (seed, order), batch_size), how, (seed, order), range(step, until))
    return own.eval()
