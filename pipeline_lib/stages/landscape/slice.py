"""Solution, and two networks beside it -> test error in the plane through the three."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline_lib.analysis.planes import OnOneLineError, Plane, Sums, centred, covering, grid_points, no_sums, scores, through
from pipeline_lib.analysis.rays import reaches
from pipeline_lib.core.pace import Pace
from pipeline_lib.core.types import State
from pipeline_lib.stages.landscape.interpolate import Trained, check_end, projected, trained
from pipeline_lib.stages.support import data, dense
from pipeline_lib.store import artifacts, resumption, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.tables import rules
from pipeline_lib.training.evaluation import Score

STAGE = {
    "slice": {
        "needs": "three states",
        "makes": "error on the plane through them",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": ["points", "points", "seeds"],
        "tables": {
            "planes": {
                "of": ["the solution", "the next solution; null for directions"],
                "columns": ["task", "seed", "plane", "k", "level", "x", "y", "test_error", "test_loss"],
            },
            "marks": {
                "of": ["the network at the mark; of one that is pruned only, the solution"],
                "columns": [
                    "task", "seed", "plane", "k", "level",
                    ["mark", "string", "-", "solution, projection, next; of directions: solution, and where each pruning leads"],
                    "x", "y", "test_error", "test_loss",
                ],
            },
            "reaches": {
                "of": ["the solution", "the next solution; null for directions"],
                "columns": [
                    "task", "seed", "plane", "k", "level",
                    ["axis", "string", "-", "x or y: along which the set is left"],
                    ["forwards", "bool", "-", "towards larger coordinates"],
                    ["of", "string", "-", "dense: the error that matches dense networks; own: the solution's plus epsilon"],
                    ["threshold", "double", "1", "test error at most which a network belongs to the set"],
                    ["reach", "double", "1", "distance from the solution to the border, by bisection; null if far out"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """A plane through solutions.

    Args:
        plane: `pruning` or `directions`.
        points: along each side.
        margin: what is seen beyond the marks, as a share of their extent.
    """

    plane: str
    points: int
    margin: float


Rows = list[dict[str, Any]]
_STEPS, _FAR = 8, 4  # steps outwards a longest side of the triangle, and how many of its lengths are looked at
_BEYOND = 1.1  # how far a plane shows what is beyond a border, as a share of the reach
_MARKS = {"pruning": ("projection", "next", "solution"), "directions": ("solution", "magnitude", "random")}


def _trained(job: Job[Spec], role: str, seed: int, place: torch.device) -> tuple[Trained, list[str]]:
    """Read a seed's run of the ladder, and the names of prunable tensors."""
    runs, names = trained(job.reads[role], place, seed)
    return runs[min(runs)], names


def _networks(job: Job[Spec], seed: int, place: torch.device) -> tuple[dict[str, State | None], dict[str, Trained], list[str]]:
    """Give the networks at the marks of a seed's plane, None for those that have diverged; which of them are runs; and names."""
    run, names = _trained(job, "state", seed, place)
    runs, masks = {"solution": run}, {"projection": "mask"}
    if job.spec["plane"] == "pruning":
        runs["next"], _ = _trained(job, "next", seed, place)
    else:
        masks = {"magnitude": "mask", "random": "random"}
    networks = runs | {mark: projected(run, job.reads[role][0], seed) for mark, role in masks.items()}
    return {mark: None if own.diverged else own.state for mark, own in networks.items()}, runs, names


def _plane(spec: Spec, corners: list[State], names: list[str]) -> Plane:
    """Lay the plane through three networks."""
    return through((corners[0], corners[1], corners[2]), names, follow=spec["plane"] == "pruning")


def _points(spec: Spec, plane: Plane, borders: np.ndarray) -> np.ndarray:
    """List the points of a plane: those of the grid, which covers the marks and the set's borders, then the marks."""
    window = covering if spec["plane"] == "pruning" else centred
    return np.concatenate([grid_points(*window(plane, spec["points"], spec["margin"], borders)), plane.places])


def _thresholds(job: Job[Spec], own: float) -> dict[str, float]:
    """Give the errors up to which a network matches the dense ones, and has the solution's error up to their deviation."""
    errors = dense.errors(job)
    highest = float(rules.matching_error(errors)) if errors else math.nan
    return {"dense": highest, "own": own + highest - float(np.nanmean(errors))} if math.isfinite(highest) else {}


