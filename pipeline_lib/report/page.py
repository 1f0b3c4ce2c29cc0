"""The page: what is there of an experiment as one HTML file that needs nothing else and asks no network for anything."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from pipeline_lib.core import sources
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.planning import numbers
from pipeline_lib.planning.claims_cost import Costs
from pipeline_lib.report import claims, figures, provenance, tables
from pipeline_lib.report.contents import Contents, anchor, listed, title

_ASSETS = sources.ROOT / "report" / "assets"


def asset(name: str) -> str:
    """Read a file of the page: templates, style and script."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def has_plotly() -> bool:
    """Tell whether plotly is installed, by which values are told on hover."""
    return find_spec("plotly") is not None


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def rendered(template: str, **values: Any) -> str:
    """Fill a template; what is put into it is escaped.

    Args:
        template: its file's name.
        values: by the names that it has for them.
    """
    import jinja2

    loader, strict = jinja2.FunctionLoader(asset), jinja2.StrictUndefined
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(values | {"asset": asset, "anchor": anchor})


def _settings(e: Experiment) -> dict[str, dict[str, str]]:
    """Say what was asked for, by task."""
    return {
        task: {
            "seeds": str(len(grid.seeds)),
            "orders of SGD noise": str(len(grid.orders)),
            "rewind steps": listed(grid.rewind),
            "pruning levels": str(grid.levels),
            "controls": listed(grid.controls) or "none",
        }
        for task, grid in e.grids.items()
    }


def _drawn(contents: Contents) -> tuple[list[figures.Drawn], list[str]]:
    """Read the figures that are there; say what is wrong with damaged ones."""
    found, faults = [], list(contents.faults)
    for name in (name for name in contents.ordered_figures if name in contents.figures):
        try:
            found.append(figures.read(contents, name))
        except (OSError, ValueError) as error:
            faults.append(f"figure {name}: {error}")
    return found, faults


def make(contents: Contents, links: Mapping[str, str]) -> str:
    """Make the page of an experiment.

    Args:
        contents: what is there.
        links: further reports beside it: address by what it is called.

    Returns:
        HTML.
    """
    drawn, faults = _drawn(contents)
    costs = Costs(contents.plan.config.results)
    judged = claims.read(contents.tables["claims"], costs) if "claims" in contents.tables else []
    names = [figure.name for figure in drawn]
    return rendered(
        "page.html",
        title=title(contents.experiment.name),
        experiment=contents.experiment.name,
        settings=_settings(contents.experiment),
        numbers=numbers.lines(contents.tables),
        figures=drawn,
        claims=judged,
        verdicts=claims.verdicts(each.verdict for each in judged),
        rest=claims.rest(contents.tables.get("claims"), contents.experiment.name, costs),
        tables=[tables.show(contents, name, names) for name in contents.tables if name != "claims"],
        provenance=provenance.read(contents),
        missing=contents.missing,
        faults=faults,
        links=links,
        plotly=_plotly() if has_plotly() and any(figure.twin for figure in drawn) else None,
    )
