"""Commands that run experiments: run, quickstart."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.commands.support import output, snakemake, view
from pipeline_lib.commands.support.requests import Configs, Files, Only, PrintConfig, Request, Sets
from pipeline_lib.core import locations, processors, registry, terminal
from pipeline_lib.experiments.config import ROOT
from pipeline_lib.planning import closing, driver, plan_file, standing
from pipeline_lib.planning.nodes import Plan
from pipeline_lib.store import lease

app = typer.Typer()
Cores = Annotated[int | None, typer.Option("--cores", min=1, help="processors to use at once [default: all]", show_default=False)]
Together = Annotated[
    int, typer.Option("--together", min=1, help="so many networks train side by side, in one process on the GPU")
]
Profile = Annotated[str | None, typer.Option("--profile", help="a profile of Snakemake, such as slurm")]
_FAILURES, _LINES = 3, 8  # failed jobs that are shown, and lines of the log of each


def _targets(made: Plan, figure: str | None) -> list[str]:
    """List the files that are asked for; none means all.

    Raises:
        ValueError: no experiment draws the figure.
    """
    if figure is None:
        return []
    files = [f"{name}/figures/{figure}.svg" for name, drawn in made.figures.items() if figure in drawn]
    if not files:
        raise registry.unknown("figure", figure, sorted({each for drawn in made.figures.values() for each in drawn}))
    return [f"{made.config.results}/{file}" for file in files]


def _tell_failures(log: Path) -> None:
    """Say which jobs failed, with what their logs end in; or what Snakemake said last."""
    failed = snakemake.failures(log.read_text(encoding="utf-8", errors="replace"))
    for each in failed[:_FAILURES]:
        where = f", log {each.log}" if each.log else ""
        terminal.tell(f"failed: {each.rule} of {each.output or 'no file'}{where}")
        for line in snakemake.last_lines(each.log, _LINES) if each.log else []:
            terminal.tell(f"    {line}")
    if len(failed) > _FAILURES:
        terminal.tell(f"and {len(failed) - _FAILURES} more jobs, see {log}")
    if not failed:
        for line in snakemake.last_lines(log, _LINES):
            terminal.tell(f"    {line}")


def _let_go(written: plan_file.Written) -> list[str]:
    """Do what a run does at its end also where Snakemake had nothing to make, and ended without it; not beside another run."""
    if written.keep == "all" or lease.holder(written.results):
        return []
    with lease.held(written.results):
        return driver.let_go(written)


def _end(code: int, asked: Request, plan: Path, log: Path) -> int:
    """Say how a run ended: its summary, or what failed and what is kept."""
    watch, written = standing.Watch(plan), plan_file.Written(plan)
    now = watch.look()
    if code:
        _tell_failures(log)
        kept = f"{now.done:,} of {now.total:,} artifacts are made and kept"
        on = f"go on with: rewind run {shlex.join(asked.words())}"
        if snakemake.locked(log):
            on = f"another run works in this checkout, or one was killed; if so, {on} --unlock"
        terminal.tell(f"the run ended with exit code {code}; {kept}; {on}")
    else:
        for line in [*closing.lines(watch.results, written.published), *_let_go(written)]:
            output.say(line)
    output.say(f"log: {log}")
    return code


def _unlock(asked: Request, results: Path) -> None:
    """Remove the lock that a killed run left.

    Raises:
        ValueError: a run works in the results folder.
    """
    found = lease.holder(results)
    if found:
        raise ValueError(f"run that left a lock must have ended, got {found}; wait until it has")
    subprocess.run(snakemake.words(asked.files, asked.overrides, "--unlock", "--quiet", "host"), check=True, capture_output=True)


def _make(
    asked: Request,
    figure: str | None = None,
    profile: str | None = None,
    cores: int | None = None,
    together: int = 1,
    dry: bool = False,
    unlock: bool = False,
) -> int:
    """Run Snakemake on what is asked for, and show how far it is."""
    made = asked.plan()
    locations.check_working_folder()
    if unlock:
        _unlock(asked, made.config.results)
    targets = _targets(made, figure)
    number = cores or (None if profile else processors.usable())
    more = [*(["--cores", str(number)] if number else []), *(["--profile", profile] if profile else [])]
    more += ["--group-components", f"train={together}"] if together > 1 else []
    more += ["--dry-run", "--quiet", "rules", "host"] if dry else []
    command = snakemake.words(asked.files, asked.overrides, *more, *(["--", *targets] if targets else []))
    if dry:
        return subprocess.run(command, check=False).returncode
    plan, log = driver.write_plan(made, asked.files), snakemake.new_log(made.config.results)
    del made  # a large one takes memory that jobs need
    watch = standing.Watch(plan)
    begun = watch.look()
    rest = f", {standing.left(begun, number)}" if begun.done < begun.total else ""
    terminal.tell(f"{begun.done:,} of {begun.total:,} artifacts are made{rest}; log: {log}")
    with view.shown(number) as show:
        code = snakemake.run(command, log, lambda: show(watch.look()))
        show(watch.look())
    return _end(code, asked, plan, log)


@app.command()
def run(
    files: Files,
    config: Configs = [],
    sets: Sets = [],
    figure: Annotated[str | None, typer.Option("--figure", help="make this figure alone, and what it needs")] = None,
    experiment: Only = None,
    profile: Profile = None,
    cores: Cores = None,
    together: Together = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="only say how many jobs would run")] = False,
    unlock: Annotated[
        bool, typer.Option("--unlock", help="first remove the lock that a killed run left in this checkout")
    ] = False,
    print_config: PrintConfig = False,
) -> None:
    """Run experiments: make what is missing of their tables and figures.

    For example: rewind run config/experiments/lenet_mnist.yaml --set lenet_mnist.levels=15 --figure accuracy_by_density
    """
    asked = Request(files, config, sets, experiment)
    if print_config:
        output.say(asked.told())
        return
    code = _make(asked, figure, profile, cores, together, dry_run, unlock)
    if not code and not dry_run:
        output.say(f"report: rewind report {shlex.join(asked.words())}")
    raise typer.Exit(code)


@app.command()
def quickstart(cores: Cores = None) -> None:
    """Run the embedded experiment, two minutes on two cores, and write its report.

    For example: rewind quickstart
    """
    path = ROOT / "config" / "config.yaml"
    asked = Request([path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path])
    code = _make(asked, cores=cores)
    if not code:
        from pipeline_lib.report import writing

        output.say(f"report: {writing.write(asked.plan())[0]}")
    raise typer.Exit(code)
