"""What pretraining brings, by its duration."""

from __future__ import annotations

import pytest
from asking import ask, parts, value
from starts_world import world

PRETEXT = "rotation(false)"
DURATIONS = (2, 5, 10, 20, 40)
MEANS = {2: 70.0, 5: 72.0, 10: 71.0, 20: 79.0, 40: 81.0}
LEVELS = {"from_level": 1, "to_level": 2}


def _ladder(start, mean, spread=1.0):
    """Level 1 is two points above the mean, level 2 as many below; seeds are a point apart."""
    return {(start, level): [mean + shift + spread * seed for seed in (-1, 0, 1)] for level, shift in ((1, 2), (2, -2))}


def _world(means=MEANS, more=()):
    found = {**_ladder("k0", 71.5, 0), **_ladder("k500", 80)}
    for epochs, mean in means.items():
        found |= _ladder(f"k0 | {PRETEXT} for {epochs}ep", mean)
    return world(found | dict(more))


def test_margins_of_the_best_and_the_worst_duration():
    asked = {"name": "duration_margin", "pretext": PRETEXT, "against": "k0", **LEVELS}
    assert parts(ask(_world(), **asked, take="highest")) == (pytest.approx(9.5), 3)
    assert parts(ask(_world(), **asked, take="lowest")) == (pytest.approx(-1.5), 3)
    assert value(_world(), **asked, take="highest", durations=[2, 5, 10]) == pytest.approx(0.5)
    assert value(_world(MEANS | {2: 90.0}), **asked, take="highest") == pytest.approx(18.5)


def test_the_shortest_sufficient_duration():
    # From step 500 accuracy is 80: 79.8 is enough.
    asked = {"name": "sufficient_duration", "pretext": PRETEXT, "k": 500, **LEVELS}
    found = ask(_world(MEANS | {20: 79.81}), **asked)
    assert parts(found) == (20, 3)
    assert found is not None
    assert found.grid == (2.0, 5.0, 10.0, 20.0, 40.0)
    assert value(_world(MEANS | {20: 79.79}), **asked) == 40
    assert value(_world(MEANS | {2: 80.0}), **asked) == 2
    assert value(_world(MEANS | {20: 70.0, 40: 70.0}), **asked) == float("inf")


def test_seeds_that_agree_leave_a_fifth_of_a_point():
    asked = {"name": "sufficient_duration", "pretext": PRETEXT, "k": 500, **LEVELS}
    for mean, epochs in ((79.81, 20), (79.79, 40)):
        even = _world(MEANS | {20: mean}, more=_ladder("k500", 80, 0))
        assert value(even, **asked) == epochs


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "duration_margin", "pretext": PRETEXT, "against": "k0", **LEVELS, "take": "highest"},
        {"name": "duration_trend", "pretext": PRETEXT, **LEVELS},
        {"name": "sufficient_duration", "pretext": PRETEXT, "k": 500, **LEVELS},
    ],
    ids=lambda asked: asked["name"],
)
def test_every_duration_has_to_be_there_at_the_first_and_last_level(asked):
    assert ask(_world(), **asked) is not None
    for epochs in DURATIONS:
        assert ask(_world({other: mean for other, mean in MEANS.items() if other != epochs}), **asked) is None
    assert ask(_world(), **asked | {"to_level": 3}) is None
    assert ask(_world(), **asked, least=4) is None
    assert ask(_world(), **asked | {"pretext": "blur(4)"}) is None
    assert ask({}, **asked) is None
    diverged = _world()
    diverged["changed_runs"] = diverged["changed_runs"].assign(test_error=float("nan"))
    assert ask(diverged, **asked) is None
