"""Reports on disk: each experiment's page and its zip, and a page that leads to several."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.planning import plan_file
from pipeline_lib.planning.nodes import Plan
from pipeline_lib.report import claims, contents, page
from pipeline_lib.report.contents import Contents

PAGE, ZIP = "report/index.html", "report.zip"
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same report has the same bytes


def _write_text(path: Path, text: str) -> None:
    def write(own: Path) -> None:
        own.write_text(text, encoding="utf-8")

    files.write_atomic(path, write)


def snakemakes(plan: Plan) -> Path:
    """Say where Snakemake's own report of a plan belongs: with the first experiment, named by the plan, as others are outdated.

    Args:
        plan: what config and code make now.
    """
    return plan.config.results / next(iter(plan.config.experiments)) / "report" / f"snakemake-{plan.identity()}.html"


def _pack(found: Contents) -> None:
    """Put the page, the tables and the figures into a zip, in the places that the page's links have."""
    name, results = found.experiment.name, found.plan.config.results
    there = {f"{name}/{table}.parquet" for table in found.tables}
    there |= {f"{name}/figures/{figure}" for figure in found.figures}
    copies = [copy for copy in plan_file.published(found.plan) if {copy, copy.rpartition(".")[0]} & there]
    more = [f"{name}/{PAGE}", str(snakemakes(found.plan).relative_to(results))]

    def write(own: Path) -> None:
        with zipfile.ZipFile(own, "w", zipfile.ZIP_DEFLATED) as packed:
            for each in sorted([*copies, *more]):
                if (results / each).is_file():
                    packed.writestr(zipfile.ZipInfo(each, _DATE), (results / each).read_bytes(), zipfile.ZIP_DEFLATED)

    files.write_atomic(found.folder / ZIP, write)


def _overview(plan: Plan, every: list[Contents]) -> Path:
    """Write the page that leads to the reports of several experiments."""
    path = plan.config.results / "index.html"
    experiments = [
        {
            "name": each.experiment.name,
            "tasks": contents.listed(each.experiment.grids),
            "figures": len(each.figures),
            "missing": len(each.missing["figures"]),
            "verdicts": claims.verdicts(each.tables["claims"]["verdict"]) if "claims" in each.tables else {},
            "address": f"{each.experiment.name}/{PAGE}",
        }
        for each in every
    ]
    _write_text(path, page.rendered("index.html", experiments=experiments))
    return path


def write(plan: Plan) -> list[Path]:
    """Write the reports of a plan's experiments.

    Args:
        plan: what config and code make now.

    Returns:
        The pages: of several experiments, first the one that leads to the others.

    Raises:
        ValueError: nothing is there of any of them.
    """
    every = [contents.read(plan, name) for name in plan.config.experiments]
    if not any(each.tables or each.figures or each.faults for each in every):
        names = contents.listed(plan.config.experiments)
        raise ValueError(f"report must be of a run, got no table or figure of {names} in {plan.config.results}; run it first")
    theirs = snakemakes(plan)
    for each in every:
        links = {"Snakemake's own report": f"../../{theirs.relative_to(plan.config.results)}"} if theirs.is_file() else {}
        _write_text(each.folder / PAGE, page.make(each, links))
        _pack(each)
    pages = [each.folder / PAGE for each in every]
    return [_overview(plan, every), *pages] if len(every) > 1 else pages
