from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline_lib.analysis.lanczos import Tridiagonal
from pipeline_lib.analysis.resolution import enough_examples, lowest_node, moved, places, settled, unsettled
from pipeline_lib.analysis.spectra import Spectrum, f_max, spectrum
from pipeline_lib.core.rng import torch_generator

VALUES = torch.cat([torch.zeros(40), torch.logspace(-5, 0, 60)]).double()


def _probes(num: int = 2) -> list[torch.Generator]:
    return [torch_generator("probe", i) for i in range(num)]


def _spectrum(num_iterations: int, values: torch.Tensor = VALUES, rule=None) -> Spectrum:
    return spectrum(lambda block: values * block, values, num_iterations, _probes(), enough=rule)


def _points(*values: float) -> Spectrum:
    return Spectrum(10, [Tridiagonal(np.array([value]), np.array([]), 0.0) for value in values])


def test_places_go_from_the_largest_eigenvalue_down():
    found = places(_points(-2.0, 4.0), 1e-2)
    assert found == pytest.approx([4, 4 / 10**0.5, 0.4, 4 / 10**1.5, 0.04])
    assert places(_points(0.0), 1e-2) == []


def test_the_node_is_below_what_rounding_has_put_under_zero():
    assert lowest_node(_points(1.0, 2.0)) == 0
    assert lowest_node(_points(1.0, -1e-7)) == -2e-7


@pytest.mark.parametrize("semidefinite", [True, False])
def test_iterations_end_where_the_limit_is_settled_and_not_before(semidefinite):
    rule = settled(len(VALUES), 2, 0.02, 1e-4, semidefinite)
    found = _spectrum(100, rule=rule)
    num, c = len(found.probes[0].diagonal), places(found, 1e-4)
    assert 8 < num < 100
    assert max(unsettled(found, c, semidefinite)) <= 0.02
    exact = [float((each / (VALUES + each)).mean()) for each in c]
    assert max(abs(each.value - value) for each, value in zip(f_max(found, c), exact, strict=True)) <= 0.02
    assert max(unsettled(_spectrum(num // 2), c, semidefinite)) > 0.02


def test_a_finer_rule_asks_for_more():
    sizes = [
        len(_spectrum(100, rule=settled(len(VALUES), 2, tolerance, resolution, True)).probes[0].diagonal)
        for tolerance, resolution in ((0.1, 1e-2), (0.02, 1e-3), (0.001, 1e-4))
    ]
    assert sizes == sorted(set(sizes))


def test_a_flat_operator_is_settled():
    zero = torch.zeros(5, dtype=torch.float64)
    assert len(_spectrum(5, zero, settled(5, 2, 0.02, 1e-4, True)).probes[0].diagonal) == 1


@pytest.mark.parametrize(("halves", "expected", "asked"), [((), 800, [100, 200, 400, 800]), ((200,), 200, [100, 200])])
def test_examples_are_doubled_until_the_limit_stays(halves, expected, asked):
    """An operator that doubles with the examples, but for the numbers that add nothing."""
    seen = []

    def measure(num: int) -> Spectrum:
        scale = 1.0 if num in halves else num / 100
        return seen.append(num) or _spectrum(100, VALUES * scale)

    assert enough_examples(measure, 800, 0.02, 1e-4) == expected
    assert seen == asked


def test_few_examples_are_all_looked_at():
    assert enough_examples(lambda num: _points(1.0), 1, 0.02, 1e-4) == 1


def test_what_moved_is_the_most_over_all_places():
    one, other = _spectrum(100), _spectrum(100, 2 * VALUES)
    assert moved(one, one, 1e-4) == 0
    assert moved(one, other, 1e-4) == pytest.approx(
        max(abs(a.value - b.value) for a, b in zip(f_max(one, places(one, 1e-4)), f_max(other, places(one, 1e-4)), strict=True))
    )
