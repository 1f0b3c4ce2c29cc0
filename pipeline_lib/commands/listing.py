"""Commands that list what there is."""

from __future__ import annotations

import typer

from pipeline_lib.commands.support import output

app = typer.Typer()


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
