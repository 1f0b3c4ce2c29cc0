from __future__ import annotations

import made_up
import matplotlib.pyplot as plt
import pytest

from pipeline_lib.figures import early
from pipeline_lib.figures.support import style

WEIGHTS = {f"weight_{i}": float(i) for i in range(10)}
STATE = {"task": "toy", "seed": 0, "step": 0, "test_error": 0.75, "test_loss": 2.0, "mean_magnitude": 0.5, "signs_changed": 0.0}
STATE |= {"gradient_norm": 6.0, "l2_initial": 0.0, "l2_final": 9.0, "cosine_initial": 1.0, "cosine_final": 0.25} | WEIGHTS
TELEMETRY = [
    STATE,
    STATE | {"seed": 1, "test_error": 0.25, "gradient_norm": 2.0, "weight_3": -7.0},
    STATE | {"step": 1, "test_error": None, "signs_changed": 0.5, "gradient_norm": 3.0},
    STATE | {"step": 1, "test_error": None, "signs_changed": 0.25, "gradient_norm": 1.0, "seed": 1},
    STATE | {"step": 20, "test_error": 0.5, "signs_changed": 0.5, "gradient_norm": 0.0},
    STATE | {"step": 20, "test_error": 0.5, "signs_changed": 0.5, "gradient_norm": 0.0, "seed": 1},
]
SIGN = {"task": "toy", "seed": 0, "step_1": 0, "step_2": 10, "scope": "all", "level": 0, "changed": 0.1}
SIGNS = [
    SIGN,
    SIGN | {"seed": 1, "changed": 0.3},
    SIGN | {"step_2": 20, "changed": 0.4},
    SIGN | {"step_1": 10, "step_2": 20, "changed": 0.05},
    SIGN | {"scope": "k10", "level": 2, "changed": 0.25},
    SIGN | {"scope": "k10", "level": 1, "changed": 0.9},
    SIGN | {"scope": "k5", "level": 2, "changed": 0.35},
]
CURVE = {"task": "toy", "seed": 0, "kind": "imp", "k": 0, "level": 0, "step": 0, "top": 9.0, "bottom": -3.0}
CURVE |= {"negative_mass": 0.5, "overlap": None}
CURVATURE = [
    CURVE,
    CURVE | {"seed": 1, "top": 11.0},
    CURVE | {"step": 10, "top": 4.0, "bottom": -1.0, "negative_mass": 0.25, "overlap": 0.75},
    CURVE | {"step": 10, "top": 5.0, "level": 2, "k": 10},
]
EVENT = {"task": "toy", "event": "late", "step": 200.0, "low": 100.0, "high": 300.0, "num_seeds": 3}
TIMELINE = [
    EVENT | {"event": "never", "step": None, "low": None, "high": None},
    EVENT,
    EVENT | {"event": "early", "step": 5.0, "low": None, "high": None},
]


@pytest.fixture
def draw():
    def drawn(function, rows):
        with style.applied():
            return function({function.__name__.replace("sign_changes", "signs"): made_up.table(rows)}, {"toy": 2, "other": 2})

    yield drawn
    plt.close("all")


def _lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    return {line.get_label(): _xy(line) for line in made_up.labelled(axes)}


def _xy(line) -> tuple[list[float], list[float]]:
    return list(line.get_xdata()), pytest.approx(list(line.get_ydata()))


def test_telemetry_has_eight_panels_a_task(draw):
    panels = {axes.get_ylabel(): [_xy(line) for line in axes.lines] for axes in draw(early.telemetry, TELEMETRY).axes}
    assert len(panels) == 8
    assert panels["test accuracy (%)"] == [([0, 20], [50, 50])]
    assert panels["signs that differ from step 0 (%)"] == [([0, 1, 20], [0, 37.5, 50])]
    assert panels["L2 distance to weights"] == [([0, 1, 20], [0] * 3), ([0, 1, 20], [9] * 3)]
    assert panels["cosine with weights"] == [([0, 1, 20], [1] * 3), ([0, 1, 20], [0.25] * 3)]


