"""Error along the line between networks whose hidden units are rescaled on the way to what they do at its ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core import algebra
from pipeline_lib.core.hooks import watched
from pipeline_lib.core.parameters import NORMS
from pipeline_lib.core.types import Dataset, Split, State, Tensors
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.evaluation import Score, Tally, chunks, subset
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.room import fitting

Pair = tuple[int, int]
Moments = Mapping[str, tuple[Tensor, Tensor]]  # by module, the mean and deviation of each unit
IMAGES = 1000  # that moments are taken over, in one go; fewer of large ones
VALUES = 1000 * 3 * 32 * 32  # in as many images as those are
FEWEST = 64


def hidden(network: nn.Module) -> dict[str, int]:
    """List the modules whose outputs are rescaled: normalisations, or where there are none all layers but the last.

    Returns:
        By module, the axis of its output along which units lie.
    """
    modules = dict(network.named_modules())
    norms = [name for name, module in modules.items() if isinstance(module, NORMS)]
    chosen = norms or [name for name, module in modules.items() if isinstance(module, (nn.Linear, nn.Conv2d))][:-1]
    return {name: -1 if isinstance(modules[name], nn.Linear) else 1 for name in chosen}


def _looked_at(split: Split) -> Split:
    """Choose the images that moments are taken over, so many that their activations fit where one chunk's of a data set do."""
    return subset(split, min(IMAGES, max(FEWEST, VALUES // math.prod(split.x.shape[1:]))), "repair")


def _column(values: Tensor, out: Tensor, axis: int) -> Tensor:
    """Shape a value a unit as the units along an axis of an output."""
    return values.to(out.dtype).view([-1 if i == axis % out.dim() else 1 for i in range(out.dim())])


def _of(out: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    rows = out.movedim(axis, 0).reshape(out.shape[axis], -1).float()
    return rows.mean(1), rows.std(1, correction=0)


def moments(network: nn.Module, tensors: Tensors, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute the mean and deviation of each hidden unit over inputs (n, C, H, W) and places."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    axes = hidden(network)
    with watched(network, axes, lambda name, out: found.update({name: _of(out, axes[name])})):
        functional_call(network, dict(tensors), (x.clone(),))
    return found


def repairs(network: nn.Module, tensors: Tensors, wanted: Moments, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Find the scale and shift that give each hidden unit the wanted mean and deviation, earlier ones being repaired already.

    A unit that is constant keeps its scale.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    axes = hidden(network)

    def repair(name: str, out: Tensor) -> Tensor:
        (mean, deviation), (to_mean, to_deviation) = _of(out, axes[name]), wanted[name]
        scale = torch.where(deviation > 0, to_deviation / deviation, 1)
        found[name] = scale, to_mean - scale * mean
        return _rescaled(out, *found[name], axes[name])

    with watched(network, axes, repair):
        functional_call(network, dict(tensors), (x.clone(),))
    return found


def _fixed(fixes: Moments, axes: Mapping[str, int], name: str, out: Tensor) -> Tensor:
    return _rescaled(out, *fixes[name], axes[name])


def _mixed(start: Moments, end: Moments, weight: float) -> Moments:
    return {
        name: (torch.lerp(mean, end[name][0], weight), torch.lerp(deviation, end[name][1], weight))
        for name, (mean, deviation) in start.items()
    }


def _rescaled(out: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    return out * _column(scale, out, axis) + _column(shift, out, axis)


@fitting
@torch.no_grad()
def repaired_paths(
    network: nn.Sequential,
    states: Sequence[State],
    pairs: Sequence[Pair],
    weights: Sequence[float],
    split: Split,
    dataset: Dataset,
    numerics: Numerics,
) -> dict[Pair, list[Score]]:
    """Evaluate as `paths.paths` does, each hidden unit rescaled to the mixture of its means and deviations at the two ends.

    Units are looked at before the nonlinearity, over the same training images everywhere. Ends stay as they are.

    Source: Jordan, Sedghi, Saukh, Entezari and Neyshabur, REPAIR: REnormalizing Permuted Activations for Interpolation Repair,
        ICLR 2023, section 4.
    """
    network.eval()
    wholes = [numerics.lay_all({**s.params, **s.buffers}) for s in states]
    mixtures = algebra.Mixtures(wholes)
    points = [(pair, alpha) for pair in pairs for alpha in weights]
    tallies = {point: Tally() for point in points}
    few, axes = _looked_at(dataset.train), hidden(network)
    x = numerics.lay(Normaliser(dataset, split.y.device)(few.x[:].to(split.y.device)))

    with numerics.autocast(split.y.device):
        ends = {i: moments(network, wholes[i], x) for i in {i for pair in pairs for i in pair}}
        fixes: dict[Any, dict[str, tuple[Tensor, Tensor]]] = {}
        for (i, j), alpha in points:
            wanted = _mixed(ends[j], ends[i], alpha)
            fixes[(i, j), alpha] = repairs(network, mixtures.at((i, j), alpha), wanted, x) if 0 < alpha < 1 else {}
        for inputs, y in chunks(split, dataset, numerics):
            for point, tally in tallies.items():
                with watched(network, fixes[point], partial(_fixed, fixes[point], axes)):
                    tally.add(functional_call(network, mixtures.at(*point), (inputs.clone(),)), y)
    return {pair: [tallies[pair, alpha].score() for alpha in weights] for pair in pairs}
