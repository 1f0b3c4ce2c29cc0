"""Three states -> test error on the plane through them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline_lib.analysis.planes import OnOneLineError, Sums, covering, grid_points, scores, through
from pipeline_lib.core.pace import Pace
from pipeline_lib.stages.landscape.interpolate import check_end, trained
from pipeline_lib.stages.landscape.slice import point_rows
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log

STAGE = {
    "triangle": {
        "needs": "three states",
        "makes": "error on the plane through them",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": ["points", "points"],
        "tables": {
            "triangles": {
                "columns": [
                    "task", "seed",
                    ["state_1", "string", "-", "the network at the origin"],
                    ["state_2", "string", "-", "the network on the x axis"],
                    ["state_3", "string", "-", "the third network"],
                    "x", "y", "test_error", "test_loss",
                ],
            },
            "corners": {
                "of": ["the network"],
                "columns": [
                    "task", "seed",
                    ["state_1", "string", "-", "the network at the origin"],
                    ["state_2", "string", "-", "the network on the x axis"],
                    ["state_3", "string", "-", "the third network"],
                    ["state", "string", "-", "the network at this corner"],
                    "x", "y", "test_error", "test_loss",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Measured):
    """A plane through three networks.

    Args:
        seed: of the members that are taken.
        states: what the three are called, as tables have it.
        points: along each side.
        margin: how much farther it reaches than the three, as a share of their extent.
    """

    seed: int
    states: list[str]
    points: int
    margin: float


def run(job: Job[Spec]) -> None:
    """Evaluate the plane on the test split. Weights that are prunable span it, all others are mixed as at the nearest point."""
    spec, world = job.spec, data.world(job)
    read = [trained([folder], world.device, spec["seed"]) for folder in job.reads["states"]]
    names, runs = read[0][1], [next(iter(found.values())) for found, _ in read]
    try:
        plane = through((runs[0].state, runs[1].state, runs[2].state), names, follow=True)
    except OnOneLineError as error:
        raise ValueError(f"states {', '.join(spec['states'])} must span a plane, got: {error}; choose another") from None
    points = np.concatenate([grid_points(*covering(plane, spec["points"], spec["margin"])), plane.places])
    test = world.dataset.test
    pace, called = Pace(0), ", ".join(spec["states"])

    def report(sums: Sums) -> None:
        pace.total = sums.total(len(test.y))
        if pace.due(sums.done):
            text, told = "plane evaluation %d/%d, %.1f a second, %.0f s left", {"who": called, "pace": pace}
            log.info(text, pace.done, pace.total, pace.speed, pace.left, extra=told)

    found = scores(world.network, plane, points, test, world.dataset, world.numerics, report=report)
    who: dict[str, Any] = {"task": spec["task"]["name"], "seed": spec["seed"]}
    who |= {f"state_{i}": name for i, name in enumerate(spec["states"], 1)}
    rows = point_rows(who, points, found)
    for own, score in zip(runs, found[-3:], strict=True):
        check_end(own, "test", score)
    corners = [row | {"state": name, "key": own.key} for row, name, own in zip(rows[-3:], spec["states"], runs, strict=True)]
    artifacts.write_rows(job.folder / "triangles.parquet", rows[:-3])
    artifacts.write_rows(job.folder / "corners.parquet", corners)
