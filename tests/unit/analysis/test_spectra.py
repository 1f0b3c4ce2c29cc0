from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.analysis.lanczos import Ritz, Tridiagonal, lanczos, ritz
from pipeline_lib.analysis.spectra import (
    Spectrum,
    f_max,
    f_max_bounds,
    gradient_overlap,
    negative_mass,
    rademacher,
    spectrum,
    top_values,
    trace,
)
from pipeline_lib.core.rng import torch_generator

VALUES = torch.tensor([-2.0, -0.5, 0.0, 0.1, 1.0, 4.0, 30.0], dtype=torch.float64)


def _probes(num: int) -> list[torch.Generator]:
    return [torch_generator("probe", i) for i in range(num)]


def _diagonal(values: torch.Tensor = VALUES, num_iterations: int = 50, num: int = 2) -> Spectrum:
    """Random signs have equal shares of all axes, so all iterations on a diagonal operator give exact answers."""
    return spectrum(lambda block: values * block, values, num_iterations, _probes(num))


def _points(*values: float) -> Spectrum:
    """One node a probe."""
    return Spectrum(10, [Tridiagonal(np.array([value]), np.array([]), 0.0) for value in values])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probes_are_signs_of_their_generators(dtype):
    found = rademacher(torch.zeros(500, dtype=dtype), _probes(3))
    assert (found.shape, found.dtype) == ((3, 500), dtype)
    assert set(found.unique().tolist()) == {-1.0, 1.0}
    assert found.mean(dim=1).abs().max() < 0.2
    assert (found[0] @ found[1]).abs() < 100
    assert torch.equal(found[2:], rademacher(torch.zeros(500, dtype=dtype), _probes(3)[2:]))


def test_a_probe_does_not_depend_on_its_companions():
    alone, together = _diagonal(num=1, num_iterations=4), _diagonal(num=3, num_iterations=4)
    np.testing.assert_array_equal(alone.full[0].values, together.full[0].values)
    assert alone.dim == together.dim == 7


def test_no_probes_are_refused():
    with pytest.raises(ValueError, match="probes must have at least one generator, got none; each makes one random vector"):
        _diagonal(num=0)


@pytest.mark.parametrize("c", [1e-3, 0.5, 20.0])
@pytest.mark.parametrize(
    ("negative", "expected"),
    [
        ("clamped", lambda v, c: np.mean(c / (np.maximum(v, 0) + c))),
        ("absolute", lambda v, c: np.mean(c / (np.abs(v) + c))),
        ("dropped", lambda v, c: np.mean(c / (v[v > 0] + c))),
    ],
)
def test_f_max_in_closed_form(negative, expected, c):
    # Rounding may leave the eigenvalue 0 on either side, so it is out of this test.
    values = VALUES[VALUES != 0]
    (found,) = f_max(_diagonal(values), [c], negative)
    assert found.value == pytest.approx(expected(values.numpy(), c), rel=1e-9)
    assert found.standard_error == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=5, unique=True), st.sampled_from(["clamped", "absolute", "dropped"]))
def test_f_max_falls_with_the_distance(c, negative):
    found = [each.value for each in f_max(_diagonal(), sorted(c), negative)]
    assert all(0 <= value <= 1 + 1e-12 for value in found)
    assert all(low <= high + 1e-12 for low, high in itertools.pairwise(found))


@pytest.mark.parametrize("negative", ["clamped", "absolute", "dropped"])
def test_no_distance_leaves_every_direction_free(negative):
    (found,) = f_max(_diagonal(num_iterations=4), [math.inf], negative)
    assert found.value == pytest.approx(1, rel=1e-12)


def test_trace_and_negative_mass_in_closed_form():
    found = _diagonal()
    assert trace(found).value == pytest.approx(float(VALUES.sum()), rel=1e-9)
    assert negative_mass(found).value == pytest.approx(2.5 / 37.6, rel=1e-9)
    assert negative_mass(_diagonal(VALUES.abs())).value == pytest.approx(0, abs=1e-12)
    assert negative_mass(_diagonal(-VALUES.abs())).value == pytest.approx(1, rel=1e-12)


def test_the_trace_is_right_from_the_first_iteration():
    found = trace(_diagonal(num_iterations=2))
    assert found.value == pytest.approx(float(VALUES.sum()), rel=1e-9)
    assert found.change == pytest.approx(0, abs=1e-9)


