from __future__ import annotations

import made_up
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pipeline_lib.experiments import comparisons
from pipeline_lib.figures import perturbing
from pipeline_lib.figures.support import style

RUN = {
    "task": "toy",
    "seed": 0,
    "noise_order": 0,
    "kind": "imp",
    "start": "k0",
    "k": 0,
    "level": 0,
    "density": 1.0,
    "test_error": 0.1,
}
AT_9 = RUN | {"k": 9, "start": "k9"}
SPARSE = {"level": 2, "density": 0.25}
CALLS = {name: call for call, name in comparisons.EVERY.items()}


def _changed(name: str, error: float, **other: object) -> dict[str, object]:
    return RUN | SPARSE | {"k": 9, "start": f"k9 | {CALLS.get(name, name)}", "test_error": error} | other


RUNS = [
    RUN,
    RUN | SPARSE | {"test_error": 0.5},
    AT_9,
    AT_9 | SPARSE | {"test_error": 0.2},
    AT_9 | SPARSE | {"test_error": 0.9, "noise_order": 1},
    AT_9 | SPARSE | {"test_error": 0.9, "kind": "reinit"},
    _changed("noise 1σ", 0.3),
    _changed("noise 1σ", 0.4, seed=1),
    _changed("noise 2σ", 0.6, level=1, density=0.5),
    _changed("shuffled in layers", 0.25),
    _changed("same sign, in layers", 0.15),
    _changed("signs k, fresh magnitudes", 0.35),
    _changed("sphere(1)", 0.45),
]
NOISE = f"k9 | {CALLS['noise 1σ']}"
SIZE = {"task": "toy", "seed": 0, "kind": "imp", "k": 9, **SPARSE, "layer": "all"}
SIZES = [
    SIZE | {"start": NOISE, "deviation": 0.1},
    SIZE | {"start": NOISE, "deviation": 0.3, "seed": 1},
    SIZE | {"start": NOISE, "deviation": 9.0, "layer": "fc1.weight"},
    SIZE | {"start": NOISE, "deviation": 9.0, "level": 1},
    SIZE | {"start": "k9 | sphere(1)", "deviation": 0.5},
    SIZE | {"start": f"k9 | {CALLS['signs k, fresh magnitudes']}", "deviation": 0.7},
]
NUMBERS = {"task": "toy", "k": 9, "level": 2, "r": -0.5, "p": 0.03, "low": -0.75, "high": 0.25}
CORRELATIONS = [NUMBERS | {"set": "all", "r": 0.75}, NUMBERS | {"set": "paper"}, NUMBERS | {"set": "paper", "level": 1, "r": 0}]


@pytest.fixture
def draw():
    def drawn(function, correlations=CORRELATIONS, runs=RUNS):
        frames = {"runs": made_up.table(runs), "perturbations": made_up.table(SIZES), "correlations": pd.DataFrame(correlations)}
        with style.applied():
            return function(made_up.divided(frames), {"toy": 2})

    yield drawn
    plt.close("all")


def _lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    return {line.get_label(): (list(line.get_xdata()), pytest.approx(list(line.get_ydata()))) for line in made_up.labelled(axes)}


LADDERS = {"IMP, k = 0": ([25, 100], [50, 90]), "IMP, this k": ([25, 100], [80, 90])}


@pytest.mark.parametrize(
    ("figure", "own"),
    [
        (perturbing.noise, {"noise 1σ": ([25], [65]), "noise 2σ": ([50], [40])}),
        (perturbing.shuffles, {"shuffled in layers": ([25], [75])}),
        (perturbing.same_sign_shuffles, {"same sign, in layers": ([25], [85])}),
        (perturbing.signs_and_magnitudes, {"signs k, fresh magnitudes": ([25], [65])}),
    ],
)
def test_perturbed_networks_are_drawn_beside_both_ladders(draw, figure, own):
    (axes,) = draw(figure).axes
    assert _lines(axes) == LADDERS | own
    assert axes.get_title() == "toy, k = 9"


def test_a_perturbation_of_the_first_step_has_one_ladder_beside_it(draw):
    only = [RUN, RUN | {"start": f"k0 | {CALLS['noise 1σ']}", "test_error": 0.3}]
    assert _lines(draw(perturbing.noise, runs=only).axes[0]) == {"IMP, this k": ([100], [90]), "noise 1σ": ([100], [70])}


def test_the_first_ladder_is_the_first_of_plain_ones(draw):
    taught = RUN | {"start": "k0 | rotation(false) for 2ep"}
    later = [row | {"k": 4, "start": "k4"} if row["start"] == "k0" else row for row in RUNS]
    lines = _lines(draw(perturbing.noise, runs=[taught, *later]).axes[0])
    assert lines["IMP, k = 4"] == ([25, 100], [50, 90])


def test_tasks_without_perturbed_runs_have_no_panel(draw):
    figure = draw(perturbing.noise, runs=[*RUNS, RUN | {"task": "other"}])
    assert [axes.get_title() for axes in figure.axes] == ["toy, k = 9"]


def test_left_over_panels_are_blank(draw):
    other = [RUN | {"task": "other", "k": k, "start": f"k{k} | {CALLS['noise 1σ']}"} for k in (9, 20)]
    figure = draw(perturbing.noise, runs=[*RUNS, *other])
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["toy, k = 9", "other, k = 9", "other, k = 20"]


def test_accuracy_is_drawn_against_the_size_of_the_perturbation(draw):
    (axes,) = draw(perturbing.effective_deviation).axes
    points = {"signs": ([0.7], [65]), "noise": ([0.2], [65]), "other": ([0.5], [55])}
    ladders = {"IMP, k = 0": ([0, 1], [50, 50]), "IMP, this k": ([0, 1], [80, 80])}
    assert _lines(axes) == ladders | {name: (pytest.approx(x), y) for name, (x, y) in points.items()}
    assert axes.get_title() == "toy, k = 9, 25 %\nr = −0.50 [−0.75, 0.25], p = 0.03"


def test_bars_are_one_standard_deviation_over_seeds(draw):
    bars = [each for bar in draw(perturbing.effective_deviation).axes[0].collections for each in bar.get_segments() if len(each)]
    across, up = (end - start for start, end in bars if np.isfinite(start).all())  # of single seeds there are none
    assert across == pytest.approx([2 * 0.02**0.5, 0])
    assert up == pytest.approx([0, 200 * 0.005**0.5])


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (CORRELATIONS[:1], "r = 0.75 [−0.75, 0.25], p = 0.03"),
        ([NUMBERS | {"set": "paper", "r": None}], "no correlation: too few perturbations"),
    ],
)
def test_correlation_falls_back_to_all_perturbations(draw, rows, text):
    assert draw(perturbing.effective_deviation, rows).axes[0].get_title().splitlines()[1] == text


def test_sizes_are_listed_in_the_order_of_the_families(draw):
    (axes,) = draw(perturbing.perturbation_sizes).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["signs k, fresh magnitudes", "noise 1σ", "sphere(1)"]
    assert _lines(axes) == {"signs": ([0.7], [0]), "noise": (pytest.approx([0.2]), [1]), "other": ([0.5], [2])}
    assert axes.get_title() == "toy, k = 9, 25 %"