def test_single_weights_are_of_the_smallest_seed(draw):
    axes = draw(early.telemetry, TELEMETRY).axes[4]
    assert [_xy(line) for line in axes.lines] == [([0, 1, 20], [i] * 3) for i in range(10)]


def test_gradient_norms_are_drawn_as_measured_and_as_a_running_mean_of_each_seed(draw):
    rows = [STATE | {"step": step, "seed": seed, "gradient_norm": 10.0 * seed + step**2} for step in range(6) for seed in (0, 1)]
    lines = _lines(draw(early.telemetry, rows).axes[5])
    raw = [5, 6, 9, 14, 21, 30]
    around = [raw[:3], raw[:4], raw[:5], raw[1:], raw[2:], raw[3:]]
    assert lines["gradient norm, as measured"] == (list(range(6)), raw)
    assert lines["gradient norm, mean of 5 points"] == (list(range(6)), [sum(near) / len(near) for near in around])


def test_tasks_are_stacked_on_an_axis_that_stretches_the_first_ten_steps(draw):
    axes = draw(early.telemetry, TELEMETRY + [row | {"task": "other", "step": 100 * row["step"]} for row in TELEMETRY]).axes
    assert [panel.get_title() for panel in axes] == ["other"] * 8 + ["toy"] * 8
    assert {panel.get_xscale() for panel in axes} == {"symlog"}
    assert [[label.get_text() for label in axes[i].get_xticklabels()] for i in (0, 8)] == [
        ["0", "10", "100", "1,000"],
        ["0", "10"],
    ]


def test_events_are_in_the_order_of_time_and_those_not_seen_last(draw):
    (axes,) = draw(early.timeline, TIMELINE).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["early", "late", "never"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines] == [([5, 200], [0, 1])]
    assert [text.get_text() for text in axes.texts] == ["5", "200", "not seen"]
    right = axes.get_xlim()[1]
    assert [bar[:, 0].tolist() for bar in axes.collections[0].get_segments()] == [[5, right], [100, 300]]


def test_a_timeline_of_nothing_seen_is_drawn(draw):
    (axes,) = draw(early.timeline, TIMELINE[:1]).axes
    assert [text.get_text() for text in axes.texts] == ["not seen"]


def test_changed_signs_are_in_percent_a_line_an_earlier_step(draw):
    whole, at_5, at_10 = draw(early.sign_changes, SIGNS).axes
    assert _lines(whole) == {"since step 0": ([10, 20], [20, 40]), "since step 10": ([20], [5])}
    assert [_lines(axes) for axes in (at_5, at_10)] == [{"since step 0": ([10], [each])} for each in (35, 25)]
    assert [axes.get_title() for axes in (at_5, at_10)] == ["toy, survivors, k = 5", "toy, survivors, k = 10"]


def test_tasks_without_survivors_have_no_panel_of_them(draw):
    figure = draw(early.sign_changes, [*SIGNS[:6], SIGN | {"task": "other"}])
    shown = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert shown == ["toy, all weights", "toy, survivors, k = 10", "other, all weights"]


def test_curvature_has_a_line_a_network_and_leaves_out_what_has_not_converged(draw):
    eigenvalues, mass, overlap = (_lines(axes) for axes in draw(early.curvature, CURVATURE).axes)
    assert eigenvalues["dense, k = 0"] == ([0, 10], [10, 4])
    assert eigenvalues["dense, k = 0, smallest eigenvalue"] == ([0, 10], [-3, -1])
    assert eigenvalues["IMP, k = 10, level 2"] == ([10], [5])
    assert mass["dense, k = 0"] == ([0, 10], [0.5, 0.25])
    assert overlap["dense, k = 0"] == ([10], [0.75])
