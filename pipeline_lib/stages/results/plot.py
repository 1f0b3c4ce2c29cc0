"""Tables -> one figure, as SVG, PNG and PDF, and what it shows as a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar, cast

from pipeline_lib.core import files, registry
from pipeline_lib.figures.support import finish, numbers, style
from pipeline_lib.stages.results.derive import Facts
from pipeline_lib.store import verification
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, tabulation

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

STAGE = {
    "plot": {
        "group": "results",
        "needs": "tables",
        "makes": "one figure",
        "files": ["figure.svg", "figure.png", "figure.pdf", "figure.csv", "figure.html", "figure.tex"],
        "seconds": 2.0,
    }
}  # fmt: skip


class Spec(TypedDict):
    """A figure.

    Args:
        experiment: that it is of.
        figure: which one.
        sparse_levels: of each task, where the figure shows sparse networks; else none.
        titles: how the figure calls each task; none where it is of no task.
        told: what else it asks for, each by task.
    """

    experiment: str
    figure: str
    sparse_levels: dict[str, int]
    titles: dict[str, str]
    told: NotRequired[Facts]


def _renamed(by_task: Mapping[str, T], titles: Mapping[str, str]) -> dict[str, T]:
    return {titles.get(task, task): value for task, value in by_task.items()}


def _titled(frame: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Call tasks by their titles, also where claims are about them."""
    named = [column for column in columns.OF_TASKS if column in frame]
    return frame.assign(**{column: [titles.get(task, task) for task in frame[column]] for column in named})


def run(job: Job[Spec]) -> None:
    """Draw one figure and save it and what it shows in all formats, with the same bytes every time."""
    spec, titles = job.spec, job.spec["titles"]
    read = {name: tabulation.read(folders[0] / "table.parquet") for name, folders in job.reads.items()}
    frames = tabulation.divided({name: _titled(frame, titles) for name, frame in read.items()})
    told = {name: _renamed(each, titles) for name, each in cast("dict[str, Any]", spec.get("told", {})).items()}
    draw = registry.entries("figures")[spec["figure"]].load()
    with style.applied():
        figure = finish.finish(draw(frames, sparse_levels=_renamed(spec["sparse_levels"], titles), **told))
        for suffix in style.SUFFIXES:
            save = partial(style.save, figure, suffix=suffix, source=verification.mark(job.key))
            files.write_atomic(job.folder / f"figure.{suffix}", save)
        shown = numbers.of(figure)
        for suffix in numbers.SUFFIXES:
            save_table = partial(numbers.save, shown, suffix=suffix, source=verification.mark(job.key))
            files.write_atomic(job.folder / f"figure.{suffix}", save_table)
        style.close(figure)
