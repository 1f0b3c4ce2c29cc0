"""The public face: its examples run, and its networks are those of the workflow."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
import toys

import pipeline_lib
from pipeline_lib.core.types import State
from pipeline_lib.planning import nodes
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation


@pytest.fixture(scope="module")
def names() -> dict[str, object]:
    """What the examples speak of, and every public name."""
    found: dict[str, object] = {name: getattr(pipeline_lib, name) for name in pipeline_lib.__all__}
    digits = pipeline_lib.load("digits_mlp", network={"widths": [8]}, optimiser={"lr": 0.01}, steps=20)
    w0 = pipeline_lib.initialise(digits)
    one, other = (pipeline_lib.train(digits, w0, order=order) for order in (0, 1))
    spectrum = pipeline_lib.hessian(digits, one, iterations=10, probes=2, examples=64)
    mask = pipeline_lib.prune(digits, one, fraction=0.5)
    return found | {
        "digits": digits,
        "w0": w0,
        "one": one,
        "other": other,
        "mask": mask,
        "spectrum": spectrum,
        "np": np,
        "torch": torch,
        "Path": Path,
    }


def _examples(name: str) -> list[doctest.DocTest]:
    public = getattr(pipeline_lib, name)
    return doctest.DocTestFinder(recurse=False).find(public, name, module=False, globs={})


FUNCTIONS = [name for name in pipeline_lib.__all__ if inspect.isfunction(getattr(pipeline_lib, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_short_example_that_is_right(name, names):
    (test,) = _examples(name)
    assert 1 <= sum(len(example.source.splitlines()) for example in test.examples) <= 4
    test.globs.update(names)
    outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert (outcome.failed, outcome.attempted) == (0, len(test.examples))


def test_what_is_asked_for_wrongly_is_said(names):
    digits, one = names["digits"], names["one"]
    with pytest.raises(ValueError, match=r"split must be train or test, got 'valid'; choose one of them"):
        pipeline_lib.evaluate(digits, one, "valid")
    with pytest.raises(ValueError, match=r"batchnorm must be averaged or recomputed, got 'none'; choose one of them"):
        pipeline_lib.path(digits, one, one, batchnorm="none")
    with pytest.raises(ValueError, match=r"operator must be hessian or gauss_newton, got 'fisher'; choose one of them"):
        pipeline_lib.hessian(digits, one, operator="fisher")
    with pytest.raises(ValueError, match=r"criterion must be one of .*magnitude, .*got 'magnitud'; did you mean 'magnitude'\?"):
        pipeline_lib.prune(digits, one, criterion="magnitud")
    with pytest.raises(ValueError, match=r"change must be perturbations alone, got 'lr_rewinding'; train or prune by"):
        pipeline_lib.perturb(digits, names["w0"], "lr_rewinding")
    with pytest.raises(ValueError, match=r"first argument must be a world, which load makes, or a torch module .*, got State"):
        pipeline_lib.evaluate(one)
    with pytest.raises(ValueError, match=r"num must be at least 2, got 0; the grid needs both ends"):
        pipeline_lib.plane(digits, one, one, one, num=0)
    with pytest.raises(ValueError, match=r"key of tasks.digits_mlp must be one of .*, got 'stepss'; did you mean 'steps'\?"):
        pipeline_lib.load("digits_mlp", stepss=3)
    with pytest.raises(ValueError, match=r"task must be one of .*digits_mlp.*, got 'digits_mpl'; did you mean 'digits_mlp'\?"):
        pipeline_lib.load("digits_mpl")
    with pytest.raises(ValueError, match=r"until must be at least the start's step 20, got 5"):
        pipeline_lib.train(digits, one, until=5)
    with pytest.raises(ValueError, match=r"mask must fit the network, got a mask of 'fc.weight', which it lacks"):
        pipeline_lib.train(digits, names["w0"], mask={"fc.weight": names["mask"]["stem.fc1.weight"]})


def test_a_run_that_diverges_is_an_error():
    wild = pipeline_lib.load("digits_mlp", network={"widths": [8, 8, 8]}, optimiser={"name": "sgd", "lr": 1e6}, steps=20)
    with pytest.raises(ValueError, match=r"training of digits_mlp must stay finite, got none after step \d+; lower the learning"):
        pipeline_lib.train(wild, pipeline_lib.initialise(wild))


def _the(made: nodes.Plan, stage: str, **spec: object) -> Path:
    """The folder of the one artifact of a stage with such a spec."""
    (found,) = [n for n in made.nodes.values() if n.stage == stage and spec.items() <= n.spec.items()]
    return made.config.results / found.folder


def _state(made: nodes.Plan, stage: str, member: int = 0, **spec: object) -> State:
    return artifacts.read_states(_the(made, stage, **spec) / "state.safetensors")[0][member]


def test_networks_masks_and_starts_are_those_of_the_workflow(made, world, w2):
    assert toys.same_state(w2, _state(made, "pretrain", k=2))
    w0 = pipeline_lib.initialise(world, seed=3)
    assert toys.same_state(w0, _state(made, "pretrain", k=0, draw="W0"))
    solution = pipeline_lib.train(world, w2, seed=3)
    assert toys.same_state(solution, _state(made, "train", start="k2", level=0, members=[[3, 0]]))
    assert toys.same_state(
        pipeline_lib.train(world, w2, seed=3, order=1), _state(made, "train", start="k2", level=0, members=[[3, 1]])
    )
    mask = pipeline_lib.prune(world, solution)
    (own,), _ = artifacts.read_masks(_the(made, "prune") / "mask.safetensors")
    assert all(np.array_equal(mask[name], own[name]) for name in own)
    sparse = pipeline_lib.train(world, w2, mask=mask, seed=3)
    assert toys.same_state(sparse, _state(made, "train", level=1, start="k2", kind="imp", members=[[3, 0]]))
    noisy = pipeline_lib.perturb(world, pipeline_lib.masked(w2, mask), "noise(0.5)", mask, seed=3)
    assert toys.same_state(noisy, _state(made, "perturb", level=1, start="k2 | noise(0.5)"))


def test_measurements_are_those_of_the_workflow(made, world, w2):
    one, other = (pipeline_lib.train(world, w2, seed=3, order=order) for order in (0, 1))
    rows = tabulation.read(_the(made, "interpolate", level=0) / "instability.parquet")
    (row,) = rows[rows["split"] == "test"].to_dict("records")
    found = pipeline_lib.instability(world, one, other, num=5)
    assert {name: row[name] for name in vars(found)} == vars(found)
    spectrum = pipeline_lib.hessian(world, w2, iterations=6, probes=2, examples=64, seed=3)
    (row,) = tabulation.read(_the(made, "hessian", step=2) / "curvature.parquet").to_dict("records")
    assert pipeline_lib.trace(spectrum).value == row["trace"]
    assert row["dimension"] == spectrum.dim
