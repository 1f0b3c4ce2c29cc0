"""A checkout of the project in a folder of its own, and what tests do with it.

One tiny experiment is run to its end once a session; tests work on copies of that checkout.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from filelock import FileLock

from pipeline_lib.core import processors
from pipeline_lib.worker import client, start

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("pipeline_lib", "workflow", "config")
CONFIG_NAME = "experiment.yaml"
Config = dict[str, Any]
AS_TABLE = ("table_1", "claims_board")  # figures that are published as tables, too

TOY = {"base": "digits_mlp", "network": {"name": "mlp", "widths": [16, 8]}, "steps": 30, "evaluate_every": 15}

# An edit of one figure that draws the same: file, old and new text.
OTHER_FIGURE = ("pipeline_lib/figures/density.py", '_by_density(selection.ladders(frames["runs"]), _lines)',
                '_by_density(selection.ladders(dict(frames)["runs"]), _lines)')  # fmt: skip

# Both controls, two rewind steps, two levels: every stage, table and figure, in cohorts of two seeds and two orders.
TINY: Config = {
    "per_job": {"seeds": 2, "orders": 2},
    "tasks": {"toy": TOY},
    "experiments": {
        "tiny": {
            "tasks": ["toy"],
            "seeds": 2,
            "orders": [0, 2, 3],
            "rewind": [0, 10],
            "levels": 2,
            "sparse_level": 1,
            "pruning": {"fraction": 0.36},
            "controls": ["random_prune", "reinit"],
            "alphas": 5,
            "batchnorm": ["averaged", "recomputed"],
            "throughout": {"every": 10, "rewind": [10]},
            "layerwise": True,
            "claims": ["B"],
        }
    },
}

# The first seed and rewind step of the same, one member a job.
SINGLE: Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "tasks": {"toy": TOY},
    "experiments": {
        "single": {
            "tasks": ["toy"],
            "seeds": 1,
            "orders": [0, 2, 3],
            "rewind": [0],
            "levels": 1,
            "pruning": {"fraction": 0.36},
            "alphas": 5,
            "figures": ["accuracy_by_density", "instability_sparse"],
        }
    },
}

# Paper A's figures: perturbed and taught starts, telemetry, curvature; one seed, one level.
EARLY: Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "tasks": {"toy": TOY},
    "experiments": {
        "early": {
            "tasks": ["toy"],
            "seeds": 1,
            "orders": 1,
            "rewind": [0, 10],
            "levels": 1,
            "pruning": {"fraction": 0.36},
            "perturbed": [10],
            "pretraining": {"durations": [4], "reference": 10},
            "telemetry": {"steps": 20, "evaluate_every": 10},
            "curvature": {"steps": [0, 10], "iterations": 8, "probes": 1, "examples": 64, "subspace": 2},
            "starts": ["k0 | blur(2) until 10"],
            "claims": ["A"],
        }
    },
}

# Paper C's figures: lines and planes between levels, limits, strategies, ratios that adapt; one seed, two levels.
UNMASKING: Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "tasks": {"toy": TOY},
    "experiments": {
        "unmasking": {
            "tasks": ["toy"],
            "seeds": 1,
            "orders": 1,
            "rewind": [0, 10],
            "levels": 2,
            "pruning": {"fraction": 0.36},
            "retraining": ["lr_rewinding", "fine_tuning"],
            "connectivity": {"alphas": 5},
            "planes": {"levels": [1], "points": 5},
            "limits": {
                "levels": [0, 1],
                "fractions": [0.3],
                "small_fractions": [0.05, 0.1],
                "fit_level": 1,
                "iterations": 6,
                "probes": 2,
                "examples": 64,
                "operators": ["hessian", "gauss_newton"],
            },
            "adaptive": {"levels": 1, "rule": "adaptive(64)"},
            "lemma": {"dimension": 20, "trials": 5, "subspaces": 4, "distances": [1.0]},
            "claims": ["C"],
        }
    },
}


def files_of(figures: Iterable[str]) -> set[str]:
    """Names of the files that figures are published as."""
    more = dict.fromkeys(AS_TABLE, ("csv", "html", "tex"))
    return {f"{figure}.{suffix}" for figure in figures for suffix in ("svg", "png", "pdf", *more.get(figure, ()))}


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, and standard output and error together."""

    code: int
    text: str


@dataclass(frozen=True)
class Checkout:
    """A copy of the project with a config file of its own, and further ones to lay over it."""

    root: Path
    config: Path
    further: tuple[Path, ...] = ()

    @property
    def results(self) -> Path:
        return self.root / "results"

    def path(self, name: str) -> Path:
        """The only path under the results folder that fits a pattern."""
        (found,) = self.results.glob(name)
        return found

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the only occurrence of a text in a file."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has {text.count(old)} places with {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Add lines at the end of a file."""
        path = self.root / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    def configure(self, config: Config) -> None:
        """Write the config file."""
        self.config.write_text(yaml.safe_dump(config), encoding="utf-8")

    def table(self, experiment: str, name: str) -> pd.DataFrame:
        """Read a published table."""
        return pd.read_parquet(self.results / experiment / f"{name}.parquet")

    def plan_file(self) -> Path:
        """The plan that was written last."""
        return max((self.results / "plans").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """All nodes of the plan that was written last, by key."""
        lines = self.plan_file().read_text(encoding="utf-8").splitlines()[1:]
        return {node["key"]: node for node in map(json.loads, lines)}


def environment(**more: str) -> dict[str, str]:
    """The environment of a user's shell: not inside a run."""
    inherited = ("REWIND_PLAN_ID", "PIPELINE_WORKER", "PIPELINE_DATA_ROOT", "PYTHONPATH")
    return {**{name: value for name, value in os.environ.items() if name not in inherited}, **more}


@cache
def _forks() -> subprocess.Popen[str]:
    """The process that starts commands by a fork for this one, and ends with it."""
    command = [sys.executable, str(Path(__file__).with_name("forked.py")), *start.LIBRARIES, "snakemake.cli"]
    single_threaded = environment(**dict.fromkeys(processors.ARITHMETIC, "1"))
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=single_threaded)
    atexit.register(made.communicate)
    return made


