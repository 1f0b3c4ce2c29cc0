"""Permutations of one network's hidden units that bring it close to another: by weights, or by what units do on images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.hooks import watched
from pipeline_lib.core.permutations import Axes, Moves, identity, permuted, places, sizes
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.training.evaluation import chunks
from pipeline_lib.training.precision import Numerics

_LEAST = 1e-9  # gain, as a share of what the network's weights could give, below which an assignment is rounding


@dataclass(frozen=True)
class Match:
    """A permutation of the second of two networks.

    Args:
        moves: by group of units.
        before: how alike the networks were, in [-1, 1].
        after: how alike they are under the permutation, never below `before`.
        sweeps: times that all groups were gone through, in the start that was best.
    """

    moves: Moves
    before: float
    after: float
    sweeps: int = 1

    @property
    def moved(self) -> float:
        """Share of the hidden units that stand in another place than before."""
        apart = [moves != np.arange(len(moves)) for moves in self.moves.values()]
        return float(np.concatenate(apart).mean())


def assign(gains: np.ndarray) -> np.ndarray:
    """Choose a unit for each place so that the sum of gains is largest.

    Args:
        gains: (places, units), what a unit gives in a place.

    Returns:
        (places,), the unit of each, every unit once.

    Source: Crouse, On implementing 2D rectangular assignment algorithms, 2016, as scipy has it.
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(gains, maximize=True)[1]


def _rows(tensor: Tensor, axis: int) -> Tensor:
    """Bring the units of an axis first, and all else of each into one row."""
    return tensor.movedim(axis, 0).reshape(tensor.shape[axis], -1)


def _gains(group: str, first: Mapping[str, Tensor], second: Mapping[str, Tensor], axes: Axes, moves: Moves) -> np.ndarray:
    """Sum the inner products of the units' weights, the other groups permuted as they are so far: (units, units)."""
    total: Tensor | float = 0.0
    others = {name: each for name, each in moves.items() if name != group}
    for name, tensor in first.items():
        if group in axes[name]:
            axis = axes[name].index(group)
            own = permuted({name: second[name]}, axes, others)[name]
            total = total + _rows(tensor, axis) @ _rows(own, axis).T
    assert isinstance(total, Tensor)
    return np.asarray(total)


def _descend(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], axes: Axes, orders: Iterator[Sequence[str]], least: float
) -> tuple[Moves, int]:
    """Assign one group after the other, again and again, until none gains any more than rounding."""
    moves: dict[str, np.ndarray] = identity(sizes(axes, first))
    for sweep, order in enumerate(orders, start=1):
        settled = True
        for group in order:
            gains = _gains(group, first, second, axes, moves)
            chosen, here = assign(gains), np.arange(len(gains))
            if gains[here, chosen].sum() > gains[here, moves[group]].sum() + least:
                moves[group], settled = chosen, False
        if settled:
            return moves, sweep
    raise AssertionError("orders never end")


def match_weights(first: State, second: State, axes: Axes, starts: int, draw: Sequence[str | int] = ()) -> Match:
    """Permute the second network so that its weights have the largest inner product with the first's.

    `max_P <W_1, P W_2>` over the parameters whose axes are units, by a linear assignment a group. One group's best order depends
    on the others', so groups are gone through until none can gain. Each start begins with the units where they are, so none is
    worse than that; the first goes through the groups in the network's order, others in orders that are drawn for each sweep.

    Args:
        first: stays.
        second: is permuted.
        axes: groups along the axes of tensors; running statistics go along and do not count.
        starts: how many orders of the groups are tried; the best is kept.
        draw: names the random orders.

    Returns:
        The permutation, and the cosine between the weights before and after.

    Source: Ainsworth, Hayase and Srinivasa, Git Re-Basin, ICLR 2023, section 3.2 and algorithm 1.
    """
    wanted = [name for name in first.params if any(axes.get(name, ()))]
    own = {name: axes[name] for name in wanted}
    one, two = ({name: state.params[name].detach().cpu().double() for name in wanted} for state in (first, second))
    groups, scale = list(sizes(own, one)), _norm(one) * _norm(two)

    def cosine(moves: Moves) -> float:
        there = permuted(two, own, moves)
        return sum(float((tensor * there[name]).sum()) for name, tensor in one.items()) / scale if scale else 0.0

    def drawn(start: int) -> Iterator[Sequence[str]]:
        rng = numpy_generator("alignment", *draw, start)
        while True:
            yield groups if start == 0 else [groups[i] for i in rng.permutation(len(groups))]

    tried = [_descend(one, two, own, drawn(start), _LEAST * scale) for start in range(starts)]
    values = [cosine(moves) for moves, _ in tried]
    best = int(np.argmax(values))
    return Match(tried[best][0], cosine({}), values[best], tried[best][1])


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return float(torch.stack([tensor.square().sum() for tensor in tensors.values()]).sum().sqrt())


