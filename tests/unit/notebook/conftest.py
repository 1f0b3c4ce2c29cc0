"""A small experiment that the workflow has made, and the same by hand."""

from __future__ import annotations

import every_stage
import pytest
import toys

import pipeline_lib
from pipeline_lib.core.types import State
from pipeline_lib.planning import nodes

CHANGES = {"network": {"widths": [6]}, "optimiser": {"lr": 0.01}, "steps": 8, "evaluate_every": 8}
GRID = {
    "tasks": ["digits_mlp"],
    "seeds": [3],
    "orders": 2,
    "rewind": [2],
    "levels": 1,
    "alphas": 5,
    "perturbed": [2],
    "curvature": {"steps": [2], "iterations": 6, "probes": 2, "examples": 64, "subspace": 2},
    "figures": ["instability_sparse", "noise", "curvature"],
}


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> nodes.Plan:
    results = str(tmp_path_factory.mktemp("results"))
    plan = toys.make_plan({"results": results, "tasks": {"digits_mlp": CHANGES}, "experiments": {"tiny": GRID}})
    every_stage.make(plan, without=("plot", "derive", "judge"))
    return plan


@pytest.fixture(scope="session")
def world() -> pipeline_lib.World:
    return pipeline_lib.load("digits_mlp", **CHANGES)


@pytest.fixture(scope="session")
def w2(world) -> State:
    return pipeline_lib.train(world, pipeline_lib.initialise(world, seed=3), until=2, seed=3)
