"""How far perturbations move weights, and how that goes with accuracy."""

from __future__ import annotations

from typing import Any

import made_up
import pandas as pd
import pytest
from asking import ask, parts, value
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
        who | {"seed": seed, "start": _start(change), "deviation": size * (1 + seed / 10), "mean": means[change]}
        for change, size in sizes.items()
        for seed in (-1, 0, 1)
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
    assert parts(ask(_world(), **asked)) == (pytest.approx(5), pytest.approx(0.5), 3)
    assert value(_world(SIZES | {"shuffle(global)": 7.0}), **asked) == pytest.approx(7)


def test_ratios_of_deviations_are_taken_seed_by_seed():
    frames = _world()
    asked = {"name": "deviation_ratio", "change": "noise(1)", "reference": "noise(2)", "k": K, "level": LEVEL}
    assert parts(ask(frames, **asked)) == (pytest.approx(0.5), pytest.approx(0), 3)
    rows = frames["perturbations"].copy()
    odd = (rows["start"] == _start("noise(1)")) & (rows["seed"] == 1) & (rows["layer"] == "all")
    rows.loc[odd, "deviation"] *= 2.5
    odd_one = frames | {"perturbations": rows}
    assert value(odd_one, **asked, take="highest") == pytest.approx(1.25)
    assert value(odd_one, **asked, take="lowest") == pytest.approx(0.5)
    assert value(odd_one, **asked) == pytest.approx((0.5 + 0.5 + 1.25) / 3)
    assert ask(frames | {"perturbations": rows[~odd]}, **asked) is None
    assert value(frames | {"perturbations": rows[~odd]}, **asked, least=2) == pytest.approx(0.5)


def test_the_largest_mean_change_has_no_sign():
    asked = {"name": "largest_mean", "k": K, "level": LEVEL}
    assert value(_world(), **asked) == pytest.approx(0.013)
    assert value({"perturbations": _sizes(means=MEANS | {"noise(1)": -0.5})}, **asked) == pytest.approx(0.5)
    # What the paper did not plot does not count.
    more = _sizes(SIZES | {"mix(initial, initial)": 1.0}, MEANS | {"mix(initial, initial)": 1.0})
    assert value({"perturbations": more}, **asked) == pytest.approx(0.013)


def test_the_most_accurate_perturbations_are_the_smallest_or_not():
    asked = {"name": "accurate_deviation", "k": K, "level": LEVEL}
    # The best have deviations 0.5, 1, 1, 1.2, 1.5 (accuracies 85, 82, 80, 80, 75), the rest 1.4, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6.
    assert value(_world(), **asked) == pytest.approx(1 / 3.5)
    turned = _world(off={change: 20 * size for change, size in SIZES.items()})
    assert value(turned, **asked) == pytest.approx(4.5 / 1.4)
    assert value(_world(), **asked, best=1) == pytest.approx(0.5 / 2.5)


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
    assert ask(_world(off={}), **asked) is None


def test_noise_hurts_by_its_rank():
    asked = {"name": "noise_trend", "k": K, "from_level": LEVEL, "to_level": LEVEL}
    assert value(_world(), **asked) == pytest.approx(-1)
    assert value(_world(off={"noise(0.5)": -20}), **asked) == pytest.approx(-0.8)
    assert value(_world(off={"noise(3)": 70}), **asked) == pytest.approx(0.2)
    assert value(_world(), **asked, sigmas=[0.5, 1, 2]) == pytest.approx(-1)
    assert ask(_world(), **asked, sigmas=[0.5, 1.5, 2]) is None


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


def test_correlations_are_those_over_the_papers_perturbations():
    row = {"task": "net", "k": K, "level": LEVEL, "set": "paper", "r": -0.6, "p": 0.01, "num_perturbations": 14, "num_seeds": 5}
    rows = pd.DataFrame([row, row | {"set": "all", "r": 0.5}, row | {"k": 6, "r": 0.1}, row | {"level": 3}, row | {"task": "b"}])
    asked = {"name": "correlation", "k": K, "level": LEVEL}
    found = {statistic: parts(ask({"correlations": rows}, **asked, statistic=statistic)) for statistic in ("r", "p")}
    assert found == {"r": (-0.6, None, 5), "p": (0.01, None, 5)}
    assert value({"correlations": rows}, **asked, statistic="num_perturbations") == 14
    assert ask({"correlations": rows}, **asked, statistic="r", least=6) is None
    assert ask({"correlations": rows}, **asked | {"level": 9}, statistic="r") is None
    assert ask({}, **asked, statistic="r") is None


def test_sign_changes_of_a_scope_are_in_percent():
    who = {"task": "net", "step_1": 5, "step_2": 9, "scope": "all", "level": 0}
    rows = [who | {"seed": seed, "changed": 0.08 + 0.01 * seed} for seed in (0, 1, 2)]
    rows += [row | {"scope": "k5", "level": 2, "changed": 0.2} for row in rows] + [row | {"step_2": 99} for row in rows]
    frames = {"signs": pd.DataFrame(rows)}
    asked = {"name": "sign_changes", "step_1": 5, "step_2": 9}
    assert parts(ask(frames, **asked)) == (pytest.approx(9), pytest.approx(1), 3)
    assert value(frames, **asked, scope="k5", level=2) == pytest.approx(20)
    assert ask(frames, **asked, scope="k5") is None
    assert ask(frames, **asked, least=4) is None
    assert ask(frames, **asked | {"step_1": 0}) is None
    assert ask({}, **asked) is None
