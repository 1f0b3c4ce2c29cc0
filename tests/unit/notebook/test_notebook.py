"""The public face: its examples run, and its networks are those of the workflow."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest
import torch

import pipeline_lib


@pytest.fixture(scope="module")
def names() -> dict[str, object]:
    """What the examples speak of, and every public name."""
    found: dict[str, object] = {name: getattr(pipeline_lib, name) for name in pipeline_lib.__all__}
    digits = pipeline_lib.load("digits_mlp", network={"widths": [8]}, optimiser={"lr": 0.01}, steps=20)
    w0 = pipeline_lib.initialise(digits)
    one, other = (pipeline_lib.train(digits, w0, order=order) for order in (0, 1))
    spectrum = pipeline_lib.curvature(digits, one, iterations=10, probes=2, examples=64)
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
        pipeline_lib.curvature(digits, one, operator="fisher")
    with pytest.raises(ValueError, match=r"criterion must be one of magnitude, .*got 'magnitud'; did you mean 'magnitude'\?"):
        pipeline_lib.prune(digits, one, criterion="magnitud")
    with pytest.raises(ValueError, match=r"change must be perturbations alone, got 'lr_rewinding'; train or prune by"):
        pipeline_lib.perturb(digits, names["w0"], "lr_rewinding")
    with pytest.raises(ValueError, match=r"until must be at least the start's step 20, got 5"):
        pipeline_lib.train(digits, one, until=5)
    with pytest.raises(ValueError, match=r"mask must fit the network, got a mask of 'fc.weight', which it lacks"):
        pipeline_lib.train(digits, names["w0"], mask={"fc.weight": names["mask"]["stem.fc1.weight"]})


def test_a_run_that_diverges_is_an_error():
    wild = pipeline_lib.load("digits_mlp", network={"widths": [8, 8, 8]}, optimiser={"name": "sgd", "lr": 1e6}, steps=20)
    with pytest.raises(ValueError, match=r"training of digits_mlp must stay finite, got none after step \d+; lower the learning"):
        pipeline_lib.train(wild, pipeline_lib.initialise(wild))
