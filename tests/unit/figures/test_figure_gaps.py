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
    return [(list(line.get_xdata()), line.get_color()) for line in axes.get_lines() if line.get_marker() == "x"]


def _words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_point_without_a_value_is_a_cross_in_its_lines_colour(axes):
    axes.plot([0, 1, 2], [1, NAN, 3], color="#0072B2")
    axes.set_xlabel("level")
    gaps.explain(axes.figure)
    assert (_crosses(axes), _words(axes)) == ([([1.0], "#0072B2")], [])
    assert axes.get_xlabel() == f"level\n× {gaps.LOST}"


def test_a_mean_that_lacks_some_of_its_runs_is_marked(axes):
    rows = pd.DataFrame({"x": [0, 0, 1, 1], "y": [1.0, 2.0, NAN, 3.0]})
    marks.line(axes, rows, "x", "y", "#0072B2", "IMP")
    gaps.explain(axes.figure)
    assert _crosses(axes) == [([1.0], "#0072B2")]


def test_zero_on_a_falling_log_axis_is_a_cross_at_its_end(axes):
    rows = pd.DataFrame({"percent": [100.0, 50.0, 0.0], "accuracy": [90.0, 80.0, 10.0]})
    marks.by_density(axes, "a", [(rows, "#0072B2", "IMP", "-")])
    gaps.explain(axes.figure)
    assert _crosses(axes) == [([1.0], "#0072B2")]
    assert axes.get_xlabel() == f"weights remaining (%)\n× {gaps.OFF_AXIS}"
    assert axes.get_xlim() == pytest.approx((108, 50 / 1.08))


def test_whole_figures_are_left_alone(axes):
    axes.plot([0, 1], [1, 2])
    axes.axvline(0.5)
    gaps.explain(axes.figure)
    assert (_crosses(axes), _words(axes), axes.get_xlabel()) == ([], [], "")


def test_it_is_said_once(axes):
    axes.plot([0, 1], [NAN, 1])
    gaps.explain(axes.figure)
    gaps.explain(axes.figure)
    assert len(_crosses(axes)) == 1


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
    gaps.explain(axes.figure)
    assert _words(axes) == [words]


def test_words_and_areas_are_something(axes):
    axes.annotate("not seen", (0, 0))
    gaps.explain(axes.figure)
    assert _words(axes) == ["not seen"]
    axes.figure.set_gid(None)
    axes.texts[0].remove()
    axes.pcolormesh(np.ones((2, 2)))
    gaps.explain(axes.figure)
    assert _words(axes) == []