def _reaches(job: Job[Spec], world: data.World, plane: Plane, own: float, notes: resumption.Notes) -> tuple[Rows, np.ndarray]:
    """Find how far the sets of a solution, of this error, reach along both axes, and points a little beyond their borders."""
    centre = plane.places[_MARKS[job.spec["plane"]].index("solution")]
    test, ways = world.dataset.test, np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])

    def errors(asked: list[tuple[int, float]]) -> list[float]:
        points = np.array([centre + distance * ways[ray] for ray, distance in asked])
        found = scores(world.network, plane, points, test, world.dataset, world.numerics, report=lambda sums: notes.save())
        return [score.error for score in found]

    limits = _thresholds(job, own)
    step = np.linalg.norm(plane.places[[1, 2, 0]] - plane.places, axis=1).max() / _STEPS
    found = reaches(errors, len(ways), own, list(limits.values()), [step * i for i in range(1, _FAR * _STEPS + 1)])
    rows = [
        {"axis": "xy"[ray // 2], "forwards": ray % 2 == 0, "of": name, "threshold": limit, "reach": found[ray, i]}
        for i, (name, limit) in enumerate(limits.items())
        for ray in range(len(ways))
    ]
    ends = [centre + _BEYOND * reach * ways[ray] for (ray, _), reach in found.items() if reach]
    return rows, np.array(ends).reshape(-1, 2)


def _noting(notes: resumption.Notes, seed: int, sums: Sums, num_images: int) -> Callable[[Sums], None]:
    """Make what takes down how far a seed is, and logs it every few seconds."""
    notes.tensors |= {f"{seed}/wrong": sums.wrong, f"{seed}/loss": sums.loss}
    pace = Pace(0, sums.done)

    def report(now: Sums) -> None:
        notes.facts[str(seed)] = [now.done, now.size]
        notes.save()
        pace.total = now.total(num_images)
        if pace.due(now.done):
            text, told = "seed %d evaluation %d/%d, %.1f a second, %.0f s left", {"who": f"seed {seed}", "pace": pace}
            log.info(text, seed, pace.done, pace.total, pace.speed, pace.left, extra=told)

    return report


def _so_far(notes: resumption.Notes, seed: int, num: int, num_images: int, place: torch.device) -> Sums:
    """Read how far an earlier try came with a seed; nothing if it had not begun."""

    def read() -> Sums:
        (done, size), sums = notes.facts[str(seed)], [notes.tensors[f"{seed}/{name}"] for name in ("wrong", "loss")]
        wrong, loss = (each.to(place) for each in sums)
        found = Sums(wrong, loss, done, size)
        right = all(type(n) is int for n in (done, size)) and size > 0 and 0 <= done <= found.total(num_images)
        if not right or any(s.shape != (num,) or s.dtype != torch.float64 for s in sums):
            raise ValueError(f"kept sums of seed {seed} must be of {num} points, got others; they are left aside")
        return found

    anew = no_sums(num, place)
    return notes.recall(read, anew) if str(seed) in notes.facts else anew


def point_rows(who: dict[str, Any], points: np.ndarray, found: list[Score]) -> Rows:
    """Make a row of each point of a plane."""
    both = zip(points.tolist(), found, strict=True)
    return [who | {"x": x, "y": y, "test_error": score.error, "test_loss": score.loss} for (x, y), score in both]


def run(job: Job[Spec]) -> None:
    """Evaluate the planes of a chunk of seeds on the test split; no rows of a seed that has diverged or spans none.

    A plane covers its marks and the solution's set, whose borders are found first.
    """
    spec, world, names = job.spec, data.world(job), _MARKS[job.spec["plane"]]
    test, place = world.dataset.test, world.device
    planes: Rows = []
    marks: Rows = []
    borders: Rows = []
    with resumption.noted(job) as notes:
        for seed in spec["seeds"]:
            states, runs, prunable = _networks(job, seed, place)
            corners = [state for state in (states[mark] for mark in names) if state]
            if len(corners) < len(names):
                log.info("seed %d: no plane, a network of it has diverged", seed)
                continue
            try:
                plane = _plane(spec, corners, prunable)
            except OnOneLineError as error:
                log.info("seed %d: no plane, %s", seed, error)
                continue
            own_borders, seen = _reaches(job, world, plane, float(runs["solution"].errors["test"] or 0.0), notes)
            points = _points(spec, plane, seen)
            sums = _so_far(notes, seed, len(points), len(test.y), place)
            report = _noting(notes, seed, sums, len(test.y))
            found = scores(world.network, plane, points, test, world.dataset, world.numerics, sums, report)
            at_marks = dict(zip(names, found[-len(names) :], strict=True))
            for mark, own in runs.items():
                check_end(own, "test", at_marks[mark])
            who = {"task": spec["task"]["name"], "seed": seed} | {key: spec[key] for key in ("plane", "k", "level")}
            home = {mark: runs[mark if mark in runs else "solution"].key for mark in names}  # others are what is left of it
            other = {"key": home["solution"], "other_key": home.get("next")}
            borders += [who | row | other for row in own_borders]
            planes += point_rows(who | other, points[: -len(names)], found[: -len(names)])
            at = zip(point_rows(who, plane.places, found[-3:]), names, strict=True)
            marks += [row | {"mark": mark, "key": home[mark]} for row, mark in at]
        artifacts.write_rows(job.folder / "planes.parquet", planes)
        artifacts.write_rows(job.folder / "marks.parquet", marks)
        artifacts.write_rows(job.folder / "reaches.parquet", borders)
