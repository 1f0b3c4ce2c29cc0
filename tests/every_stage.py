"""A plan that has all stages, in few steps of a network with BatchNorm, and what it makes and runs."""

from __future__ import annotations

import cProfile
import importlib
import pickle
import pkgutil
import sys
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest
import toys
from filelock import FileLock

import pipeline_lib
from pipeline_lib.core import registry
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.planning.keys.fingerprint import Named
from pipeline_lib.store.job import Job

TASK = {
    **{"base": "digits_resnet", "network": {"name": "resnet_cifar", "blocks": 1, "width": 2}, "steps": 6, "evaluate_every": 3},
    **{"dataset": {"name": "digits", "num_train": 128}, "schedule": {"name": "step_drops", "drops": [4]}, "flip": True},
}
GRID: dict[str, Any] = {
    "tasks": ["toy"], "seeds": 1, "orders": 2, "rewind": [2], "levels": 1, "alphas": 3, "batchnorm": ["averaged", "recomputed"],
    "throughout": {"every": 2, "rewind": [2]}, "layerwise": True, "similarity": {"examples": 50}, "perturbed": [2],
    "validation": {"examples": 40}, "align": {"pairs": ["within", "levels"], "examples": 40},
    "starts": ["k2 | blur(2) until 4", "k2 | mask | prune(0.3, snip)"],
    "telemetry": {"steps": 4, "evaluate_every": 2}, "connectivity": {"alphas": 3}, "planes": {"levels": [0], "points": 3},
    "curvature": {"steps": [2], "iterations": 4, "probes": 1, "examples": 64, "subspace": 2},
    "limits": {
        "levels": [0], "fractions": [0.3], "small_fractions": [0.05], "fit_level": 0, "iterations": 4, "probes": 1,
        "examples": 64, "operators": ["hessian", "gauss_newton"],
    },
    "retraining": ["lr_rewinding"], "adaptive": {"levels": 1, "rule": "adaptive(64)"},
    "lemma": {"dimension": 20, "trials": 5, "subspaces": 4, "distances": [1.0]}, "claims": ["B"],
    "figures": [
        "instability_sparse", "instability_throughout", "instability_by_layer", "similarity_by_layer", "validation", "telemetry",
        "sign_changes", "curvature", "noise", "accuracy_by_start", "landscape", "level_paths", "pruning_planes",
        "direction_planes", "spectra", "pruning_limits", "magnitudes", "adaptive", "lemma",
        "measured_limits", "outliers", "alignments", "level_barriers_aligned",
    ],
}  # fmt: skip


OWN: dict[str, Any] = {
    "tasks": ["toy"], "seeds": 1, "orders": 1, "rewind": [2], "alphas": 3, "starts": ["a | mask(half)"],
    "analyse": {
        "hessian": ["a"], "paths": [["a", "b"]], "planes": [["a", "b", "c"]], "points": 3, "iterations": 4, "probes": 1,
        "examples": 64, "subspace": 2,
    },
    "figures": ["accuracy_by_start", "checkpoint_paths", "checkpoint_planes", "checkpoint_spectra"],
}  # fmt: skip


def plan(results: Path) -> nodes.Plan:
    brought = toys.brought(results / "own", resnet_cifar((1, 8, 8), 10, blocks=1, width=2))
    raw = {"results": str(results), "tasks": {"toy": TASK}, "experiments": {"tiny": GRID, "own": OWN}}
    return toys.make_plan(raw | brought)


def make(made: nodes.Plan, *wanted: nodes.Node, without: tuple[str, ...] = ()) -> None:
    """Make nodes, or all, in this process."""
    plan_file = driver.write_plan(made, [])
    for node in wanted or made.nodes.values():
        if node.stage not in without:
            driver.run_node(node.stage, made.config.results / node.folder, plan_file)


At = tuple[str, Named]  # a stage and the registered functions that a node of it names


class Code(NamedTuple):
    """A function that a stage ran."""

    file: str
    line: int
    name: str
    full_name: str


class Made(NamedTuple):
    """All artifacts of the plan, not to be changed, and what each stage ran to make them."""

    plan: nodes.Plan
    ran: dict[At, set[Code]]


@cache
def finished(base: Path) -> Made:
    """Make all nodes once a session, whichever of its processes asks first."""
    kept = base / "every_stage.pickle"
    _import_all()  # before what is run is noted
    with FileLock(base / "every_stage.lock"):
        if not kept.exists():
            made = plan(base / "every_stage")
            kept.write_bytes(pickle.dumps(Made(made, _watched(made))))
    return pickle.loads(kept.read_bytes())


def _import_all() -> None:
    """Import all modules of the package."""
    for found in pkgutil.walk_packages(pipeline_lib.__path__, "pipeline_lib."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def _watched(made: nodes.Plan) -> dict[At, set[Code]]:
    """Make all nodes, and give the code that each stage ran; imports are done before."""
    ran: dict[At, set[CodeType]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for stage in declared.STAGES:
            module = importlib.import_module(registry.modules("stages")[stage])
            patch.setattr(module, "run", _noting(stage, module.run, ran))
        make(made)
    return {at: {Code(c.co_filename, c.co_firstlineno, c.co_name, c.co_qualname) for c in codes} for at, codes in ran.items()}


def _noting(stage: str, run: Any, ran: dict[At, set[CodeType]]) -> Any:
    def noting(job: Job) -> None:
        if sys.getprofile():  # a stage that calls another one's
            run(job)
            return
        profile = cProfile.Profile(builtins=False)
        profile.runcall(run, job)
        codes = {entry.code for entry in profile.getstats() if isinstance(entry.code, CodeType)}
        ran.setdefault((stage, nodes.named_functions(stage, job.spec)), set()).update(codes)

    return noting
