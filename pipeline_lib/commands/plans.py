"""Commands about plans: what a config asks for and why, and the next round of rewind steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.commands.support import output
from pipeline_lib.commands.support.requests import Configs, Files, Json, Only, PrintConfig, Request, Results, Sets
from pipeline_lib.planning import driver

app = typer.Typer()


def _calibrate(task: Any, data_root: Path | None) -> tuple[float, float]:
    from pipeline_lib.stages.support.calibrate import calibrate

    return calibrate(task, data_root)


@app.command()
def plan(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    experiment: Only = None,
    write: Annotated[bool, typer.Option("--write", help="write the plan file")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="train a few steps where no earlier job tells a task's speed")
    ] = False,
    print_config: PrintConfig = False,
    as_json: Json = False,
) -> None:
    """Print what a config asks for: jobs, runs, hours and gigabytes.

    For example: rewind plan config/experiments/lenet_mnist.yaml --set lenet_mnist.levels=15
    """
    from pipeline_lib.planning import claims_asked, estimate

    asked = Request(files, config, sets, experiment)
    if print_config:
        output.say(asked.told())
        return
    made = asked.plan()
    measure = _calibrate if calibrate else None
    numbers = estimate.summary(made, measure) if as_json else {}
    told = [] if as_json else [estimate.report(made, measure), *claims_asked.report(made)]
    if write:
        told.append(str(driver.write_plan(made, files)))
        numbers["file"] = told[-1]
    if as_json:
        output.as_json(numbers)
    else:
        output.say("\n".join(told))


@app.command()
def explain(
    words: Annotated[list[str], typer.Argument(metavar="CONFIG|FIGURE|TABLE|KEY...")],
    config: Configs = [],
    sets: Sets = [],
    results: Results = Path("results"),
) -> None:
    """Say what a config, figure or table needs, what an artifact is, or why two differ.

    For example: rewind explain config/config.yaml instability_sparse
    """
    from pipeline_lib.planning import explanation

    files = [word for word in words if Path(word).suffix in (".yaml", ".yml")]
    rest = [word for word in words if word not in files]
    made = Request(list(map(Path, files)), config, sets).plan() if files else None
    output.say(explanation.report(made.config.results if made else results, made, rest))


@app.command()
def refine(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    until: Annotated[float, typer.Option(help="relative width of the onset at which to stop")] = 0.1,
    level: Annotated[int, typer.Option(help="pruning level whose onset is sought; 0 is dense")] = 0,
) -> None:
    """Print the config of a further round of rewind steps, around the onset.

    For example: rewind refine config/experiments/digits.yaml --until 0.1 > round.yaml
    """
    import yaml

    from pipeline_lib.experiments import config_files

    asked = Request(files, config, sets)
    raw = config_files.merged(files, asked.overrides)
    output.say(yaml.safe_dump(driver.refined(asked.plan(), raw, level, until), sort_keys=False).rstrip())
