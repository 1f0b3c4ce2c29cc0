from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.analysis.spectra import spectrum
from pipeline_lib.core import registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.planning import declared
from pipeline_lib.tables import tabulation
from pipeline_lib.tables.derived import fits, limits

SPEC: dict[str, Any] = {
    **{"fit_levels": {"toy": 4}, "fit_fractions": {"toy": [0.05, 0.1, 0.15]}, "regressions": {"toy": "error_on_loss"}},
    "tolerances": {"toy": 0.5},
}
WHO = {"task": "toy", "seed": 0, "k": 5}
VALUES = {-0.5: 2, 0.25: 5, 1.0: 2, 30.0: 1}  # eigenvalues, and how often each is there


def _cut(level: int, criterion: str, fraction: float, loss: float | None, error: float | None, **more: Any) -> dict[str, Any]:
    who = WHO | {"level": level, "criterion": criterion, "fraction": fraction, "distance": 10 * fraction}
    return (
        who
        | {"key": f"level {level}", "train_error": 0.0, "train_loss": loss, "test_error": error, "test_loss": 0.3, "draw": 0}
        | more
    )


def _cuts() -> list[dict[str, Any]]:
    """Three networks on the line `error = 0.08 + 0.2 * loss`, and others that are not on it and have no part in it."""
    line = [
        _cut(4, c, f, loss, 0.08 + 0.2 * loss) for c, f, loss in (("none", 0, 0.1), ("random", 0.05, 0.2), ("random", 0.15, 0.5))
    ]
    others = [_cut(4, "random", 0.2, 0.6, 0.9), _cut(4, "magnitude", 0.1, 0.3, 0.9), _cut(2, "random", 0.1, 0.3, 0.9)]
    return [*line, *others, _cut(2, "none", 0, 0.02, 0.1), _cut(6, "none", 0, 0.4, 0.3)]


def _runs(*errors: float | None, **more: Any) -> pd.DataFrame:
    """Dense networks, a seed each."""
    who = {"task": "toy", "kind": "dense", "k": 5, "level": 0, "noise_order": 0} | more
    return pd.DataFrame([who | {"seed": seed, "test_error": error} for seed, error in enumerate(errors)])


def _fits(cuts: list[dict[str, Any]] | None = None, runs: pd.DataFrame | None = None) -> dict[int, dict[str, Any]]:
    dense = _runs(0.10, 0.14) if runs is None else runs
    rows = fits.fits({"cuts": pd.DataFrame(_cuts() if cuts is None else cuts), "runs": dense}, SPEC)
    return {row["level"]: row for row in rows}


def test_a_line_is_fitted_to_small_random_cuts_of_one_level():
    found = _fits()
    matching = (0.12 + 0.04 / 2**0.5 - 0.08) / 0.2  # mean 0.12, deviation 0.04 / sqrt 2
    for row in found.values():
        assert (row["slope"], row["intercept"], row["num_points"]) == (pytest.approx(0.2), pytest.approx(0.08), 3)
        assert row["matching_loss"] == pytest.approx(matching)
    assert {level: row["train_loss"] for level, row in found.items()} == {2: 0.02, 4: 0.1, 6: 0.4}
    assert found[2]["epsilon"] == pytest.approx(matching - 0.02)
    assert found[4]["epsilon"] == pytest.approx(matching - 0.1)


def test_points_off_the_line_are_fitted_by_least_squares():
    cuts = [_cut(4, "none", 0, 0.0, 0.1), _cut(4, "random", 0.05, 1.0, 0.1), _cut(4, "random", 0.1, 2.0, 0.4)]
    row = _fits(cuts)[4]  # means 1 and 0.2; slope sum (x - 1) y / 2 = 0.15
    assert (row["slope"], row["intercept"]) == (pytest.approx(0.15), pytest.approx(0.05))


