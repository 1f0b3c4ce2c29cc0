"""What spectra and cuts are taken to cost."""

from __future__ import annotations

import math

from pipeline_lib.planning import estimate

OLD = {"examples": 50000, "probes": 4, "iterations": 512, "operators": ["hessian", "gauss_newton"], "seeds": [0]}
NEW = OLD | {"examples": 8000, "tolerance": 0.02, "resolution": 1e-6}


def test_the_spectra_of_resnet20_are_below_its_training():
    """All images and all iterations made 57,977 core-hours of spectra beside 7,588 of training."""
    assert math.isclose(estimate.spectra(OLD), 1.2e-3 * 50000 * 4 * 512 * 2)
    assert 57977 * estimate.spectra(NEW) / estimate.spectra(OLD) < 7588


def test_a_bracket_closes_before_a_hessian_settles():
    alone = {name: estimate.spectra(NEW | {"operators": [name]}) for name in ("hessian", "gauss_newton")}
    assert alone["gauss_newton"] < alone["hessian"]
    assert math.isclose(sum(alone.values()), estimate.spectra(NEW))


def test_every_draw_of_a_cut_costs():
    once = {"fractions": {"magnitude": [0.1], "random": [0.1, 0.2]}, "seeds": [0, 1]}
    assert estimate.cuts(once) == 6 * 3 * 2
    assert estimate.cuts(once | {"repeated": [0.2], "draws": 5}) == 6 * 7 * 2
