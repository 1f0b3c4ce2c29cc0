"""The command that tells whether a run can work here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.commands.support import health, output
from pipeline_lib.commands.support.requests import Json, Results

app = typer.Typer()


@app.command()
def doctor(
    results: Results = Path("results"),
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="folder of data sets [default: PIPELINE_DATA_ROOT]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check Python, torch, GPU, Slurm, data, disk and permissions, and say what to do; exit code 1 if a run cannot work.

    For example: rewind doctor --results /scratch/results
    """
    found = health.examine(results, data_root)
    if as_json:
        output.as_json([vars(each) for each in found])
    else:
        for each in found:
            output.say(f"{each.state:8} {each.what}: {each.found}{f'; {each.remedy}' if each.remedy else ''}")
    raise typer.Exit(1 if any(each.state == health.MISSING for each in found) else 0)
