"""What records tell of all artifacts: the index, and which published tables mix environments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline_lib.core import terminal
from pipeline_lib.store import environment, verification
from pipeline_lib.store.job import log

_COLUMNS = (
    *("key", "stage", "label", "spec", "parents", "code", "versions", "python", "torch", "numpy", "processor", "threads"),
    *("number_format", "environment", "made_in", "sha256"),
)


def _row(folder: Path) -> dict[str, Any]:
    record = verification.record(folder)
    known = record | {"stage": folder.parent.name, "label": folder.name.removesuffix(f"-{record['key']}")}
    versions = record.get("versions")
    known |= versions if isinstance(versions, dict) else {}
    known |= {"environment": environment.summary(record.get("made_in", {}))}
    found = {n: v if v is None or isinstance(v, str) else json.dumps(v, sort_keys=True) for n, v in known.items()}
    return found | {"threads": known["threads"] if type(known.get("threads")) is int else None}


def rows(results: Path) -> list[dict[str, Any]]:
    """Describe all artifacts, one row each; mappings are JSON.

    What has no record that it can be known by is left out, with a line in the log.
    """
    found = []
    for path in sorted((results / "artifacts").glob(f"*/*/{verification.RECORD}")):
        try:
            found.append(_row(path.parent))
        except (OSError, ValueError) as error:
            log.warning("left out of the index: %s", terminal.printable(str(error)))
    more = sorted({name for row in found for name in row} - set(_COLUMNS))  # records of other versions may say more, or less
    return [{name: row.get(name) for name in (*_COLUMNS, *more)} for row in found]


def mixtures(results: Path, published: Mapping[str, str]) -> list[str]:
    """Say in a line of each experiment which of its tables mix environments, and which these are, stage by stage.

    Args:
        results: the results folder.
        published: files that users read, each with the artifact's file that it is a copy of, both under the results folder.
    """
    found: dict[str, dict[str, environment.Made]] = {}
    for copy, source in published.items():
        experiment, _, name = copy.partition("/")
        if name.endswith(".parquet"):
            with suppress(OSError, ValueError):  # a damaged record: what reads its artifact says so
                made = verification.made_in([(results / source).parent])
                if environment.mixed(made):
                    found.setdefault(experiment, {})[name.removesuffix(".parquet")] = made
    lines = []
    for experiment, made_in in found.items():
        stages = environment.mixed(environment.united(made_in.values()))
        told = "; ".join(f"{stage} in {' and in '.join(places)}" for stage, places in stages.items())
        lines.append(f"tables of {results / experiment} mix environments ({', '.join(sorted(made_in))}): {told}")
    return lines
