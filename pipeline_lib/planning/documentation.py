"""The pages that are made from declarations. Run as a program in a checkout, it writes them all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from pipeline_lib.experiments.config import ROOT
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.settings import document, schema
from pipeline_lib.planning.declared import COLUMNS, STAGES
from pipeline_lib.tables.columns import FIND


def tables() -> str:
    """Write the data dictionary, `docs/tables.md`, from the same text as the Parquet metadata."""
    lines = [
        "# Tables",
        "",
        "One row a replicate or pair. Shares are in [0, 1]. Units and meanings are in the Parquet schema metadata too.",
        "",
        "Every row has the `key` of the artifact that it was measured on, and `other_key` if it is about two. Its folder is",
        f"`{FIND}`, and `index.parquet` has a row of it. Runs that one job trained are in one artifact; `member` is the",
        "place of a row's own along the first axis of its tensors. A file's metadata say its experiment, schema and versions.",
        "",
    ]
    for table, columns in COLUMNS.items():
        lines += [f"## {table}", "", "| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in columns]
        lines.append("")
    return "\n".join(lines)


def stages() -> str:
    """Write `docs/stages.md` from what the stages' files declare."""
    lines = [
        "# Stages",
        "",
        "Each is a rule of the workflow, a command `python -m pipeline_lib STAGE FOLDER --plan FILE`, and a file of",
        "`pipeline_lib/stages/`, which declares all of this. Minutes and megabytes are what a first attempt asks a queue for",
        "(`set-resources` of a profile changes them); stages without run beside the driver.",
        "",
    ]
    for group, members in groupby(STAGES.values(), key=lambda stage: stage.group):
        lines += [f"## {group}", "", "| stage | needs | makes | files | tables | minutes | megabytes |", "| --- " * 7 + "|"]
        for stage in members:
            asked = [str(stage.cluster[key]) if stage.cluster else "" for key in ("minutes", "megabytes")]
            names = (", ".join(f"`{name}`" for name in each) for each in (stage.files, stage.tables))
            lines.append("| " + " | ".join([f"`{stage.name}`", stage.needs, stage.makes, *names, *asked]) + " |")
        lines.append("")
    return "\n".join(lines)


# Figures that are kept under the name of their experiment.
RENAMED = {"critical_period": "accuracy_by_start", "signs_small": "accuracy_by_start", "scales_telemetry": "telemetry"}


def library() -> str:
    """Write `docs/api.md`: what the site shows of each public name is its docstring."""
    import pipeline_lib

    lines = [
        "# The library",
        "",
        "All that `import pipeline_lib as rw` offers. The site fills in each one's formula, arguments and example, as",
        "`help(rw.path)` prints them; [the tour](tour.md) shows them at work. Functions that take a world and states take",
        "modules and data, too (`help(rw.train)` and `pipeline_lib.notebook.own` have what they take then).",
        "",
    ]
    for name in pipeline_lib.__all__:
        public = getattr(pipeline_lib, name)
        lines += [f"::: {public.__module__}.{name}", ""]
    return "\n".join(lines)


def gallery() -> str:
    """Write `docs/gallery.md`: the figures that are kept in `docs/reproductions`, with their captions."""
    lines = [
        "# Gallery",
        "",
        "Real figures, as the workflow drew them. The page of each experiment has its numbers and what differs from the paper.",
        "",
    ]
    for page in sorted((ROOT / "docs" / "reproductions").glob("*/README.md")):
        folder = f"reproductions/{page.parent.name}"
        title = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# ")).removeprefix("# ")
        lines += [f"## {title}", "", f"[Numbers, verdicts, what differs]({folder}/README.md).", ""]
        for figure in sorted((page.parent / "figures").glob("*.png")):
            caption = FIGURES[RENAMED.get(figure.stem, figure.stem)].caption
            lines += [f"![{figure.stem}]({folder}/figures/{figure.name})", "", f"*`{figure.stem}`: {caption}*", ""]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "docs/tables.md": tables,
    "docs/stages.md": stages,
    "docs/config.md": document.document,
    "docs/api.md": library,
    "docs/gallery.md": gallery,
    "workflow/schemas/config.schema.yaml": schema.text,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(page().rstrip() + "\n", encoding="utf-8")