@cache
def _worker() -> str:
    """The folder of a worker that all runs of this process share; it ends with it."""
    os.environ.pop(client.VARIABLE, None)
    made = start.start(Path(tempfile.gettempdir()), start.FROM)
    assert made
    atexit.register(start.stop, made)
    return os.environ.pop(client.VARIABLE)


def _fork(root: Path, module: str, *words: str, **more: str) -> Outcome:
    """Run a Python module in a checkout, without the second or two in which a Python loads the libraries."""
    forks = _forks()
    assert forks.stdin
    assert forks.stdout
    with tempfile.NamedTemporaryFile() as prints:
        asked = {"module": module, "words": words, "folder": str(root), "prints": prints.name, "environment": environment(**more)}
        forks.stdin.write(json.dumps(asked) + "\n")
        forks.stdin.flush()
        return Outcome(int(forks.stdout.readline()), prints.read().decode())


def call(root: Path, *arguments: str, **options: Any) -> Outcome:
    """Run Python in a checkout: a module by a fork, all else, or with options for its start, by a start."""
    if arguments[0] == "-m" and not options and sys.platform == "linux":
        return _fork(root, *arguments[1:])
    options.setdefault("env", environment())
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return Outcome(done.returncode, done.stdout)


def snakemake_command(checkout: Checkout, *arguments: str, cores: int = 2) -> list[str]:
    """Arguments of Python that run the workflow with the checkout's config file."""
    return ["-m", "snakemake", *arguments, "--cores", str(cores), "--configfile", *map(str, (checkout.config, *checkout.further))]


def snakemake(checkout: Checkout, *arguments: str, **options: Any) -> Outcome:
    """Run the workflow: if nothing is asked of its start, with a worker that does not have to load the libraries first."""
    if not options and sys.platform == "linux":
        return _fork(checkout.root, *snakemake_command(checkout, *arguments)[1:], **{client.VARIABLE: _worker()})
    return call(checkout.root, *snakemake_command(checkout, *arguments), **options)


def succeed(checkout: Checkout, *arguments: str) -> str:
    """Run the workflow and insist that it succeeds."""
    outcome = snakemake(checkout, *arguments)
    assert outcome.code == 0, outcome.text
    return outcome.text


def make(checkout: Checkout) -> str:
    """Make and publish all that the config asks for in one process, without a job each, and insist that it succeeds.

    For tests of what is made; those of how Snakemake runs it let it.

    Returns:
        What it said.
    """
    dry(checkout)  # writes the plan
    outcome = call(checkout.root, "-m", "pipeline_lib", "make", str(checkout.plan_file().relative_to(checkout.root)))
    assert outcome.code == 0, outcome.text
    return outcome.text


def job_counts(text: str) -> dict[str, int]:
    """Read the job statistics that Snakemake prints; `all` and `total` are left out, publishing is summed up."""
    counts: dict[str, int] = {}
    table = text.partition("Job stats:")[2].partition("total")[0]
    for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE):
        name = "publish" if rule.startswith("publish_") else rule
        if name != "all":
            counts[name] = counts.get(name, 0) + int(count)
    return counts


def dry(checkout: Checkout, *arguments: str) -> dict[str, int]:
    """Count the jobs that a run would start, by stage."""
    text = succeed(checkout, "--dry-run", *arguments)
    counts = job_counts(text)
    assert counts or "Nothing to be done" in text, text
    return counts


def stage(checkout: Checkout, folder: Path, *flags: str, python: tuple[str, ...] = (), **options: Any) -> Outcome:
    """Make one artifact by hand, as a job does."""
    name = folder.parent.name
    relative = str(folder.relative_to(checkout.root))
    plan = str(checkout.plan_file().relative_to(checkout.root))
    return call(checkout.root, *python, "-m", "pipeline_lib", *flags, name, relative, "--plan", plan, **options)


def contents(folder: Path) -> dict[str, str]:
    """Hash all files of a folder, by their path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def blank(root: Path, config: Config) -> Checkout:
    """Copy the project, without results."""
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for path in (path for path in PROJECT.iterdir() if path.is_file()):
        shutil.copy(path, root)
    checkout = Checkout(root, root / CONFIG_NAME)
    checkout.configure(config)
    return checkout


# Toys, each with how it is brought to its end: by Snakemake where tests are about that.
TOYS = {"tiny": (TINY, make), "single": (SINGLE, succeed), "early": (EARLY, make), "unmasking": (UNMASKING, make)}


@cache
def finished(base: Path, name: str) -> Checkout:
    """Bring an experiment to its end, once a session, whichever of its processes asks first. Tests work on copies of it."""
    root, done = base / f"finished-{name}", base / f"finished-{name}.done"
    with FileLock(base / f"finished-{name}.lock"):
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            config, bring = TOYS[name]
            bring(blank(root, config))
            done.touch()
    return Checkout(root, root / CONFIG_NAME)


def copy(source: Checkout, root: Path) -> Checkout:
    """Copy a checkout with its results and Snakemake's records; plans name the config files that they were made from."""
    shutil.copytree(source.root, root, symlinks=True)
    for plan in (root / "results" / "plans").glob("*.jsonl"):
        plan.write_text(plan.read_text(encoding="utf-8").replace(str(source.root), str(root)), encoding="utf-8")
    return Checkout(root, root / source.config.name)
