"""Points that cannot be drawn are marked, and words say why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.figures.support import gaps, layout, marks, scales, style

NAN = float("nan")


@pytest.fixture
def axes():
    import matplotlib.pyplot as plt

    with style.applied():
        figure, panels = layout.panels(1, 1)
        yield panels[0][0]
        plt.close(figure)


def _crosses(axes) -> list[tuple[list[float], str]]:
    crosses = [line for line in axes.get_lines() if line.get_marker() == "x" and len(line.get_xdata())]
    return [(list(line.get_xdata()), line.get_color()) for line in crosses]


def _explained(axes) -> list[str]:
    return axes.get_legend_handles_labels()[1]


def _words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_point_without_a_value_is_a_cross_in_its_lines_colour(axes):
    axes.plot([0, 1, 2], [1, NAN, 3], color="#0072B2")
    gaps.explain(axes)
    assert (_crosses(axes), _words(axes)) == ([([1.0], "#0072B2")], [])
    assert _explained(axes) == [gaps.LOST]


def test_a_mean_that_lacks_some_of_its_runs_is_marked(axes):
    rows = pd.DataFrame({"x": [0, 0, 1, 1], "y": [1.0, 2.0, NAN, 3.0], "seed": [0, 1, 0, 1]})
    marks.line(axes, rows, "x", "y", style.LOOKS["imp"], "IMP")
    gaps.explain(axes)
    assert _crosses(axes) == [([1.0], "#0072B2")]


def test_zero_on_a_falling_log_axis_is_a_cross_at_its_end(axes):
    rows = pd.DataFrame({"percent": [100.0, 50.0, 0.0], "accuracy": [90.0, 80.0, 10.0], "seed": 0})
    marks.by_density(axes, "a", [(rows, style.LOOKS["imp"], "IMP")])
    gaps.explain(axes)
    assert _crosses(axes) == [([1.0], "#0072B2")]
    assert _explained(axes) == ["IMP", gaps.OFF_AXIS]
    assert axes.get_xlim() == pytest.approx((108, 50 / 1.08))


def test_whole_figures_are_left_alone(axes):
    axes.plot([0, 1], [1, 2])
    axes.axvline(0.5)
    gaps.explain(axes)
    assert (_crosses(axes), _words(axes), _explained(axes)) == ([], [], [])


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda axes: None, gaps.NOTHING),
        (lambda axes: axes.axhline(0), gaps.NOTHING),
        (lambda axes: axes.plot([0, 1], [NAN, NAN]), gaps.NO_VALUE),
        (lambda axes: axes.axhline(NAN), gaps.NO_VALUE),
        (lambda axes: scales.density_axis(axes, [0.5]) or axes.plot([0.0], [1.0]), gaps.OFF_AXIS),
        (lambda axes: axes.pcolormesh(np.full((2, 2), NAN)), gaps.NOTHING),
    ],
)
def test_a_blank_panel_says_why(axes, draw, words):
    draw(axes)
    gaps.explain(axes)
    assert _words(axes) == [words]


def test_words_and_areas_are_something(axes):
    axes.annotate("not seen", (0, 0))
    gaps.explain(axes)
    assert _words(axes) == ["not seen"]
    axes.texts[0].remove()
    axes.pcolormesh(np.ones((2, 2)))
    gaps.explain(axes)
    assert _words(axes) == []