def test_the_standard_error_is_that_of_the_mean_over_probes():
    found = trace(_points(1.0, 2.0, 6.0))
    assert found.value == pytest.approx(30)
    assert found.standard_error == pytest.approx(10 * np.std([1, 2, 6], ddof=1) / math.sqrt(3))


def test_the_standard_error_of_a_share_is_linearised():
    """Masses (1, 1) and (0, 3) of negative and of all: share 1/4, residuals +-3/4, mean of all 2."""
    found = negative_mass(_points(-1.0, 3.0))
    assert found.value == pytest.approx(1 / 4)
    assert found.standard_error == pytest.approx(3 / 8)


def test_one_probe_has_no_standard_error():
    for found in (trace(_points(1.0)), negative_mass(_points(1.0)), *f_max(_points(1.0), [1.0])):
        assert math.isnan(found.standard_error)
        assert not math.isnan(found.value)


def test_where_nothing_counts_there_is_no_value():
    for found in (negative_mass(_points(0.0, 0.0)), *f_max(_points(0.0, -1.0), [1.0], "dropped")):
        assert math.isnan(found.value)
        assert math.isnan(found.change)


def test_the_change_is_from_where_the_second_half_of_the_iterations_was_farthest():
    """Half the iterations may agree with all by chance: .019 there, .084 one iteration later."""
    long, *shorter = (f_max(_diagonal(num_iterations=m), [0.3])[0] for m in (6, 3, 4, 5))
    moves = [long.value - short.value for short in shorter]
    assert long.change == pytest.approx(max(moves, key=abs), rel=1e-12)
    assert abs(long.change) > 4 * abs(moves[0])


def test_an_invariant_space_has_nothing_left_to_change():
    assert f_max(_diagonal(), [0.3])[0].change == 0
    assert trace(_diagonal(torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64), 5)).change == 0


