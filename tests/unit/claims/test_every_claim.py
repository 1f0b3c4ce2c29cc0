"""Every claim, held against made-up worlds: it holds where it is true, fails where it is false, and rewards no noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
import worlds
import worlds_early
import worlds_ladders
import worlds_runs
from worlds import WORLDS

from pipeline_lib.claims import loading
from pipeline_lib.claims.evidence import seeds_of
from pipeline_lib.claims.loading import Claim
from pipeline_lib.core import registry
from pipeline_lib.experiments import config

assert worlds_early
assert worlds_ladders
assert worlds_runs
EVERY = {f"{path.stem}.{claim.id}": worlds.on_one_task(claim) for path in sorted(config.CLAIMS.glob("*.yaml"))
         for claim in loading.load(path)}  # fmt: skip
ESTIMATED = {name: claim for name, claim in EVERY.items() if not WORLDS[claim.measure["name"]].counted}
# Correlations near one, and quantities that worlds only come near to.
INDIRECT = ("correlation", "relation", "linear_fall", "throughout_mirrors_error", "ratio_trend", "gradient_minimum")
ALIKE: dict[str, list[Claim]] = {}  # by measure and rule
for each in ESTIMATED.values():
    ALIKE.setdefault(json.dumps([each.measure["name"], each.rule["name"]]), []).append(each)


def test_every_measure_has_a_world():
    assert set(WORLDS) == set(registry.entries("measures"))


@pytest.mark.parametrize("name", EVERY)
def test_where_a_claim_is_true_it_holds(name):
    claim, at = EVERY[name], worlds.thetas(EVERY[name])
    made = worlds.tables(claim, at["inside"])
    assert worlds.verdict(claim, made) == "holds"
    if name in ESTIMATED:
        sigma = worlds.sigma_of(claim, at["inside"], at["edge"])
        found = [worlds.verdict(claim, worlds.noisy(made, WORLDS[claim.measure["name"]].varies, sigma, np.random.default_rng(i)))
                 for i in range(3)]  # fmt: skip
        assert "fails" not in found
        assert "holds" in found


@pytest.mark.parametrize("name", EVERY)
def test_where_the_effect_is_reversed_it_fails(name):
    claim = EVERY[name]
    assert worlds.verdict(claim, worlds.tables(claim, worlds.thetas(claim)["outside"])) == "fails"


@pytest.mark.parametrize("name", ESTIMATED)
def test_with_ten_times_the_noise_it_is_undecided(name):
    claim, at = ESTIMATED[name], worlds.thetas(ESTIMATED[name])
    made, sigma = worlds.tables(claim, at["inside"]), 10 * worlds.sigma_of(claim, at["inside"], at["edge"])
    varies = WORLDS[claim.measure["name"]].varies
    found = [worlds.verdict(claim, worlds.noisy(made, varies, sigma, np.random.default_rng(i))) for i in range(5)]
    assert found.count("undecided") >= 3, found


def test_without_an_effect_hardly_any_world_makes_a_claim_hold():
    """200 worlds on the edges of what claims allow; each judges a sixth of all measures and rules, in turn for their claims."""
    held, judged = dict.fromkeys(ALIKE, 0), 0
    for start, (name, claims) in enumerate(ALIKE.items()):
        made = []
        for claim in claims[:4]:
            at = worlds.thetas(claim)
            made.append((claim, worlds.tables(claim, at["edge"]), worlds.sigma_of(claim, at["inside"], at["edge"])))
        for number in range(start % 6, 200, 6):
            claim, frames, sigma = made[number // 6 % len(made)]
            rng, judged = np.random.default_rng([number, start]), judged + 1
            held[name] += worlds.verdict(claim, worlds.noisy(frames, WORLDS[claim.measure["name"]].varies, sigma, rng)) == "holds"
    assert sum(held.values()) <= 0.05 * judged
    # By chance alone, one world in forty holds.
    assert {name: number for name, number in held.items() if number > 5} == {}


@pytest.mark.parametrize("name", ESTIMATED)
def test_with_half_of_the_rows_it_is_not_measured(name):
    claim = ESTIMATED[name]
    made = worlds.tables(claim, worlds.thetas(claim)["inside"])
    asked = seeds_of(made)
    found = [worlds.verdict(claim, worlds.thinned(made, np.random.default_rng(i)), asked) for i in range(2)]
    assert found == ["not measured"] * 2