class _Moments:
    """Sums over all places and images of the units of two networks, and of their products."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []

    def add(self, one: Tensor, two: Tensor) -> None:
        """Count (units, places) of each network."""
        here = [one @ two.T, one.sum(1), two.sum(1), one.square().sum(1), two.square().sum(1), one.new_tensor(one.shape[1])]
        self._sums = [a + b for a, b in zip(self._sums, here, strict=True)] if self._sums else here

    def correlations(self) -> np.ndarray:
        """Compute the correlation of each unit of the first with each of the second; 0 where one is constant."""
        products, one, two, one_squares, two_squares, num = self._sums
        spread = [(s / num - (m / num) ** 2).clamp_min(0).sqrt() for s, m in ((one_squares, one), (two_squares, two))]
        both = torch.outer(*spread)
        found = (products / num - torch.outer(one, two) / num**2) / both
        return np.asarray(torch.where(both > 0, found, 0).cpu())  # assignments are found on the CPU


@torch.no_grad()
def match_activations(
    network: nn.Sequential,
    first: State,
    second: State,
    axes: Axes,
    images: Split,
    dataset: Dataset,
    numerics: Numerics,
) -> Match:
    """Permute the second network so that units which stand in one place correlate most over images, in eval mode.

    A group's correlations are means over the places where its units are seen: outputs of its normalisations, or of its layers if
    they have none, before the nonlinearity. Groups do not depend on each other, so one assignment each is the best.

    Args:
        network: template.
        first: stays.
        second: is permuted.
        axes: groups along the axes of tensors.
        images: over which units are compared.
        dataset: gives the normalisation.
        numerics: precision and memory layout.

    Returns:
        The permutation, and the mean correlation over all hidden units before and after.

    Source: Ainsworth et al., 2023, section 3.1; Li et al., Convergent Learning, 2015, for correlations instead of products.
    """
    network.eval()
    seen, moments = places(network, axes), dict[str, _Moments]()
    wholes = [numerics.lay_all({**state.params, **state.buffers}) for state in (first, second)]
    outputs: list[dict[str, Tensor]] = [{}, {}]
    with numerics.autocast(images.y.device):
        for x, _ in chunks(images, dataset, numerics):
            for whole, found in zip(wholes, outputs, strict=True):
                with watched(network, seen, partial(_keep, found)):
                    functional_call(network, whole, (x.clone(),))
            for name in seen:
                moments.setdefault(name, _Moments()).add(outputs[0][name], outputs[1][name])
    gains: dict[str, np.ndarray] = {}
    for name, group in seen.items():
        share = moments[name].correlations() / list(seen.values()).count(group)
        gains[group] = gains[group] + share if group in gains else share
    moves = {group: assign(each) for group, each in gains.items()}
    num = sum(map(len, moves.values()))
    before = sum(float(np.trace(each)) for each in gains.values())
    after = sum(float(each[np.arange(len(each)), moves[group]].sum()) for group, each in gains.items())
    return Match(moves, before / num, after / num)


def _keep(found: dict[str, Tensor], name: str, out: Tensor) -> None:
    found[name] = _units(out)  # a copy: what follows may work in place


def _units(out: Tensor) -> Tensor:
    """Bring (n, units, ...) into new (units, places and images)."""
    return out.movedim(1, 0).reshape(out.shape[1], -1).double().clone()
