"""Every claim, held against made-up worlds: it holds where it is true, fails where it is false, and rewards no noise."""

from __future__ import annotations

import json
import os
from functools import cache

import numpy as np
import pytest
import worlds
import worlds_early
import worlds_ladders
import worlds_runs
from worlds import WORLDS, Tables

from pipeline_lib.claims import loading
from pipeline_lib.claims.evidence import seeds_of
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
ALIKE: dict[str, list[str]] = {}  # by measure and rule
for name, each in ESTIMATED.items():
    ALIKE.setdefault(json.dumps([each.measure["name"], each.rule["name"]]), []).append(name)
NUM_WORLDS = int(os.environ.get("REWIND_WORLDS", "200"))  # on the edges; the soak asks for more


def test_every_measure_has_a_world():
    assert set(WORLDS) == set(registry.entries("measures"))


@cache
def _made(name: str, where: str) -> Tables:
    """A claim's world, which is only read."""
    return worlds.tables(EVERY[name], worlds.thetas(EVERY[name])[where])


@cache
def _sigma(name: str) -> float:
    at = worlds.thetas(EVERY[name])
    return worlds.sigma_of(EVERY[name], at["inside"], at["edge"])


def _verdict(name: str, where: str, sigma: float, seed: int | list[int]) -> str:
    """Judge a claim in its world with noise."""
    varies = WORLDS[EVERY[name].measure["name"]].varies
    return worlds.verdict(EVERY[name], worlds.noisy(_made(name, where), varies, sigma, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", EVERY)
def test_where_a_claim_is_true_it_holds(name):
    assert worlds.verdict(EVERY[name], _made(name, "inside")) == "holds"
    if name in ESTIMATED:
        found = [_verdict(name, "inside", _sigma(name), i) for i in range(3)]
        assert "fails" not in found
        assert "holds" in found


@pytest.mark.parametrize("name", EVERY)
def test_where_the_effect_is_reversed_it_fails(name):
    assert worlds.verdict(EVERY[name], _made(name, "outside")) == "fails"


@pytest.mark.parametrize("name", ESTIMATED)
def test_with_ten_times_the_noise_it_is_undecided(name):
    found = [_verdict(name, "inside", 10 * _sigma(name), i) for i in range(5)]
    assert found.count("undecided") >= 3, found


def test_without_an_effect_hardly_any_world_makes_a_claim_hold():
    """Worlds on the edges of what claims allow; each judges a sixth of all measures and rules, in turn for their claims."""
    held, judged = dict.fromkeys(ALIKE, 0), 0
    for start, (alike, names) in enumerate(ALIKE.items()):
        for number in range(start % 6, NUM_WORLDS, 6):
            name, judged = names[:4][number // 6 % len(names[:4])], judged + 1
            held[alike] += _verdict(name, "edge", _sigma(name), [number, start]) == "holds"
    assert sum(held.values()) <= 0.05 * judged
    # By chance alone, one world in forty holds.
    assert {alike: number for alike, number in held.items() if number > 3 + NUM_WORLDS // 100} == {}


@pytest.mark.parametrize("name", ESTIMATED)
def test_with_half_of_the_rows_it_is_not_measured(name):
    made = _made(name, "inside")
    found = [worlds.verdict(EVERY[name], worlds.thinned(made, np.random.default_rng(i)), seeds_of(made)) for i in range(2)]
    assert found == ["not measured"] * 2
