"""Permutations of one network's hidden units that bring it close to another: by weights, or by what units do on images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.hooks import watched
from pipeline_lib.core.permutations import Axes, Moves, drawn, identity, permuted, places, sizes
from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.training.evaluation import chunks
from pipeline_lib.training.precision import Numerics

_LEAST = 1e-9  # gain, as a share of what the network's weights could give, below which an assignment is rounding
_CONSTANT = 1e-6  # deviation of a unit, as a share of its mean, below which it is rounding
_TIE = 1e-6  # what it costs in correlation that constant units which stand in one place have different values


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


def check_axes(network: nn.Module, state: State, axes: Axes, x: Tensor) -> None:
    """Hold the groups that a network declares against what it computes.

    Args:
        network: template.
        state: of it, finite.
        axes: groups along the axes of tensors.
        x: some normalised inputs.

    Raises:
        ValueError: groups do not fit tensors, a tensor has none, or permuted units compute something else.
    """
    network.eval()
    tensors = {name: each.double() for name, each in {**state.params, **state.buffers}.items() if each.dim()}
    moves = drawn(sizes(axes, tensors), numpy_generator("axes"))
    if left := [name for name in tensors if name not in axes]:
        rule = f"symmetries must give groups along the axes of all tensors, or None, got nothing of {', '.join(left)}"
        raise ValueError(f"{rule}; correct the network's symmetries")
    before, after = (functional_call(network, each, (x.double(),)) for each in (tensors, permuted(tensors, axes, moves)))
    if not torch.allclose(before, after, rtol=0, atol=1e-6 * float(before.abs().max())):
        apart = float((after - before).abs().max() / before.abs().max())
        rule = f"a network's outputs must be the same with its units permuted, got them off by {apart:.2g} of the largest"
        raise ValueError(f"{rule}; correct the network's symmetries")


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
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    axes: Axes,
    begin: Moves,
    orders: Iterator[Sequence[str]],
    least: float,
) -> tuple[Moves, int]:
    """Assign one group after the other, again and again, until none gains any more than rounding."""
    moves = dict(begin)
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
    on the others', so groups are gone through until none can gain. The first start begins with the units where they are and goes
    through the groups in the network's order, so that none is worse than that; others begin with units in places that are drawn,
    and go through the groups in orders that are drawn for each sweep.

    Args:
        first: stays.
        second: is permuted.
        axes: groups along the axes of tensors; running statistics go along and do not count.
        starts: how many are tried; the best is kept.
        draw: names the random places and orders.

    Returns:
        The permutation, and the cosine between the weights before and after.

    Source: Ainsworth, Hayase and Srinivasa, Git Re-Basin, ICLR 2023, section 3.2 and algorithm 1.
    """
    wanted = [name for name in first.params if any(axes.get(name, ()))]
    own = {name: axes[name] for name in wanted}
    one, two = ({name: state.params[name].detach().cpu().double() for name in wanted} for state in (first, second))
    num, scale = sizes(own, one), _norm(one) * _norm(two)

    def cosine(moves: Moves) -> float:
        there = permuted(two, own, moves)
        return sum(float((tensor * there[name]).sum()) for name, tensor in one.items()) / scale if scale else 0.0

    def tried_from(start: int) -> tuple[Moves, int]:
        rng, groups = numpy_generator("alignment", *draw, start), list(num)
        begin = drawn(num, rng) if start else identity(num)
        orders = (([groups[i] for i in rng.permutation(len(groups))] if start else groups) for _ in count())
        return _descend(one, two, own, begin, orders, _LEAST * scale)

    tried = [tried_from(start) for start in range(starts)]
    values = [cosine(moves) for moves, _ in tried]
    best = int(np.argmax(values))
    return Match(tried[best][0], cosine({}), values[best], tried[best][1])


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return float(torch.stack([tensor.square().sum() for tensor in tensors.values()]).sum().sqrt())


class _Moments:
    """Sums over all places and images of the units of two networks, less what each is at first, and of their products."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._first: list[Tensor] = []

    def add(self, one: Tensor, two: Tensor) -> None:
        """Count (units, places) of each network."""
        self._first = self._first or [one[:, :1], two[:, :1]]
        one, two = (each - first for each, first in zip((one, two), self._first, strict=True))
        here = [one @ two.T, one.sum(1), two.sum(1), one.square().sum(1), two.square().sum(1), one.new_tensor(one.shape[1])]
        self._sums = [a + b for a, b in zip(self._sums, here, strict=True)] if self._sums else here

    def correlations(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the correlation of each unit of the first with each of the second; 0 where one is constant.

        Returns:
            Correlations, and where both are constant how far apart their values are, from 0 to 1 for opposite signs. On the CPU,
            where assignments are found.
        """
        products, *sums, one_squares, two_squares, num = self._sums
        left = [each / num for each in sums]
        deviations = [(s / num - m**2).clamp_min(0).sqrt() for s, m in zip((one_squares, two_squares), left, strict=True)]
        means = [first[:, 0] + m for first, m in zip(self._first, left, strict=True)]
        constant = [d <= _CONSTANT * m.abs() for d, m in zip(deviations, means, strict=True)]
        found = (products / num - torch.outer(*left)) / torch.outer(*deviations)
        either = constant[0][:, None] | constant[1]
        sizes_of_both = (means[0].abs()[:, None] + means[1].abs()).clamp_min(torch.finfo(found.dtype).tiny)
        apart = (means[0][:, None] - means[1]).abs() / sizes_of_both
        both = constant[0][:, None] & constant[1]
        return np.asarray(torch.where(either, 0, found).cpu()), np.asarray(torch.where(both, apart, 0).cpu())


def _assign_alike(correlations: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Choose units by their correlations, constant ones by their values; where that gains no more than rounding, none moves."""
    gains, here = correlations - _TIE * apart, np.arange(len(correlations))
    chosen = assign(gains)
    gained = [(each[here, chosen] - each[here, here]).sum() for each in (gains, correlations)]
    return chosen if gained[0] > _LEAST * len(gains) and gained[1] >= 0 else here


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
    they have none, before the nonlinearity. Constant units correlate with none, and are told apart by their values. Groups do not
    depend on each other, so one assignment each is the best.

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
    by_group: dict[str, list[np.ndarray]] = {}
    for name, group in seen.items():
        by_group.setdefault(group, []).append(np.stack(moments[name].correlations()))
    means = {group: np.mean(each, axis=0) for group, each in by_group.items()}
    moves = {group: _assign_alike(*each) for group, each in means.items()}
    num = sum(map(len, moves.values()))
    before = sum(float(np.trace(each)) for each, _ in means.values())
    after = sum(float(each[np.arange(len(each)), moves[group]].sum()) for group, (each, _) in means.items())
    return Match(moves, before / num, after / num)


def _keep(found: dict[str, Tensor], name: str, out: Tensor) -> None:
    found[name] = _units(out)  # a copy: what follows may work in place


def _units(out: Tensor) -> Tensor:
    """Bring (n, units, ...) into new (units, places and images)."""
    return out.movedim(1, 0).reshape(out.shape[1], -1).double().clone()
