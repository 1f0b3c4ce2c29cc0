"""Commands that look at a run from another terminal, or from a cluster's login node."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.commands.support import output, snakemake
from pipeline_lib.commands.support.requests import Json, Results
from pipeline_lib.core import terminal
from pipeline_lib.planning import standing

app = typer.Typer()
_SECONDS = 0.5  # between two looks at a log that is followed


@app.command()
def status(
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Say how far the run is that began last in a results folder, what trains now, and how long the rest takes.

    For example: rewind status --results /scratch/results
    """
    seen = standing.Watch(standing.last_plan(results)).look()
    if as_json:
        output.as_json({**asdict(seen), "done": seen.done, "total": seen.total})
    else:
        output.say("\n".join(standing.lines(seen)))


def _log_of(results: Path, run: str | None) -> Path:
    """Find the log of a job by its key or a part of its name; without a word, that of the last run.

    Raises:
        ValueError: there is none, or several are named so.
    """
    if run is None:
        logs = sorted((results / snakemake.LOGS).glob("*.log"))
        if not logs:
            raise ValueError(f"results folder must have the log of a run, got none in {results / snakemake.LOGS}; name a job")
        return logs[-1]
    found = [path for path in sorted((results / "logs").glob("*/*.log")) if run in f"{path.parent.name}/{path.stem}"]
    exact = [path for path in found if run in (path.stem.rpartition("-")[2], path.stem, f"{path.parent.name}/{path.stem}")]
    found = exact or found
    if len(found) != 1:
        many = f"{len(found)}: {', '.join(f'{path.parent.name}/{path.stem}' for path in found[:5])}; say more of it"
        told = many if found else "none; check the results folder, or leave it out for the last run's"
        raise ValueError(f"run must be the key or name of one job with a log in {results / 'logs'}, got {run}, {told}")
    return found[0]


@app.command()
def logs(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="key of a job, or a part of its name; else the last run")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until interrupted")] = False,
    results: Results = Path("results"),
) -> None:
    """Print the log of a job, or of the last run.

    For example: rewind logs 3f2a --follow
    """
    path = _log_of(results, run)
    with path.open(encoding="utf-8", errors="replace") as lines:
        while True:
            for line in lines:
                print(terminal.printable(line), end="", flush=True)
            if not follow:
                return
            time.sleep(_SECONDS)
