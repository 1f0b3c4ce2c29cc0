"""Tables -> one figure, as SVG, PNG and PDF."""

from __future__ import annotations

from functools import partial
from typing import NotRequired, TypedDict

from pipeline_lib.core import files, registry
from pipeline_lib.figures.support import finish, style
from pipeline_lib.stages.derive import Facts
from pipeline_lib.store import verification
from pipeline_lib.store.job import Job
from pipeline_lib.tables import tabulation

STAGE = {
    "plot": {
        "group": "results",
        "needs": "tables",
        "makes": "one figure",
        "files": ["figure.svg", "figure.png", "figure.pdf"],
        "seconds": 2.0,
    }
}  # fmt: skip


class Spec(TypedDict):
    """A figure.

    Args:
        experiment: that it is of.
        figure: which one.
        sparse_levels: of each task, where the figure shows sparse networks; else none.
        told: what else it asks for, each by task.
    """

    experiment: str
    figure: str
    sparse_levels: dict[str, int]
    told: NotRequired[Facts]


def run(job: Job[Spec]) -> None:
    """Draw one figure and save it in all formats, with the same bytes every time."""
    frames = tabulation.divided({name: tabulation.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    draw = registry.entries("figures")[job.spec["figure"]].load()
    with style.applied():
        figure = finish.finish(draw(frames, sparse_levels=job.spec["sparse_levels"], **job.spec.get("told", {})))
        for suffix in style.SUFFIXES:
            save = partial(style.save, figure, suffix=suffix, source=verification.mark(job.key))
            files.write_atomic(job.folder / f"figure.{suffix}", save)
        style.close(figure)
