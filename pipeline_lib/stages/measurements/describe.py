"""States and masks -> how large weights are beside their mean, and how far states lie apart; without torch.

At level L of a ladder, its rewind point is the mask m(L) times W_k, its solution w(L) is what that trains to, and its
projection is m(L + 1) times w(L).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from pipeline_lib.analysis.magnitudes import Point, distances, quantiles
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job

STAGE = {
    "describe": {
        "group": "landscape",
        "needs": "states, masks",
        "makes": "magnitudes of weights, distances between states",
        "seconds": 1.0,
        "tables": {
            "magnitudes": {
                "of": ["the solution; of a projection that which is projected"],
                "columns": [
                    "task", "seed", "k", "start", "level",
                    ["of", "string", "-", "solution, over survivors; projection: of the level before, over that one's survivors"],
                    ["quantile", "double", "1", "share of the weights whose magnitudes are at most the ratio's"],
                    ["ratio", "double", "1", "magnitude at that quantile over the mean magnitude"],
                ],
            },
            "geometry": {
                "of": ["point 1, before it is masked", "point 2, before it is masked"],
                "columns": [
                    "task", "seed", "k",
                    ["point_1", "string", "-", "rewind (the masked W_k), solution, or projection (masked by the next level)"],
                    ["level_1", "int64", "-", "its level"],
                    ["point_2", "string", "-", "as point_1"],
                    ["level_2", "int64", "-", "its level"],
                    ["distance", "double", "1", "L2 distance over prunable weights"],
                ],
            },
        },
    }
}  # fmt: skip


class Solution(TypedDict):
    """A network: its start in words, its level, and the numbers of its state and, if there is one, its mask."""

    start: str
    level: int
    state: int
    mask: int | None


class Projection(TypedDict):
    """A solution that is masked by the next level: that level, and the numbers of its state and mask."""

    level: int
    state: int
    mask: int


class Spec(specs.Seeds):
    """Networks of a ladder to describe.

    Args:
        name: of the task.
        k: rewind step of the ladder.
        solutions: trained networks.
        projections: of them.
    """

    name: str
    k: int
    solutions: list[Solution]
    projections: list[Projection]


_POINTS = ("rewind", "solution", "projection")


@dataclass(frozen=True)
class _Member:
    """Reads what belongs to one seed, as vectors over all prunable weights; None stands for a run that has diverged."""

    job: Job[Spec]
    names: list[str]
    number: int

    def _vector(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([arrays[name].reshape(-1) for name in self.names])

    def weights(self, role: str, number: int = 0) -> np.ndarray | None:
        arrays, head = artifacts.read_arrays(self.job.reads[role][number] / "state.safetensors")
        return (
            None
            if head["diverged"][self.number]
            else self._vector({name: arrays[f"params/{name}"][self.number] for name in self.names})
        )

    def kept(self, number: int) -> np.ndarray | None:
        found, head = artifacts.read_masks(self.job.reads["masks"][number] / "mask.safetensors")
        return None if head["diverged"][self.number] else self._vector(found[self.number])


def _ratios(start: str, level: int, of: str, weights: np.ndarray, key: str) -> list[dict[str, Any]]:
    who = {"start": start, "level": level, "of": of, "key": key}
    return [who | {"quantile": quantile, "ratio": ratio} for quantile, ratio in quantiles(weights).items()]


def _keys(job: Job[Spec]) -> list[str]:
    """List the keys of the solutions."""
    return [artifacts.read_meta(folder / "state.safetensors")["key"] for folder in job.reads["states"]]


def _homes(job: Job[Spec], keys: list[str]) -> dict[Point, str]:
    """Give the key of the artifact that has the weights of each point of the ladder."""
    spec, rewind = job.spec, artifacts.read_meta(job.file("rewind", "state.safetensors"))["key"]
    solutions = [each for each in spec["solutions"] if each["start"] == f"k{spec['k']}"]
    found: dict[Point, str] = {("rewind", each["level"]): rewind for each in solutions}
    found |= {("solution", each["level"]): keys[each["state"]] for each in solutions}
    return found | {("projection", each["level"] - 1): keys[each["state"]] for each in spec["projections"]}


def _describe(spec: Spec, member: _Member, keys: list[str]) -> tuple[list[dict[str, Any]], dict[Point, np.ndarray]]:
    """Describe the magnitudes of one seed's networks, and collect its points; both without what has diverged."""
    rows: list[dict[str, Any]] = []
    points: dict[Point, np.ndarray] = {}
    solved: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    ladder, start = f"k{spec['k']}", member.weights("rewind")
    if start is None:
        return rows, points
    for each in spec["solutions"]:
        kept = np.ones(start.shape, dtype=bool) if each["mask"] is None else member.kept(each["mask"])
        if kept is None:
            continue
        if each["start"] == ladder:
            points["rewind", each["level"]] = start * kept
        weights = member.weights("states", each["state"])
        if weights is None:
            continue
        rows += _ratios(each["start"], each["level"], "solution", weights[kept], keys[each["state"]])
        if each["start"] == ladder:
            points["solution", each["level"]] = weights
            solved[each["state"]] = weights, kept
    for each in spec["projections"]:  # type: ignore[assignment]
        next_kept = member.kept(each["mask"])  # type: ignore[arg-type]
        if next_kept is None or each["state"] not in solved:
            continue
        weights, kept = solved[each["state"]]
        points["projection", each["level"] - 1] = weights * next_kept
        rows += _ratios(ladder, each["level"], "projection", (weights * next_kept)[kept], keys[each["state"]])
    return rows, points


def run(job: Job[Spec]) -> None:
    """Describe the networks of a chunk of seeds. There are no rows of a diverged run, nor of what would come from it.

    Magnitudes: of each solution over its survivors; of each projection over those of the solution that is projected, so that
    what was pruned counts as zeros. Its row has the level of the mask: level L is m(L) times w(L - 1).

    Geometry: between every two points of the ladder, its rewind points, solutions and projections. There a projection has the
    level of the solution that is projected: level L is m(L + 1) times w(L). In a row's pair, a rewind point comes before a
    solution and that before a projection, and of two alike the lower level.

    Source: paper C, figures 7 and 9, and section 3; ambiguity C-X16.
    """
    spec = job.spec
    names, keys = artifacts.read_meta(job.file("rewind", "state.safetensors"))["prunable"], _keys(job)
    homes = _homes(job, keys)
    sizes: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for i, seed in enumerate(spec["seeds"]):
        who = {"task": spec["name"], "seed": seed, "k": spec["k"]}
        rows, points = _describe(spec, _Member(job, names, i), keys)
        sizes += [who | row for row in rows]
        ordered = {point: points[point] for point in sorted(points, key=lambda point: (_POINTS.index(point[0]), point[1]))}
        for ((one, level_1), (other, level_2)), distance in distances(ordered).items():
            pair = {"point_1": one, "level_1": level_1, "point_2": other, "level_2": level_2}
            pair |= {"key": homes[one, level_1], "other_key": homes[other, level_2]}
            apart.append(who | pair | {"distance": distance})
    artifacts.write_rows(job.folder / "magnitudes.parquet", sizes)
    artifacts.write_rows(job.folder / "geometry.parquet", apart)