def _rotated(values: np.ndarray) -> torch.Tensor:
    """A matrix of these eigenvalues whose entries random signs do see."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values), len(values))))[0]
    return torch.from_numpy(axes @ np.diag(values) @ axes.T)


def test_the_band_of_two_probes_covers_the_exact_value_as_often_as_it_says():
    """Two standard errors of two probes cover 70 %; the deviation of a trace is known beforehand."""
    values = np.geomspace(1e-3, 3, 60)
    matrix, c = _rotated(values), 0.05
    exact = float(np.mean(c / (values + c)))
    starts = [[torch_generator("probe", trial, i) for i in range(2)] for trial in range(200)]
    found = [f_max(spectrum(lambda block: block @ matrix, matrix[0], 60, each), [c])[0] for each in starts]
    assert np.mean([abs(each.value - exact) <= each.band for each in found]) >= 0.92  # of 200: 95 % less two deviations
    assert np.mean([abs(each.value - exact) <= 2 * each.standard_error for each in found]) < 0.85
    assert np.std([each.value for each in found]) <= 1.1 * np.mean([each.deviation for each in found])


def test_the_spread_of_a_ratio_is_scaled_by_student():
    found = negative_mass(_points(-1.0, 3.0))
    assert math.isnan(found.deviation)
    assert found.spread == pytest.approx(12.706 * 3 / 8, rel=1e-4)
    assert math.isnan(negative_mass(_points(1.0)).spread)


@pytest.mark.parametrize("c", [0.0, -1.0, math.nan])
def test_c_must_be_positive(c):
    with pytest.raises(ValueError, match=f"c must be positive, got {c}; it is 2 eps / R\\^2"):
        f_max(_points(1.0), [1.0, c])


def test_a_variant_must_be_known():
    with pytest.raises(ValueError, match="negative must be clamped, absolute or dropped, got 'free'; choose what counts"):
        f_max(_points(1.0), [1.0], "free")


@given(st.integers(1, 8), st.sampled_from([1e-3, 0.1, 2.0]))
def test_bounds_hold_the_exact_value(num_iterations, c):
    values = torch.linspace(0.01, 3, 9, dtype=torch.float64)
    found = _diagonal(values, num_iterations, num=1)
    ((lower, upper),) = f_max_bounds(found, [c])
    exact = float((c / (values + c)).mean())
    assert lower - 1e-9 <= exact <= upper + 1e-9
    assert lower == f_max(found, [c])[0].value
    assert num_iterations > 3 or upper - lower > 1e-6


@pytest.mark.parametrize("node", [-1e-8, -1e-4, -9e-4, -1e-3, -0.02, -1.0])
@pytest.mark.parametrize("num_iterations", [1, 3, 6])
def test_bounds_stay_in_order_and_hold_the_value_however_low_the_node(node, num_iterations):
    """Where |node| came near c the upper bound was below the lower one."""
    values, c = torch.tensor([-1e-9, 0.0, 1e-5, 1e-3, 0.1, 1.0, 3.0], dtype=torch.float64), 1e-3
    ((lower, upper),) = f_max_bounds(_diagonal(values, num_iterations), [c], node)
    exact = float((c / (values.clamp(min=0) + c)).mean())
    assert lower - 1e-9 <= exact <= upper + 1e-9
    assert lower <= upper <= 1
    assert num_iterations < 6 or upper - lower <= -node / c + 0.05


@pytest.mark.parametrize(("node", "words"), [(0.0, "node must be below the lowest Ritz value"), (0.1, "node must be at most 0")])
def test_bounds_need_a_node_below_the_spectrum(node, words):
    with pytest.raises(ValueError, match=words):
        f_max_bounds(_diagonal(num_iterations=3), [1.0], node)


def _ritz(values: list[float], weights: list[float], residuals: list[float]) -> Ritz:
    return Ritz(np.array(values), np.array(weights), np.array(residuals))


PAIRS = _ritz([-3.0, -1.0, 0.5, 2.0, 10.0], [0.1, 0.2, 0.05, 0.25, 0.4], [1e-9, 0.5, 0.3, 0.001, 1e-4])


def test_top_values_come_largest_first_and_only_where_they_have_converged():
    assert top_values(PAIRS, 3) == [10.0, 2.0, None]
    assert top_values(PAIRS, 3, tolerance=1e-4) == [10.0, None, None]
    assert top_values(PAIRS, 3, tolerance=1.0) == [10.0, 2.0, 0.5]
    assert top_values(PAIRS, 2, lowest=True) == [-3.0, None]


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_convergence_is_relative(scale):
    scaled = Ritz(scale * PAIRS.values, PAIRS.weights, scale * PAIRS.residuals)
    assert top_values(scaled, 3) == [pytest.approx(10 * scale), pytest.approx(2 * scale), None]
    assert gradient_overlap(scaled, 3) is None


def test_values_that_were_not_found_are_missing():
    assert top_values(_ritz([1.0, 2.0], [0.5, 0.5], [0.0, 0.0]), 4) == [2.0, 1.0, None, None]


def test_the_overlap_is_the_weight_of_the_top_pairs():
    assert gradient_overlap(PAIRS, 1) == pytest.approx(0.4)
    assert gradient_overlap(PAIRS, 2) == pytest.approx(0.65)
    assert gradient_overlap(PAIRS, 5, tolerance=1.0) == pytest.approx(1)


def test_an_overlap_with_a_pair_that_has_not_converged_or_is_not_there_is_missing():
    assert gradient_overlap(PAIRS, 3) is None
    assert gradient_overlap(PAIRS, 2, tolerance=1e-4) is None
    assert gradient_overlap(PAIRS, 6, tolerance=1.0) is None


def test_a_pair_above_that_has_not_converged_makes_the_overlap_missing_too():
    assert gradient_overlap(_ritz([1.0, 2.0], [0.5, 0.5], [0.0, 1.0]), 2) is None


@pytest.mark.parametrize("read", [top_values, gradient_overlap])
def test_k_counts_from_one(read):
    with pytest.raises(ValueError, match="k must be at least 1, got 0; count eigenvalues from the largest"):
        read(PAIRS, 0)


def test_the_overlap_of_a_start_inside_the_top_subspace_is_whole():
    start = torch.zeros(7, dtype=torch.float64)
    start[-2:] = torch.tensor([0.6, 0.8], dtype=torch.float64)
    pairs = ritz(lanczos(lambda v: VALUES * v, start, 7))
    assert gradient_overlap(pairs, 1) == pytest.approx(0.64, rel=1e-9)
    assert gradient_overlap(pairs, 2) == pytest.approx(1, rel=1e-12)
    assert gradient_overlap(pairs, 3) is None
