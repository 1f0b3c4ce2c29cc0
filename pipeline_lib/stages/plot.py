"""Tables -> one figure, as SVG and PNG."""

from __future__ import annotations

from functools import partial

from pipeline_lib import figure_style, files, registry, tables, verify
from pipeline_lib.job import Job


def run(job: Job) -> None:
    """Draw one figure and save it in both formats, with the same bytes every time."""
    frames = tables.divided({name: tables.read(folders[0] / "table.parquet") for name, folders in job.reads.items()})
    draw = registry.entries("figures")[job.spec["figure"]].load()
    with figure_style.applied():
        figure = draw(frames, sparse_levels=job.spec["sparse_levels"])
        for suffix in ("svg", "png"):
            save = partial(figure_style.save, figure, suffix=suffix, source=verify.mark(job.key))
            files.write_atomic(job.folder / f"figure.{suffix}", save)
