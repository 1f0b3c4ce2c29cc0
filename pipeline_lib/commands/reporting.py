"""The command that writes reports."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.commands.support import output, snakemake
from pipeline_lib.commands.support.requests import Configs, Files, Only, Request, Sets
from pipeline_lib.core import terminal

app = typer.Typer()
_LINES = 8  # of what Snakemake says when it cannot write its report


def _snakemakes(asked: Request, path: Path) -> str | None:
    """Let Snakemake write its own report in place of those of earlier plans; say what it says if it cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for earlier in path.parent.glob("snakemake-*.html"):
        earlier.unlink()
    command = snakemake.words(asked.files, asked.overrides, "--cores", "1", "--report", str(path))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return " ".join(line.strip() for line in done.stdout.splitlines()[-_LINES:]) if done.returncode else None


@app.command()
def report(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    experiment: Only = None,
    open_it: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    own: Annotated[bool, typer.Option("--snakemake", help="write Snakemake's own report, too, and link to it")] = False,
) -> None:
    """Write what was found as one page that opens offline: figures, claims, tables, and where they come from.

    For example: rewind report config/config.yaml --open
    """
    from pipeline_lib.report import page, writing

    asked = Request(files, config, sets, experiment)
    made = asked.plan()
    theirs = writing.snakemakes(made)
    refused = _snakemakes(asked, theirs) if own else None
    pages = writing.write(made)
    output.say("\n".join([f"report: {path}" for path in pages] + [f"Snakemake's report: {theirs}"] * (own and not refused)))
    if not page.has_plotly():
        terminal.tell('values on hover need plotly: pip install --constraint constraints.txt --editable ".[report]"')
    if open_it:
        import webbrowser

        webbrowser.open(pages[0].resolve().as_uri())
    if refused:
        raise ValueError(f"Snakemake's report must show a finished run, got: {refused}; run the experiment first")
