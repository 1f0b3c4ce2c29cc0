"""What used to hold for the wrong reason: each input with the verdict that it deserves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import test_every_claim as every
import worlds
from worlds import WORLDS, each_seed
from worlds_early import followed
from worlds_ladders import drawn, plain_runs, well
from worlds_runs import line

from pipeline_lib.claims.evidence import seeds_of
from pipeline_lib.experiments import comparisons


def _claims(measure: str, rule: str = "") -> list[Any]:
    return [claim for claim in every.EVERY.values() if claim.measure["name"] == measure and rule in ("", claim.rule["name"])]


@pytest.mark.parametrize("sigma", [0.2, 2.5])
@pytest.mark.parametrize("claim", _claims("margin", "at_most") + _claims("margin", "near"), ids=lambda claim: claim.id)
def test_a_violation_of_one_point_and_a_half_never_holds_whatever_the_noise(claim, sigma):
    made = worlds.tables(claim, worlds.range_of(claim).high + 1.5)
    found = [
        worlds.verdict(claim, worlds.noisy(made, WORLDS["margin"].varies, sigma, np.random.default_rng(i))) for i in range(5)
    ]
    assert "holds" not in found
    assert sigma > 1 or set(found) == {"fails"}


# Constant, rising and falling series, with and without noise; a turn is none of them.
SERIES = {
    "constant": lambda step: 5.0,
    "falling": lambda step: 2.5 * math.exp(-step / 8) + 1 - 0.0001 * step,
    "rising": lambda step: 1 + 0.001 * step,
    "fallen": lambda step: 1 + 4 * math.exp(-step / 300),
}


@pytest.mark.parametrize("sigma", [0.0, 0.05])
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("claim", _claims("gradient_rebound") + _claims("gradient_minimum"), ids=lambda claim: claim.id)
def test_no_turn_holds_where_nothing_turns(claim, series, sigma):
    made = followed("gradient_norm", SERIES[series])
    for i in range(5):
        noisy = worlds.noisy(made, {"telemetry": {"gradient_norm": 1.0}}, sigma, np.random.default_rng(i))
        assert worlds.verdict(claim, noisy) != "holds"


def test_a_gradient_that_falls_strictly_does_not_grow_back():
    (claim,) = _claims("gradient_rebound")
    assert worlds.verdict(claim, followed("gradient_norm", SERIES["falling"])) == "fails"


@pytest.mark.parametrize("claim", _claims("telemetry_rate_ratio"), ids=lambda claim: claim.id)
def test_where_nothing_moves_nothing_goes_on_and_nothing_slows(claim):
    made = followed(claim.measure["quantity"], lambda step: 40.0)
    assert worlds.verdict(claim, made) == "undecided"
    held = 0
    for i in range(20):
        noisy = worlds.noisy(made, WORLDS["telemetry_rate_ratio"].varies, 0.5, np.random.default_rng(i))
        held += worlds.verdict(claim, noisy) == "holds"
    assert held <= 2


@pytest.mark.parametrize("claim", _claims("recovered"), ids=lambda claim: claim.id)
def test_nothing_recovered_and_everything_recovered_is_no_part(claim):
    assert [worlds.verdict(claim, worlds.tables(claim, share)) for share in (0.0, 1.0)] == ["fails", "fails"]


def test_a_correlation_has_a_sign_and_all_fourteen_perturbations():
    for claim in _claims("correlation"):
        assert worlds.verdict(claim, worlds.tables(claim, 0.8)) == "fails"
        made = worlds.tables(claim, worlds.thetas(claim)["inside"])
        kept = list(comparisons.PAPER)[:5]
        few = {**made, "perturbations": made["perturbations"][made["perturbations"]["change"].isin(kept)]}
        assert worlds.verdict(claim, few) == "not measured"


def _planes(claim: Any, share: list[float], side: list[float]) -> dict[str, pd.DataFrame]:
    options, levels = worlds.settled(claim), range(len(share))
    made = drawn(options, levels, "pruning", share=dict(zip(levels, share, strict=True)))
    who = {"plane": "pruning", "k": options["k"]}
    corners = [who | {"level": i, "x": x * side[i], "y": x * side[i]} for i in levels for x in (0.0, 1.0)]
    return made | {"planes": each_seed(corners, 10)} | worlds.runs(plain_runs(options["k"], 5, 5), 10)


def test_a_set_does_not_shrink_because_the_window_does():
    (claim,) = [claim for claim in _claims("set_trend") if claim.measure["extent"] == "area"]
    window, share = [4.0, 3.5, 3.0, 2.5, 2.0], [0.3, 0.27, 0.24, 0.2, 0.15]
    assert worlds.verdict(claim, _planes(claim, [0.3] * 5, window)) == "fails"
    assert worlds.verdict(claim, _planes(claim, share[::-1], window)) == "fails"
    assert worlds.verdict(claim, _planes(claim, share, window)) == "holds"


def test_a_fifth_is_zero_at_every_level_and_none_is_no_fifth():
    (claim,) = _claims("pruned_share")
    made = worlds.tables(claim, 0.0)["magnitudes"]
    none = made.assign(ratio=made["ratio"].where(made["ratio"] > 0, 0.01))
    two = pd.concat([none[none["level"] > 2], made[made["level"] <= 2]])
    assert [worlds.verdict(claim, {"magnitudes": each}) for each in (made, none, two)] == ["holds", "fails", "fails"]


def test_one_informative_level_of_twelve_says_nothing_of_all():
    (claim,) = _claims("reach_ratio")
    made = worlds.tables(claim, 2.0)
    sets = made["sets"].copy()
    sets.loc[sets["level"] > 0, ["reach_x", "reach_y"]] = math.nan
    assert worlds.verdict(claim, made | {"sets": sets}) == "not measured"


def test_random_orders_do_not_break_robustness():
    (claim,) = _claims("level_barrier_trend")
    made, rng, held = worlds.tables(claim, 0.0), np.random.default_rng(0), 0
    levels = sorted(made["barriers"]["level_1"].unique())
    for _ in range(200):
        order = dict(zip(levels, rng.permutation(len(levels)).tolist(), strict=True))
        frame = made["barriers"].assign(midpoint_error=0.2 + 0.01 * made["barriers"]["level_1"].map(order))
        noisy = worlds.noisy({"barriers": frame}, {"barriers": {"midpoint_error": 0.01}}, 1.5, rng)
        # Seeds differ in their orders: there is no effect.
        for seed in range(5):
            own = noisy["barriers"]["seed"] == seed
            noisy["barriers"].loc[own, "midpoint_error"] = rng.permutation(
                noisy["barriers"].loc[own, "midpoint_error"].to_numpy()
            )
        held += worlds.verdict(claim, noisy) == "holds"
    assert held <= 10


def test_a_blunt_transition_is_not_sharp():
    (claim,) = _claims("well_width")
    assert worlds.verdict(claim, well(1.0, 20)) == "holds"
    assert worlds.verdict(claim, well(1.0, 400)) == "fails"
    assert worlds.verdict(claim, well(1.0, 20, level=0.8)) == "fails"  # nine tenths are never reached


def test_a_limit_that_is_not_known_is_not_measured():
    for claim in _claims("limit_by_level") + _claims("limit_agreement"):
        made = worlds.tables(claim, worlds.thetas(claim)["inside"])
        null = made["limits"].assign(clamped=made["limits"]["clamped"].where(made["limits"]["level"] != 0))
        assert worlds.verdict(claim, made | {"limits": null}) == "not measured"


@pytest.mark.parametrize("name", every.ESTIMATED)
def test_what_is_measured_is_what_the_world_was_made_with(name):
    claim = every.ESTIMATED[name]
    if WORLDS[claim.measure["name"]].decided or claim.measure["name"] in every.INDIRECT:
        return
    theta = worlds.thetas(claim)["inside"]
    assert worlds.measure(claim, worlds.tables(claim, theta)).value == pytest.approx(theta, rel=2e-2, abs=1e-2)


def test_lines_are_what_they_say():
    assert line((1, 2, 3), 4.0, 1.0) == {1: -1.0, 2: 1.0, 3: 3.0}
    assert seeds_of({"a": pd.DataFrame({"seed": [1, 2]}), "b": pd.DataFrame({"x": [1]})}) == {1, 2}
