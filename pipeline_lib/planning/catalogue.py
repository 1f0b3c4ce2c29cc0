"""What there is, by kind: what may be asked for, read off declarations and registries, and what was found, read off tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.claims import loading
from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.validation import read_yaml
from pipeline_lib.planning import task_list
from pipeline_lib.planning.declared import COLUMNS, DERIVED, STAGES, TABLES
from pipeline_lib.tables import tabulation

Row = dict[str, Any]
REGISTRIES = (
    *("networks", "datasets", "optimisers", "schedules", "initialisers", "criteria", "ratios", "strategies", "perturbations"),
    *("pretexts", "derivatives", "measures"),
)
_OF_RUNS = ("task", "kind", "k", "level", "seed", "noise_order", "change", "test_error", "key", "member")
_JUDGED = (
    "verdict",
    "claim",
    "family",
    "setting",
    "measured",
    "low",
    "high",
    "unit",
    "paper_value",
    "needs",
    "text",
    "source",
    "key",
)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def experiments(results: Path) -> list[Row]:
    """List the experiments that have a config file here."""
    folder = config.ROOT / "config"
    found = []
    for path in [folder / "config.yaml", *sorted((folder / "experiments").glob("*.yaml"))]:
        about = _first_line(path.read_text(encoding="utf-8")).lstrip("# ")
        for name, asked in read_yaml(path)["experiments"].items():
            found.append(
                {"experiment": name, "config": str(path.relative_to(config.ROOT)), "tasks": list(asked["tasks"]), "about": about}
            )
    return found


def tasks(results: Path) -> list[Row]:
    """List the tasks of config/tasks."""
    return [dict(row) for row in task_list.rows()]


def figures(results: Path) -> list[Row]:
    """List the figures that an experiment may draw."""
    return [{"figure": name, "tables": list(each.tables), "caption": each.caption} for name, each in FIGURES.items()]


def tables(results: Path) -> list[Row]:
    """List the tables that experiments have."""
    made = {**TABLES, **{name: f"derive, from {', '.join(each.sources)}" for name, each in DERIVED.items()}}
    return [{"table": name, "columns": len(each), "made_by": made.get(name, "judge")} for name, each in COLUMNS.items()]


def stages(results: Path) -> list[Row]:
    """List the stages, which make artifacts."""
    return [{"stage": each.name, "needs": each.needs, "makes": each.makes} for each in STAGES.values()]


def claims(results: Path) -> list[Row]:
    """List the papers' claims."""
    found = [claim for path in sorted(config.CLAIMS.glob("*.yaml")) for claim in loading.load(path)]
    return [{"claim": each.id, "paper": each.family, "tasks": list(each.tasks), "text": each.text} for each in found]


def published(results: Path, table: str) -> Iterator[tuple[str, Any]]:
    """Read a table of each experiment that has it in a results folder; a damaged one is left out where there are others.

    Raises:
        ValueError: all are damaged.
    """
    paths = sorted(results.glob(f"*/{table}.parquet"))
    faults = []
    for path in paths:
        try:
            frame = tabulation.read(path)
        except (OSError, ValueError) as error:
            faults.append(error)
        else:
            yield path.parent.name, frame
    if faults and len(faults) == len(paths):
        raise faults[0]


def runs(results: Path) -> list[Row]:
    """List the trained networks of a results folder's tables; `row` is their name for `rewind show`."""
    return [
        {"row": f"{name}/runs:{i}", **{column: row[column] for column in _OF_RUNS if column in row}}
        for name, frame in published(results, "runs")
        for i, row in enumerate(frame.to_dict("records"))
    ]


def judged(results: Path) -> list[Row]:
    """List the claims that a results folder's experiments judged, with verdicts."""
    return [
        {"experiment": name, **{column: row[column] for column in _JUDGED if column in row}}
        for name, frame in published(results, "claims")
        for row in frame.to_dict("records")
    ]


def _options(kind: str, entry: registry.Entry) -> list[str]:
    """Write the options of a registered function: arguments that a config's values are held to, and that no caller supplies."""
    supplied = {name for of, names in config.PARTS.values() for name in names if of == kind}
    named = [name for name, annotation in entry.annotations.items() if annotation is not None and name not in supplied]
    return [f"{name}: {entry.defaults[name]}" if name in entry.defaults else name for name in named]


def registered(kind: str) -> list[Row]:
    """List the registered functions of a kind: names that a config may use, with their options."""
    about = registry.docstrings(kind)
    return [
        {"name": entry.name, "options": _options(kind, entry), "about": _first_line(about[entry.name])}
        for entry in registry.entries(kind).values()
    ]


LISTS: dict[str, Callable[[Path], list[Row]]] = {
    **{each.__name__: each for each in (experiments, tasks, runs, figures, tables, claims, stages)},
    **{kind: lambda results, kind=kind: registered(kind) for kind in REGISTRIES},  # type: ignore[misc]
}


def listed(kind: str, results: Path) -> list[Row]:
    """List what there is of a kind.

    Args:
        kind: a key of `LISTS`.
        results: the results folder, for runs.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in LISTS:
        raise registry.unknown("what to list", kind, list(LISTS))
    return LISTS[kind](results)
