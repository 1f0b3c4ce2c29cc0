"""One thing in full: a row of a table, an artifact, or something that a config may name."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.planning import catalogue, inventory
from pipeline_lib.planning.declared import COLUMNS
from pipeline_lib.planning.lineage import Lineage, digits
from pipeline_lib.store import verification
from pipeline_lib.tables import tabulation

_ROW = re.compile(r"(?P<experiment>[a-z0-9_]+)/(?P<table>[a-z_]+):(?P<number>\d+)")


def _row(results: Path, experiment: str, table: str, number: int) -> dict[str, Any]:
    frame = tabulation.read(results / experiment / f"{table}.parquet")
    if number >= len(frame):
        raise ValueError(f"row of {experiment}/{table} must be below {len(frame)}, got {number}; rows count from 0")
    values = {str(name): value for name, value in frame.iloc[number].to_dict().items()}
    units = {column.name: column.unit for column in COLUMNS.get(table, ()) if column.unit not in ("-", "1")}
    return {
        "row": f"{experiment}/{table}:{number}",
        "values": values,
        "units": {name: units[name] for name in values if name in units},
    }


def _rows_of(results: Path, key: str) -> dict[str, int]:
    """Count the rows of published tables that are about an artifact."""
    found = {}
    for path in sorted(results.glob("*/*.parquet")):
        with suppress(OSError, ValueError):  # a damaged one: what is asked to read it says so
            frame = tabulation.read(path)
            found[f"{path.parent.name}/{path.stem}"] = int((frame["key"] == key).sum()) if "key" in frame else 0
    return {name: num for name, num in found.items() if num}


def _artifact(results: Path, word: str) -> dict[str, Any]:
    lineage = Lineage(results)
    key = lineage.key(word)
    artifact = lineage.find(key)
    if artifact is None:
        raise ValueError(f"artifact {key} must have a whole record, got none; remove its folder and run again")
    record = verification.record(results / artifact.folder)
    folder = results / artifact.folder
    gone = [name for name in verification.gone(folder) if not (folder / name).is_file()]
    words = {"let go": f"{', '.join(gone)}, once all was measured; to have them again: {verification.remade_by(folder)}"}
    return {"folder": str(folder), **(words if gone else {}), "rows": _rows_of(results, key), "record": record}


def _named(name: str) -> dict[str, Any] | None:
    """Describe what a config may name so: a task, figure, table or registered function."""
    if name in config.task_files():
        return {"task": name, "settings": config.load_task(name)}
    if name in COLUMNS:
        columns = [{"column": c.name, "unit": c.unit, "meaning": c.meaning} for c in COLUMNS[name]]
        return {"table": name, "columns": columns}
    for kind in ("figures", "experiments", "stages", *catalogue.REGISTRIES):
        for row in catalogue.listed(kind, Path()):
            if next(iter(row.values())) == name:
                text = registry.docstrings(kind).get(name, "") if kind in catalogue.REGISTRIES else ""
                return {"kind": kind, **row, **({"about": text} if text else {})}
    return None


def show(results: Path, word: str) -> dict[str, Any]:
    """Describe one thing.

    Args:
        results: the results folder.
        word: `EXPERIMENT/TABLE:NUMBER`, a row; a key, its first digits or an artifact's folder; or the name of a task, figure,
            table, stage, experiment or registered function.

    Raises:
        ValueError: it is none of these.
    """
    row = _ROW.fullmatch(word)
    if row:
        return _row(results, row["experiment"], row["table"], int(row["number"]))
    named = _named(word)
    if named is None and digits(word) is None:
        rule = "what to show must be a row such as quickstart/runs:0, a key, or the name of a task, figure, table or option"
        raise ValueError(f"{rule}, got {word}; `rewind list` says what there is")
    return named or _artifact(results, word)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" or (isinstance(value, float) and math.isnan(value)) else str(value)


def lines(thing: dict[str, Any]) -> list[str]:
    """Write a thing as text, a value a line."""
    units = thing.get("units", {})
    shown = {name: value for name, value in thing.items() if name != "units"}
    found = []
    for place, value in inventory.paths(shown).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found += [f"{place}:", *("  " + "  ".join(map(_text, each.values())) for each in value)]
        else:
            text, unit = _text(value), units.get(place.rpartition(".")[2], "")
            found.append(f"{place}: {text}{f' {unit}' if unit and text != 'none' else ''}")
    return found