def test_of_one_dense_network_what_is_two_tenths_of_a_point_worse_matches():
    assert _fits(runs=_runs(0.12))[4]["matching_loss"] == pytest.approx(0.21)
    assert _fits(runs=_runs(0.12, None))[4]["matching_loss"] == pytest.approx(0.21)  # the other one has diverged


def test_other_networks_are_not_the_dense_ones():
    others = [
        _runs(0.5, 0.6, **more)
        for more in ({"k": 9}, {"kind": "imp", "level": 1}, {"noise_order": 1}, {"task": "x"}, {"kind": "reinit"})
    ]
    assert _fits(runs=pd.concat([_runs(0.10, 0.14), *others])) == _fits()


def test_a_solution_above_the_matching_loss_has_no_sublevel_set():
    row = _fits()[6]
    assert row["epsilon"] is None
    assert row["matching_loss"] < row["train_loss"]


@pytest.mark.parametrize("errors", [(0.3, 0.2, 0.1), (0.1, 0.1, 0.1)])
def test_a_line_that_does_not_rise_gives_no_sublevel_set(errors):
    cuts = [_cut(4, "random" if i else "none", 0.05 * i, 0.1 * i, error) for i, error in enumerate(errors)]
    row = _fits(cuts)[4]
    assert row["slope"] == pytest.approx((errors[2] - errors[0]) / 0.2)
    assert (row["matching_loss"], row["epsilon"]) == (None, None)


@pytest.mark.parametrize("cuts", [[_cut(4, "none", 0, 0.1, 0.1)], [_cut(4, c, 0, None, None) for c in ("none", "random")]])
def test_without_a_line_nothing_is_known(cuts):
    row = _fits(cuts)[4]
    assert {row[name] for name in ("slope", "intercept", "matching_loss", "epsilon")} == {None}
    assert row["num_points"] == len(cuts) % 2


def test_each_seed_and_rewind_step_has_its_own_line():
    other = [cut | {"seed": 1, "test_error": cut["test_error"] + 0.01} for cut in _cuts()]
    later = [cut | {"k": 9} for cut in _cuts()]
    frames = {"cuts": pd.DataFrame([*_cuts(), *other, *later]), "runs": pd.concat([_runs(0.12), _runs(0.5, k=9)])}
    found = {(row["k"], row["seed"], row["level"]): row["matching_loss"] for row in fits.fits(frames, SPEC)}
    assert len(found) == 9
    assert [found[key] for key in ((5, 0, 4), (5, 1, 4))] == pytest.approx([0.21, 0.16])
    assert found[9, 0, 4] == found[5, 0, 4]  # the dense reference is one, that of the first step


def _noisy(num: int = 7, draws: int = 5, noise: float = 0.004) -> list[dict[str, Any]]:
    """Cuts whose errors scatter around `0.1 + 0.3 * loss`."""
    rng = np.random.default_rng(0)
    cuts = [_cut(4, "none", 0, 0.02, 0.105)]
    for i, draw in itertools.product(range(num), range(draws)):
        loss = 0.05 + 0.02 * i + 0.01 * float(rng.random())
        cuts.append(_cut(4, "random", 0.05, loss, 0.1 + 0.3 * loss + noise * float(rng.normal()), draw=draw))
    return cuts


def test_the_error_of_epsilon_is_what_other_draws_and_other_dense_networks_would_give():
    """Against the spread of the estimate itself over 300 worlds of as many cuts and dense networks."""
    rng, found = np.random.default_rng(1), []
    for world in range(300):
        line, losses = [_cut(4, "none", 0, 0.02, 0.106)], 0.05 + 0.14 * rng.random(20)
        line += [_cut(4, "random", 0.05, x, 0.1 + 0.3 * x + 0.004 * e) for x, e in zip(losses, rng.normal(size=20), strict=True)]
        dense = _runs(*(0.13 + 0.003 * rng.normal(size=5)).tolist())
        rows = fits.fits({"cuts": pd.DataFrame([c | {"seed": world} for c in line]), "runs": dense}, SPEC)
        found.append((rows[0]["epsilon"], rows[0]["epsilon_error"]))
    epsilons, errors = np.array(found).T
    assert np.median(errors) == pytest.approx(np.std(epsilons), rel=0.2)


