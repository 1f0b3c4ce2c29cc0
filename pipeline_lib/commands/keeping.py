"""Commands about what a results folder holds: what nobody needs, what other code made, and whether all is whole."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.commands.support import output
from pipeline_lib.commands.support.requests import Configs, Files, Request, Sets

app = typer.Typer()
Yes = Annotated[bool, typer.Option("--yes", help="agree to it beforehand")]


@app.command()
def gc(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    remove: Annotated[bool, typer.Option("--remove", help="move them to the trash of the results, when agreed to")] = False,
    yes: Yes = False,
    only: Annotated[bool, typer.Option("--only", help="keep nothing for other plans of the results folder")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="bring back what was moved to the trash last")] = False,
) -> None:
    """List artifacts that no config needs, nor any plan of the results folder, and remove them when told to.

    For example: rewind gc config/config.yaml --remove
    """
    from pipeline_lib.planning import garbage
    from pipeline_lib.store import lease

    made = Request(files, config, sets).plan()
    results = made.config.results
    found = None if undo else garbage.find(made, only=only)
    if found:
        output.say(found.report())
    if undo or (found and found.folders and remove):
        question = f"Move them to {results / garbage.TRASH}, and remove for good what is there now?"
        with lease.held(results):
            if found is None:
                output.say(garbage.restore(results))
            elif yes or output.agreed("removal", question):
                output.say(garbage.discard(found))


_KEEP = "let this stage's count as made by the code of today, with what they were made from, when agreed to; may be repeated"


@app.command()
def adopt(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    keep: Annotated[list[str], typer.Option("--keep", metavar="STAGE", help=_KEEP)] = [],
    yes: Yes = False,
    undo: Annotated[bool, typer.Option("--undo", help="forget all that counts so in the results folder")] = False,
) -> None:
    """List artifacts that differ by code alone, and keep them.

    For example: rewind adopt config/config.yaml --keep train
    """
    from pipeline_lib.planning import adopted, adoption
    from pipeline_lib.store import lease

    asked = Request(files, config, sets)
    made = asked.plan()
    results = made.config.results
    if undo:
        with lease.held(results):
            output.say(adopted.forget(results))
        return
    shelf = adoption.Shelf(results)
    every = adoption.follow(made, shelf)
    output.say(adoption.report(made, shelf, every, f"rewind adopt {shlex.join(asked.words())}"))
    adoption.check_stages(every, keep)
    if keep:
        found = adoption.follow(made, shelf, adoption.chosen(made, every, keep))
        output.say(adoption.outcome(found))
        with lease.held(results):
            if yes or output.agreed("keeping", "Let these count as made by the code of today?"):
                adoption.keep(made, found)
                output.say(f"recorded in {results / adopted.FILE}; --undo forgets it")


@app.command()
def verify(results: Annotated[Path, typer.Argument(help="the results folder")] = Path("results")) -> None:
    """Check that artifacts are what was written.

    For example: rewind verify results
    """
    from pipeline_lib.planning import adopted
    from pipeline_lib.store import verification

    if not results.is_dir():
        raise ValueError(f"results folder must exist, got {results}; name the one that is set in the config")
    number, faults = verification.verify(results)
    going = [f"{folder}: still being made or interrupted; a run makes it again" for folder in verification.unfinished(results)]
    without = verification.without_tensors(results)
    gone = f", {without} of them without states or masks (keep: measured): rewind remake KEY makes them again" if without else ""
    output.say("\n".join([*adopted.report(results), *faults, *going, f"{number} artifacts checked{gone}"]))
    if faults:
        many = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ValueError(f"artifacts must be what their jobs wrote, got {many} in {number}; remove these folders and run again")


@app.command()
def remake(
    key: Annotated[str, typer.Argument(help="of the artifact, or its first digits")],
    results: Annotated[Path, typer.Option("--results", help="the results folder")] = Path("results"),
) -> None:
    """Make states and masks again that a run let go (keep: measured), with what they need. The next such run lets them go again.

    For example: rewind remake 0af13c5e22d9
    """
    from pipeline_lib.planning.written import making

    made = making.again(results, key)
    output.say("\n".join(map(str, made)) or f"all of {key} is there")


@app.command()
def export(
    key: Annotated[str, typer.Argument(help="of the artifact that has the network, as a row of a table has it")],
    to: Annotated[Path, typer.Option("--to", help="folder for the files")],
    member: Annotated[int | None, typer.Option("--member", help="its place in the artifact, as the row has it")] = None,
    results: Annotated[Path, typer.Option("--results", help="the results folder")] = Path("results"),
) -> None:
    """Write a network as a plain state dict, with its mask, how to rebuild it, and a model card.

    For example: rewind export 0af13c5e22d9 --member 2 --to my_network
    """
    from pipeline_lib.notebook.export import export as written

    output.say("\n".join(map(str, written(results, key, member, to))))
