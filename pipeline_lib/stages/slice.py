"""Solution, and two networks beside it -> test error in the plane through the three."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline_lib.analysis.planes import OnOneLineError, Plane, Sums, centred, covering, grid_points, no_sums, scores, through
from pipeline_lib.core.pace import Pace
from pipeline_lib.core.types import State
from pipeline_lib.stages.interpolate import Trained, check_end, projected, trained
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, resumption, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import Score, chunk_size

STAGE = {
    "slice": {
        "group": "landscape",
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


def _plane(spec: Spec, corners: list[State], names: list[str]) -> tuple[Plane, np.ndarray]:
    """Lay the plane and list its points: those of the grid, then the marks."""
    pruning = spec["plane"] == "pruning"
    plane = through((corners[0], corners[1], corners[2]), names, follow=pruning)
    grid = grid_points(*(covering if pruning else centred)(plane, spec["points"], spec["margin"]))
    return plane, np.concatenate([grid, plane.places])


def _noting(notes: resumption.Notes, seed: int, sums: Sums, total: int) -> Callable[[Sums], None]:
    """Make what takes down how far a seed is, and logs it every few seconds."""
    notes.tensors |= {f"{seed}/wrong": sums.wrong, f"{seed}/loss": sums.loss}
    pace = Pace(total, sums.done)

    def report(now: Sums) -> None:
        notes.facts[str(seed)] = now.done
        notes.save()
        if pace.due(now.done):
            log.info("seed %d evaluation %d/%d, %.1f a second, %.0f s left", seed, pace.done, total, pace.speed, pace.left)

    return report


def _so_far(notes: resumption.Notes, seed: int, num: int, total: int, place: torch.device) -> Sums:
    """Read how far an earlier try came with a seed; nothing if it had not begun."""

    def read() -> Sums:
        done, sums = notes.facts[str(seed)], [notes.tensors[f"{seed}/{name}"] for name in ("wrong", "loss")]
        if type(done) is not int or not 0 <= done <= total or any(s.shape != (num,) or s.dtype != torch.float64 for s in sums):
            raise ValueError(f"kept sums of seed {seed} must be of {num} points, got others; they are left aside")
        wrong, loss = (each.to(place) for each in sums)
        return Sums(wrong, loss, done)

    anew = no_sums(num, place)
    return notes.recall(read, anew) if str(seed) in notes.facts else anew


def _rows(who: dict[str, Any], points: np.ndarray, found: list[Score]) -> Rows:
    both = zip(points.tolist(), found, strict=True)
    return [who | {"x": x, "y": y, "test_error": score.error, "test_loss": score.loss} for (x, y), score in both]


def run(job: Job[Spec]) -> None:
    """Evaluate the planes of a chunk of seeds on the test split; no rows of a seed that has diverged or spans none."""
    spec, world, names = job.spec, data.world(job), _MARKS[job.spec["plane"]]
    test, place = world.dataset.test, world.device
    num_chunks = -(-len(test.y) // chunk_size(test))
    planes: Rows = []
    marks: Rows = []
    with resumption.noted(job) as notes:
        for seed in spec["seeds"]:
            states, runs, prunable = _networks(job, seed, place)
            corners = [state for state in (states[mark] for mark in names) if state]
            if len(corners) < len(names):
                log.info("seed %d: no plane, a network of it has diverged", seed)
                continue
            try:
                plane, points = _plane(spec, corners, prunable)
            except OnOneLineError as error:
                log.info("seed %d: no plane, %s", seed, error)
                continue
            total = len(points) * num_chunks
            sums = _so_far(notes, seed, len(points), total, place)
            report = _noting(notes, seed, sums, total)
            found = scores(world.network, plane, points, test, world.dataset, world.numerics, sums, report)
            at_marks = dict(zip(names, found[-len(names) :], strict=True))
            for mark, own in runs.items():
                check_end(own, "test", at_marks[mark])
            who = {"task": spec["task"]["name"], "seed": seed} | {key: spec[key] for key in ("plane", "k", "level")}
            home = {mark: runs[mark if mark in runs else "solution"].key for mark in names}  # others are what is left of it
            other = {"key": home["solution"], "other_key": home.get("next")}
            planes += _rows(who | other, points[: -len(names)], found[: -len(names)])
            at = zip(_rows(who, plane.places, found[-3:]), names, strict=True)
            marks += [row | {"mark": mark, "key": home[mark]} for row, mark in at]
        artifacts.write_rows(job.folder / "planes.parquet", planes)
        artifacts.write_rows(job.folder / "marks.parquet", marks)
