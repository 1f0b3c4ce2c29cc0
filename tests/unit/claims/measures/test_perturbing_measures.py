"""How far perturbations move weights, and how that goes with accuracy."""

from __future__ import annotations

from typing import Any

import made_up
import pandas as pd
import pytest
from asking import ask, is_open, parts, value
from starts_world import Frames, world

from pipeline_lib.experiments import comparisons

K, LEVEL = 5, 2
# Effective deviation and accuracy: on the line 90 - 10 x, but for the mixtures, which are two points above or below it.
NOISES = dict(zip(comparisons.NOISE, (1.0, 2.0, 4.0, 6.0), strict=True))
SIZES = NOISES | dict(zip(comparisons.SHUFFLES | comparisons.SAME_SIGN, (5.0, 4.5, 3.5, 3.0, 2.5, 1.5, 0.5), strict=True))
SIZES |= dict(zip(comparisons.SIGNS, (1.2, 1.4, 1.0), strict=True))
OFF = dict(zip(comparisons.SIGNS, (2.0, -4.0, 2.0), strict=True))
MEANS = {change: (-1) ** i * 0.001 * i for i, change in enumerate(comparisons.PAPER)}


def _start(change: str) -> str:
    return f"k{K} | {change}"


def _sizes(sizes: dict[str, float] = SIZES, means: dict[str, float] = MEANS) -> pd.DataFrame:
    """Seeds are a tenth of the deviation apart; single layers and other kinds say something else."""
    who = {"task": "net", "kind": "imp", "k": K, "level": LEVEL, "layer": "all"}
    rows = [
        who | {"seed": seed, "start": _start(change), "deviation": size * (0.9 + seed / 10), "mean": means[change]}
        for change, size in sizes.items()
        for seed in (0, 1, 2)
    ]
    beside = [{"layer": "conv"}, {"kind": "reinit"}, {"level": LEVEL + 1}, {"task": "other"}]
    beside_the_point = [row | other | {"deviation": 99.0, "mean": 9.0} for row in rows for other in beside]
    return made_up.with_parts(pd.DataFrame([*beside_the_point, *rows]))


def _world(sizes: dict[str, float] = SIZES, off: dict[str, float] = OFF, whole: float = 90.0) -> Frames:
    accuracies: dict[tuple[str, int], list[float]] = {(f"k{K}", LEVEL): [whole + seed for seed in (-1, 0, 1)]}
    for change, size in sizes.items():
        accuracies[_start(change), LEVEL] = [90 - 10 * size + off.get(change, 0) + seed for seed in (-1, 0, 1)]
    return world(accuracies, perturbations=_sizes(sizes))


def test_an_effective_deviation_is_pooled_over_layers_and_averaged_over_seeds():
    asked = {"name": "deviation", "change": "shuffle(global)", "k": K, "level": LEVEL}
    assert parts(ask(_world(), **asked)) == (pytest.approx(5), 3)
    assert value(_world(SIZES | {"shuffle(global)": 7.0}), **asked) == pytest.approx(7)


def test_mixtures_lie_further_from_the_line_or_not():
    asked = {"name": "mixture_residuals", "k": K, "level": LEVEL}
    assert value(_world(), **asked) > 3
    assert value(_world(off={"noise(0.5)": 9.0, "noise(1)": -9.0}), **asked) < 1
    assert ask(_world(dict.fromkeys(SIZES, 1.0)), **asked) is None


def test_permutations_lie_closer_to_the_curve_of_noise_or_not():
    asked = {"name": "permutation_residuals", "k": K, "level": LEVEL}
    assert value(_world(), **asked) == pytest.approx(0, abs=1e-9)
    far = dict.fromkeys(comparisons.SHUFFLES | comparisons.SAME_SIGN, 16.0 / 3)
    assert value(_world(off=OFF | far), **asked) == pytest.approx(2)
    # The curve begins with the unperturbed network, and is level beyond three sigma.
    lower = _world(whole=80)
    assert value(lower, **asked) == pytest.approx((10 * 0.5 / 7) / (8 / 3))
    beyond = _world(SIZES | {"shuffle(global)": 7.0})
    assert value(beyond, **asked) == pytest.approx((10 / 7) / (8 / 3))
    assert is_open(ask(_world(off={}), **asked))


OF_ALL = ["largest_mean", "accurate_deviation", "mixture_residuals", "permutation_residuals"]


@pytest.mark.parametrize("name", [*OF_ALL, "deviation", "deviation_ratio", "noise_trend"])
def test_every_perturbation_that_it_takes_has_to_be_there(name):
    more = {"deviation": {"change": "noise(1)"}, "deviation_ratio": {"change": "noise(1)", "reference": "noise(2)"}}
    asked: dict[str, Any] = {"name": name, "k": K, "level": LEVEL, **more.get(name, {})}
    if name == "noise_trend":
        asked = {"name": name, "k": K, "from_level": LEVEL, "to_level": LEVEL}
    assert ask(_world(), **asked) is not None
    assert ask(_world(), **asked, least=4) is None
    assert ask({}, **asked) is None
    assert ask({key: frame.assign(task="b") for key, frame in _world().items()}, **asked) is None
    assert ask(_world(), **asked | {"k": K + 1}) is None
    frames = _world()
    for change in comparisons.PAPER if name in OF_ALL else ["noise(1)"]:
        without = {key: frame[frame["start"] != _start(change)] for key, frame in frames.items()}
        assert ask(without, **asked) is None


def test_sign_changes_of_a_scope_are_in_percent():
    who = {"task": "net", "step_1": 5, "step_2": 9, "scope": "all", "level": 0}
    rows = [who | {"seed": seed, "changed": 0.08 + 0.01 * seed} for seed in (0, 1, 2)]
    rows += [row | {"scope": "k5", "level": 2, "changed": 0.2} for row in rows] + [row | {"step_2": 99} for row in rows]
    frames = {"signs": pd.DataFrame(rows)}
    asked = {"name": "sign_changes", "step_1": 5, "step_2": 9}
    assert parts(ask(frames, **asked)) == (pytest.approx(9), 3)
    assert value(frames, **asked, scope="k5", level=2) == pytest.approx(20)
    assert ask(frames, **asked, scope="k5") is None
    assert ask(frames, **asked, least=4) is None
    assert ask(frames, **asked | {"step_1": 0}) is None
    assert ask({}, **asked) is None