def test_one_cut_more_or_less_dense_spread_shows_in_the_error():
    few, many = (_fits(_noisy(draws=draws), _runs(0.12))[4]["epsilon_error"] for draws in (1, 40))
    assert many < few
    runs = _runs(0.10, 0.14, 0.18)
    assert _fits(_noisy(draws=20), runs)[4]["epsilon_error"] > 5 * _fits(_noisy(draws=20), _runs(0.14))[4]["epsilon_error"]


def test_too_few_points_have_no_error():
    assert _fits()[4]["epsilon_error"] is None  # two random cuts


def test_the_direction_of_the_regression_is_an_option():
    cuts = _noisy(noise=0.02)
    other = fits.fits({"cuts": pd.DataFrame(cuts), "runs": _runs(0.10, 0.14)}, SPEC | {"regressions": {"toy": "loss_on_error"}})
    ours, theirs = _fits(cuts)[4], other[0]
    assert theirs["slope"] > 1.05 * ours["slope"]
    assert (ours["epsilon_reversed"], theirs["epsilon_reversed"]) == (theirs["epsilon"], ours["epsilon"])
    x, y = (np.array([cut[name] for cut in cuts]) for name in ("train_loss", "test_error"))
    assert ours["slope"] == pytest.approx(np.polyfit(x, y, 1)[0])
    assert theirs["slope"] == pytest.approx(1 / np.polyfit(y, x, 1)[0])


def _spectrum(values: dict[float, int], num_probes: int = 2, iterations: int = 50, **more: Any) -> list[dict[str, Any]]:
    """What Lanczos finds of a diagonal operator: exact, as random signs have equal shares of all axes."""
    diagonal = torch.tensor([v for v, num in values.items() for _ in range(num)], dtype=torch.float64)
    probes = [torch_generator("probe", i) for i in range(num_probes)]
    found = spectrum(lambda block: diagonal * block, diagonal, iterations, probes)
    who = WHO | {"kind": "imp", "level": 4, "step": 60, "operator": "hessian", "vector": "rademacher", "dimension": len(diagonal)}
    who |= {"key": "level 4", "num_examples": 100}
    return [
        who | {"probe": number, "index": i, "alpha": alpha, "beta": beta} | more
        for number, each in enumerate(found.probes)
        for i, (alpha, beta) in enumerate(zip(each.diagonal, [*each.off_diagonal, each.residual], strict=True))
    ]


def _limits(
    rows: list[dict[str, Any]], cuts: list[dict[str, Any]] | None = None, spec: dict[str, Any] | None = None
) -> pd.DataFrame:
    frames = {"spectrum": pd.DataFrame(rows), "cuts": pd.DataFrame(_cuts() if cuts is None else cuts), "runs": _runs(0.10, 0.14)}
    frames["fits"] = tabulation.to_arrow(fits.fits(frames, SPEC), declared.COLUMNS["fits"]).to_pandas()
    return tabulation.to_arrow(limits.limits(frames, SPEC if spec is None else spec), declared.COLUMNS["limits"]).to_pandas()


PLANTED = _spectrum(VALUES)


def test_limits_in_closed_form():
    found = _limits(PLANTED)
    each = np.repeat(list(VALUES), list(VALUES.values()))
    for _, row in found.iterrows():
        c = 2 * _fits()[4]["epsilon"] / row["distance"] ** 2
        assert row["c"] == pytest.approx(c)
        assert row["clamped"] == pytest.approx((c / (np.maximum(each, 0) + c)).mean(), rel=1e-9)
        assert row["absolute"] == pytest.approx((c / (np.abs(each) + c)).mean(), rel=1e-9)
        assert row["dropped"] == pytest.approx((c / (each[each > 0] + c)).mean(), rel=1e-9)
        assert row["standard_error"] == pytest.approx(0, abs=1e-9)
        assert row["unsettled"] == row["clamped"]
    assert set(found["epsilon"]) == {_fits()[4]["epsilon"]}
    assert set(found["change"]) == {0}  # all four eigenvalues are found, and nothing is left


