"""Planes through three networks: which networks lie on them, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, Split, State, Tensors
from pipeline_lib.training.evaluation import Score, chunk_size, chunks, part
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.room import fitting

_FLAT = 1e-6  # a triangle that is flatter than this is a line and rounding
_EDGES = ((0, 1), (1, 2), (2, 0))


@dataclass(frozen=True)
class Plane:
    """The plane of prunable weights through three networks; coordinates are distances in weight space.

    The first corner is the origin, x points to the second, and y is orthogonal to x, towards the third (Gram-Schmidt). A
    network on the plane is a mixture of the corners, with weights that sum to 1: outside of their triangle some are negative.

    Args:
        corners: three states.
        prunable: names of the tensors that span the plane.
        places: (3, 2), coordinates of the corners.
        follow: whether all other tensors (biases, BatchNorm's) are mixed as at the nearest point of the triangle; if not,
            they stay those of the origin.

    Source: paper C, appendix B, on figures 3 and 6; ambiguities C-X14 and C-X15.
    """

    corners: tuple[State, State, State]
    prunable: tuple[str, ...]
    places: Float[np.ndarray, "3 2"]
    follow: bool

    def mixture(self, points: Float[np.ndarray, "num 2"]) -> Float[np.ndarray, "num 3"]:
        """Give the weights of the corners in the prunable tensors of each point, exactly (1, 0, 0) and so on at a corner."""
        (length, _), (along, height) = self.places[1:]
        third = points[:, 1] / height
        second = (points[:, 0] - third * along) / length
        return np.stack([1 - second - third, second, third], axis=1)

    def others(self, points: Float[np.ndarray, "num 2"]) -> Float[np.ndarray, "num 3"]:
        """Give the weights of the corners in all other tensors of each point: none is negative."""
        if not self.follow:
            return np.tile([1.0, 0.0, 0.0], (len(points), 1))
        own = self.mixture(points)
        found, nearest = own.copy(), np.where((own >= 0).all(1), 0.0, np.inf)
        for i, j in _EDGES:
            side = self.places[j] - self.places[i]
            share = ((points - self.places[i]) @ side / (side @ side)).clip(0, 1)
            distance = np.linalg.norm(self.places[i] + share[:, None] * side - points, axis=1)
            closer = distance < nearest
            found[closer], nearest = 0.0, np.minimum(distance, nearest)
            found[closer, i], found[closer, j] = 1 - share[closer], share[closer]
        return found


class OnOneLineError(ValueError):
    """Three networks that span no plane, as when a network has collapsed and pruning takes nothing away that counts."""


def through(corners: tuple[State, State, State], prunable: Sequence[str], follow: bool) -> Plane:
    """Lay the plane through three states, see `Plane`.

    Raises:
        OnOneLineError: the three lie on one line.
    """
    start, *ends = (torch.cat([state.params[name].double().flatten() for name in prunable]) for state in corners)
    first, second = (end - start for end in ends)
    length, longest = float(first.norm()), float(second.norm())
    along = float(first @ second) / length if length else 0.0
    height = float((second - along / length * first).norm()) if length else 0.0
    if height <= _FLAT * max(length, longest):
        raise OnOneLineError(
            f"three networks must span a plane, got {length:.3g} and {longest:.3g} from the first to the others, on one line; "
            "leave this level out of planes"
        )
    return Plane(corners, tuple(prunable), np.array([[0.0, 0.0], [length, 0.0], [along, height]]), follow)


NOWHERE = np.empty((0, 2))


def covering(plane: Plane, num: int, margin: float, also: np.ndarray = NOWHERE) -> tuple[np.ndarray, np.ndarray]:
    """Place `num` values on each axis: they cover the corners, on each side `margin` times their extent more, and `also`."""
    low, high = plane.places.min(0), plane.places.max(0)
    ends = np.stack([low - margin * (high - low), high + margin * (high - low), *also])
    x, y = np.linspace(ends.min(0), ends.max(0), num).T
    return x, y


def centred(plane: Plane, num: int, margin: float, also: np.ndarray = NOWHERE) -> tuple[np.ndarray, np.ndarray]:
    """Place `num` values on each axis around the origin, alike, up to `1 + margin` times the farthest corner, and `also`."""
    far = (1 + margin) * np.linalg.norm(plane.places, axis=1).max()
    far = max(far, np.abs(also).max(initial=0.0))
    values = far * (2 * np.arange(num) - (num - 1)) / (num - 1)
    return values, values


def grid_points(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "num 2"]:
    """List the points of a grid, row by row: x runs fastest."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


class _Mixer:
    """The same tensors of three networks as columns of a matrix, and room for a mixture of them."""

    def __init__(self, corners: Sequence[Tensors]) -> None:
        self._columns = torch.stack([algebra.to_vector(corner) for corner in corners]).T
        self._mixed = torch.empty_like(self._columns[:, 0])
        self.tensors = algebra.views(self._mixed, corners[0])

    def mix(self, weights: Tensor) -> None:
        torch.mv(self._columns, weights, out=self._mixed)


class _Stem:
    """The outputs of three stems on one chunk. A stem is affine, its bias goes with the other tensors, so both just mix."""

    def __init__(self, stem: nn.Module, corners: Sequence[dict[str, Tensor]], x: Tensor, dtype: torch.dtype) -> None:
        outputs = [functional_call(stem, tensors, (x,)) for tensors in corners]
        biases = [functional_call(stem, tensors, (torch.zeros_like(x[:1]),)) for tensors in corners]
        self._whole, self._bias = (_Mixer([{"": t.to(dtype)} for t in each]) for each in (outputs, biases))
        self._dtype = outputs[0].dtype

    def at(self, own: Tensor, others: Tensor) -> Tensor:
        self._whole.mix(own)
        self._bias.mix(others - own)
        return self._whole.tensors[""].add_(self._bias.tensors[""]).to(self._dtype)


class _Body:
    """The bodies of three networks; `tensors` are those of the point that was mixed last."""

    def __init__(self, corners: Sequence[Tensors], prunable: Sequence[str]) -> None:
        floats = [name for name, tensor in corners[0].items() if tensor.is_floating_point()]
        groups = [name for name in floats if name in prunable], [name for name in floats if name not in prunable]
        self._mixers = [_Mixer([{n: corner[n] for n in names} for corner in corners]) if names else None for names in groups]
        # Integer tensors, BatchNorm's batch counters, play no part in evaluation.
        self.tensors = {**corners[0]}
        for mixer in filter(None, self._mixers):
            self.tensors |= mixer.tensors

    def mix(self, own: Tensor, others: Tensor) -> None:
        for mixer, weights in zip(self._mixers, (own, others), strict=True):
            if mixer:
                mixer.mix(weights)


@dataclass
class Sums:
    """What is known of points after `done` evaluations of one point on one chunk: chunks one by one, of each all points.

    Args:
        wrong: (num,) wrong predictions so far.
        loss: (num,) sums of losses so far, nats.
        done: evaluations so far.
        size: images a chunk; 0 before the first one.
    """

    wrong: Tensor
    loss: Tensor
    done: int = 0
    size: int = 0

    def total(self, num_images: int) -> int:
        """Count the evaluations that a split takes in chunks of this size."""
        return len(self.wrong) * -(-num_images // self.size)

    def resize(self, size: int) -> None:
        """Go on with chunks of this size; what was added up over others does not count."""
        if self.size not in (0, size):
            self.wrong.zero_()
            self.loss.zero_()
            self.done = 0
        self.size = size

    def add(self, i: int, logits: Tensor, y: Tensor) -> None:
        """Count one chunk at point `i`: `logits` (n, classes) against `y` (n,)."""
        self.wrong[i] += (logits.argmax(1) != y).sum()
        self.loss[i] += F.cross_entropy(logits.float(), y, reduction="sum").double()
        self.done += 1


def no_sums(num: int, device: torch.device | None = None) -> Sums:
    """Begin with `num` points of which nothing is known."""
    wrong, loss = torch.zeros(2, num, dtype=torch.float64, device=device)
    return Sums(wrong, loss)


@fitting
@torch.no_grad()
def scores(
    network: nn.Sequential,
    plane: Plane,
    points: Float[np.ndarray, "num 2"],
    split: Split,
    dataset: Dataset,
    numerics: Numerics | None = None,
    sums: Sums | None = None,
    report: Callable[[Sums], None] = lambda sums: None,
) -> list[Score]:
    """Evaluate points of a plane in eval mode; at a corner it is that state's own evaluation, bit for bit.

    The images go by once. The stem is affine in its parameters: it runs three times a chunk, and its output at a point is a
    mixture of these. All other tensors of a point are two matrix-vector products, a fraction of what the network itself takes.

    Args:
        network: template with a `stem` and a `body`.
        plane: what the points are on.
        points: their coordinates.
        split: the examples, (N, C, H, W).
        dataset: gives the normalisation.
        numerics: precision and memory layout; float32 if not given.
        sums: what an earlier call with the same points came to, to go on from there unless its chunks were of another size; it is
            added to.
        report: told after every evaluation of a point on a chunk.

    Returns:
        One score a point.
    """
    network.eval()
    numerics, device = numerics or Numerics(), split.y.device
    sums = sums or no_sums(len(points), device)
    sums.resize(chunk_size(split))
    wholes = [numerics.lay_all({**corner.params, **corner.buffers}) for corner in plane.corners]
    stems, like = [part(whole, "stem") for whole in wholes], wholes[0][plane.prunable[0]]
    assert all(f"stem.{name}" in plane.prunable or tensor.dim() == 1 for name, tensor in stems[0].items()), "only biases follow"
    own, others = (torch.from_numpy(weights).to(like) for weights in (plane.mixture(points), plane.others(points)))
    body = _Body([part(whole, "body") for whole in wholes], [name.removeprefix("body.") for name in plane.prunable])
    for number, (x, y) in enumerate(chunks(split, dataset, numerics)):
        todo = range(max(sums.done - number * len(points), 0), len(points))
        if not todo:
            continue
        with numerics.autocast(device):
            stem = _Stem(network[0], stems, x, like.dtype)
        for i in todo:
            hidden = stem.at(own[i], others[i])
            body.mix(own[i], others[i])
            with numerics.autocast(device):
                sums.add(i, functional_call(network[1], body.tensors, (hidden,)), y)
            report(sums)
    num = len(split.y)
    return [Score(wrong / num, loss / num) for wrong, loss in zip(sums.wrong.tolist(), sums.loss.tolist(), strict=True)]
