"""What the files of stages and of derived tables say of themselves, read as source: nothing is imported for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.tables import columns
from pipeline_lib.tables.columns import Column

EACH = ("runs", "pairs", "solutions")
RATES = ("training", "evaluation")


@dataclass(frozen=True)
class Stage:
    """One stage, as its file declares it under `STAGE`.

    Args:
        name: of its file, rule and command.
        module: which its file is.
        needs: what it reads, in words.
        makes: what it writes, in words.
        files: what it writes; the first is what later stages read unless they say otherwise. A measured table's part comes last.
        tables: the tables that it measures parts of.
        each: what it is planned for where a figure asks for one of its tables: `runs`, `pairs` of runs of one start under two
            orders, or `solutions` of the last ladder. Other stages are planned by `training_nodes` and `measurement_nodes`.
        cluster: minutes and megabytes of a first attempt in a queue; None where it runs beside the driver.
        seconds: of a job that is mostly start-up, until there is a record of one.
        rate: which work of a task it does, so that one speed holds: training steps or evaluated points; None for start-up.
        size: how much work a job is: a product of numbers and of what the spec has under dotted names, of which lists count as
            many as they have; of a mapping's values likewise. Or the name of a function in `estimate`.
    """

    name: str
    module: str
    needs: str
    makes: str
    files: tuple[str, ...]
    tables: tuple[str, ...] = ()
    each: str | None = None
    cluster: Mapping[str, int] | None = None
    seconds: int | float = 0
    rate: str | None = None
    size: tuple[str | int | float, ...] | str = ()

    @property
    def group(self) -> str:
        """What it is about: the folder of its file."""
        return self.module.split(".")[-2]


@dataclass(frozen=True)
class Derived:
    """A table that is computed from tables, as its file declares it under `TABLES`.

    Args:
        name: of the table and of the function that computes it.
        sources: the tables that it takes.
        optional: those that it uses where they are there.
        asks: what its spec says besides its name and columns, by the names of functions in `plan`.
    """

    name: str
    sources: tuple[str, ...]
    optional: tuple[str, ...]
    asks: tuple[str, ...]


def _check(what: str, said: Mapping[str, Any], required: set[str], more: set[str]) -> None:
    for key in said:
        if key not in required | more:
            raise registry.unknown(f"key of {what}", key, [*required, *more])
    for key in sorted(required - said.keys()):
        raise ValueError(f"{what} must say its {key}, got none; add it in its file")


def _stage(name: str, said: Mapping[str, Any]) -> Stage:
    what = f"stage {name}"
    _check(what, said, {"needs", "makes"}, {"files", "tables", "each", "cluster", "seconds", "rate", "size"})
    for key, valid in (("each", EACH), ("rate", RATES)):
        if key in said and said[key] not in valid:
            raise registry.unknown(f"{key} of {what}", said[key], list(valid))
    if ("cluster" in said) == ("seconds" in said):
        rule = f"{what} must say either cluster, minutes and megabytes, or seconds, of a job that is mostly start-up"
        raise ValueError(f"{rule}, got {'both' if 'cluster' in said else 'neither'}; say one")
    if "cluster" in said and {"rate", "size"} - said.keys():
        raise ValueError(f"{what} must say its rate and size for estimates, got none; add them in its file")
    if name not in MODULES:
        raise ValueError(
            f"{what} must be declared in a file of its name, got none in {registry.where('stages')}; rename its file"
        )
    tables = tuple(said.get("tables", ()))
    files = (*said.get("files", ()), *(f"{table}.parquet" for table in tables))
    if not files:
        raise ValueError(f"{what} must write a file or measure a table, got neither; say files or tables in its file")
    size = said.get("size", ())
    kept = {key: value for key, value in said.items() if key not in ("files", "tables", "size")}
    return Stage(name, MODULES[name], files=files, tables=tables, size=size if isinstance(size, str) else tuple(size), **kept)


def _stages() -> dict[str, Stage]:
    return {name: _stage(name, said) for name, said in registry.stated("stages", "STAGE").items()}


def _derived(known: Mapping[str, str]) -> dict[str, Derived]:
    said = registry.stated("derived", "TABLES")
    for name in registry.entries("derived").keys() ^ said.keys():
        raise ValueError(f"table {name} must be a function and an entry in TABLES of one file, got only one; add the other")
    found = {}
    for name, each in said.items():
        _check(f"table {name}", each, {"from", "columns"}, {"with", "asks", "of"})
        found[name] = Derived(name, *(tuple(each.get(key, ())) for key in ("from", "with", "asks")))
        for source in (*found[name].sources, *found[name].optional):
            if source not in known and source not in said:
                raise registry.unknown(f"table that table {name} comes from", source, [*known, *said])
    try:
        order = TopologicalSorter({name: {*each.sources, *each.optional} & said.keys() for name, each in found.items()})
        return {name: found[name] for name in order.static_order()}
    except CycleError as error:
        raise ValueError(f"tables must not come from themselves, got {' > '.join(error.args[1])}; remove one") from None


def _columns() -> dict[str, tuple[Column, ...]]:
    said: dict[str, Any] = {}
    for stage in STAGES:
        said |= registry.stated("stages", "STAGE")[stage].get("tables", {})
    said |= {table: registry.stated("derived", "TABLES")[table] for table in DERIVED} | registry.stated("stages", "TABLES")
    return {table: columns.of(table, each) for table, each in said.items()}


MODULES = registry.modules("stages")
STAGES = _stages()
# The stage that measures each table.
TABLES = {table: stage.name for stage in STAGES.values() for table in stage.tables}
# Those that are computed from others, in the order in which they are made.
DERIVED = _derived(TABLES)
COLUMNS = _columns()