@pytest.mark.parametrize("iterations", [2, 50])
def test_limits_fall_with_the_distance_and_are_shares(iterations):
    found = _limits(_spectrum(VALUES, iterations=iterations))
    for name in ("clamped", "absolute", "dropped"):
        assert found[name].between(0, 1 + 1e-12).all()
        assert all(near > far for near, far in itertools.pairwise(found[name]))


def test_distances_are_a_grid_around_those_of_the_cuts_and_these():
    found = _limits(PLANTED)["distance"].tolist()
    own = {0.5, 1.0, 1.5, 2.0}
    assert own < set(found)
    grid = [distance for distance in found if distance not in own]
    assert (len(grid), grid[0], grid[-1]) == (40, pytest.approx(0.125), pytest.approx(4))
    ratios = [far / near for near, far in itertools.pairwise(grid)]
    assert ratios == pytest.approx([32 ** (1 / 39)] * 39)
    assert found == sorted(found)


def test_one_probe_has_no_standard_error():
    found = _limits(_spectrum(VALUES, num_probes=1))
    assert found["standard_error"].isna().all()
    unknown = ["standard_error", "environment", "epsilon_error", "bias", "experiment", "member"]
    assert found.drop(columns=unknown).notna().all(axis=None)


def test_the_standard_error_is_over_probes():
    two = [*_spectrum({1.0: 3}, 1), *({**row, "probe": 1} for row in _spectrum({3.0: 3}, 1))]
    row = _limits(two).iloc[0]
    assert row["clamped"] == pytest.approx((row["c"] / (1 + row["c"]) + row["c"] / (3 + row["c"])) / 2)
    assert row["standard_error"] == pytest.approx((row["c"] / (1 + row["c"]) - row["c"] / (3 + row["c"])) / 2)


def test_nothing_is_left_of_a_spectrum_without_positive_eigenvalues():
    found = _limits(_spectrum({-1.0: 3, -2.0: 2}))
    assert found["dropped"].isna().all()
    assert found["clamped"].tolist() == pytest.approx([1.0] * len(found))


def test_other_spectra_have_no_part():
    others = [{"vector": "gradient", "probe": -1}, {"kind": "reinit"}, {"level": 6}, {"level": 3}, {"k": 0}, {"step": 7}]
    more = [row for change in others for row in _spectrum({7.0: 2}, **change)]
    pd.testing.assert_frame_equal(_limits([*more, *PLANTED]), _limits(PLANTED))  # level 6 has no epsilon, level 3 no cuts


def test_the_order_of_rows_does_not_matter():
    pd.testing.assert_frame_equal(_limits(PLANTED[::-1]), _limits(PLANTED))


def test_each_operator_has_its_own_curve():
    found = _limits([*PLANTED, *_spectrum({7.0: 2}, operator="gauss_newton")])
    own = found[found["operator"] == "gauss_newton"]
    assert len(own) == len(found) / 2
    assert own["clamped"].tolist() == pytest.approx((own["c"] / (own["c"] + 7)).tolist())


def _tight(spec: float) -> dict[str, Any]:
    return SPEC | {"tolerances": {"toy": spec}}


