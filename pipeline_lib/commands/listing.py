"""Commands that list what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.commands.support import output
from pipeline_lib.commands.support.requests import Json, Results

app = typer.Typer()


def _kinds(incomplete: str) -> list[str]:
    """Complete what may be listed, for the shell."""
    from pipeline_lib.planning import catalogue

    return [kind for kind in catalogue.LISTS if kind.startswith(incomplete)]


_KINDS = "experiments, tasks, runs, figures, tables, claims, networks, datasets, …; without a word, all kinds are listed"


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help=_KINDS, autocompletion=_kinds)] = None,
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """List what there is of a kind: what a config may name, or runs that were made.

    For example: rewind list networks
    """
    from pipeline_lib.planning import catalogue

    rows = catalogue.listed(kind, results) if kind else [{"kind": each} for each in catalogue.LISTS]
    if not rows:
        raise ValueError(
            f"results folder must have tables of {kind}, got none in {results}; run an experiment, or name its folder"
        )
    if as_json:
        output.as_json(rows)
    else:
        output.table(rows)


@app.command()
def show(
    thing: Annotated[str, typer.Argument(metavar="ROW|KEY|NAME", help="such as quickstart/runs:0, 3f2a or lenet_mnist")],
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Show one thing in full: a row of a table, an artifact, a task, a table's columns, a figure, an option.

    For example: rewind show quickstart/runs:0
    """
    from pipeline_lib.planning import details

    found = details.show(results, thing)
    if as_json:
        output.as_json(found)
    else:
        output.say("\n".join(details.lines(found)))


_NEEDS = 8  # that are listed where not all are asked for


def _tell_rest(needs: list[dict[str, Any]], most: int) -> None:
    """Say what claims that were not measured need, and what that takes."""
    output.say("\nnot measured, by what they need, and the training that this takes:")
    output.table([{name: "unknown" if output.is_none(value) else value for name, value in row.items()} for row in needs[:most]])
    rest = sum(row["claims"] for row in needs[most:])
    if rest:
        output.say(f"{rest} more need other things: rewind claims --all")


@app.command()
def claims(
    failing: Annotated[bool, typer.Option("--failing", help="only those that fail")] = False,
    unmeasured: Annotated[bool, typer.Option("--all", help="those that were not measured, too")] = False,
    experiment: Annotated[str | None, typer.Option("--experiment", help="only those of one experiment")] = None,
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """List the papers' claims that were judged, with measured values, intervals and verdicts.

    For example: rewind claims --failing
    """
    from collections import Counter

    from pipeline_lib.claims.rules import VERDICTS
    from pipeline_lib.planning import catalogue, claims_cost

    every = [row for row in catalogue.judged(results) if experiment in (None, row["experiment"])]
    if not every:
        raise ValueError(f"results folder must have a table of claims, got none in {results}; run an experiment with claims: [B]")
    asked = ("fails",) if failing else VERDICTS if unmeasured else VERDICTS[:3]
    rows = [row for row in every if row["verdict"] in asked]
    costs = claims_cost.Costs(results)
    if as_json:
        output.as_json([{**row, "cost": vars(cost) if cost else None} for row in rows for cost in (costs.of(row),)])
        return
    shown = ("experiment", "verdict", "claim", "setting", "measured", "low", "high", "unit", "paper_value")
    output.table([{name: row[name] for name in shown} for row in rows])
    output.say(", ".join(f"{number} {verdict}" for verdict, number in Counter(row["verdict"] for row in every).most_common()))
    needs = claims_cost.rows(every, costs)
    if needs:
        _tell_rest(needs, len(needs) if unmeasured else _NEEDS)


@app.command()
def tasks() -> None:
    """List the tasks of config/tasks: networks, data sets and recipes.

    For example: rewind tasks
    """
    from pipeline_lib.planning import task_list

    output.say(task_list.report())


@app.command()
def settings() -> None:
    """Print all config keys, as docs/config.md has them.

    For example: rewind settings
    """
    from pipeline_lib.experiments.settings import document

    output.say(document.document().rstrip())


@app.command()
def schema() -> None:
    """Print the JSON schema of configs, for editors.

    For example: rewind schema
    """
    from pipeline_lib.experiments.settings import schema as made

    output.say(made.text().rstrip())