def test_what_moves_by_more_than_the_tolerance_is_null_and_keeps_its_band():
    short = _spectrum(dict.fromkeys(np.geomspace(1e-4, 30, 40).tolist(), 1), iterations=12)
    found, loose = _limits(short, spec=_tight(0.02)), _limits(short, spec=_tight(1.0))
    moves = found["width"] > 0.02
    assert 0 < moves.sum() < len(found)
    pd.testing.assert_series_equal(found["clamped"].isna(), moves, check_names=False)
    assert found.loc[moves, ["unsettled", "lower", "upper", "c"]].notna().all(axis=None)
    pd.testing.assert_series_equal(loose["clamped"], found["unsettled"], check_names=False)
    np.testing.assert_array_equal(found["width"], found["change"].abs())
    assert (found["lower"] <= found["unsettled"]).all()
    assert (found["unsettled"] <= found["upper"]).all()


def test_the_gauss_newton_limit_has_a_bracket():
    values = np.geomspace(1e-4, 30, 40)
    rows = _spectrum(dict.fromkeys(values.tolist(), 1), iterations=12, operator="gauss_newton")
    for _, row in _limits(rows).iterrows():
        exact = float((row["c"] / (values + row["c"])).mean())
        assert row["lower"] <= row["unsettled"] <= exact + 1e-9
        assert exact <= min(row["unsettled"] + row["width"], row["upper"]) + 1e-9


def test_what_twice_the_images_move_is_said_and_counts():
    rows = [*_spectrum({1.0: 4, 7.0: 4}, operator="gauss_newton"), *_spectrum({2.0: 8})]
    fewer = [row | {"num_examples": 50} for row in _spectrum({1.0: 8}, operator="gauss_newton")]
    found, free = _limits([*rows, *fewer], spec=_tight(0.05)), _limits(rows, spec=_tight(0.05))
    for _, row in found.iterrows():
        assert row["bias"] == pytest.approx((row["c"] / (7 + row["c"]) - row["c"] / (1 + row["c"])) / 2)
    pd.testing.assert_series_equal(found["clamped"].isna(), found["bias"].abs() > 0.05, check_names=False)
    assert set(found["operator"]) == {"gauss_newton", "hessian"}
    assert free["bias"].isna().all()
    pd.testing.assert_series_equal(found["unsettled"], free["unsettled"])


def test_a_solution_without_a_sublevel_set_has_a_limit_of_nothing():
    found = _limits(_spectrum(VALUES, level=6), [*_cuts(), _cut(6, "random", 0.1, 0.5, 0.4)])
    assert len(found) > 0
    assert (found[["clamped", "absolute", "dropped", "unsettled", "lower", "upper"]] == 0).all(axis=None)
    assert found[["epsilon", "c"]].isna().all(axis=None)


def test_the_error_of_epsilon_widens_the_band():
    rows = _spectrum(VALUES)
    found = _limits(rows, _noisy())
    assert set(found["epsilon_error"].notna()) == {True}
    each = np.repeat(list(VALUES), list(VALUES.values())).clip(0)
    for _, row in found.iterrows():
        c = 2 * (row["epsilon"] + 1.96 * row["epsilon_error"]) / row["distance"] ** 2
        assert row["upper"] >= min((c / (each + c)).mean(), 1) - 1e-9
        assert row["lower"] <= row["unsettled"] <= row["upper"]


def test_without_cuts_there_is_no_distance():
    cuts = [cut | {"distance": 0.0 if cut["criterion"] == "none" else None} for cut in _cuts()]
    assert not len(_limits(PLANTED, cuts))


@pytest.mark.parametrize("table", ["fits", "limits"])
def test_both_tables_have_their_columns(table):
    frames = {"spectrum": pd.DataFrame(PLANTED), "cuts": pd.DataFrame(_cuts()), "runs": _runs(0.1, 0.14)}
    frames["fits"] = pd.DataFrame(fits.fits(frames, SPEC))
    rows = registry.entries("derived")[table].load()(frames, SPEC)
    assert rows
    assert all(
        {*row, "environment", "experiment", "member"} == {column.name for column in declared.COLUMNS[table]} for row in rows
    )
    assert all(row["key"] == f"level {row['level']}" for row in rows)
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())
