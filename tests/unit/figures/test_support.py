"""What figures share: counts, scales, looks and titles."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pipeline_lib.figures.support import finish, layout, marks, numbers, samples, scales, style

PAIRS = pd.DataFrame(  # two seeds of three pairs at one place, as far apart within a seed as not between them
    {"k": 0, "seed": [0, 0, 0, 1, 1, 1], "order_1": 0, "order_2": [1, 2, 3] * 2, "value": [0.0, 10.0, 20.0, 1.0, 11.0, 21.0]}
)


@pytest.fixture
def axes():
    with style.applied():
        yield layout.panels(1, 2)[1][0][0]
        plt.close("all")


def test_pairs_of_a_seed_are_averaged_before_seeds_are_compared():
    found, sample = samples.summary(PAIRS, "k", "value")
    assert found.loc[0, "mean"] == 10.5
    assert found.loc[0, "sd"] == pytest.approx(math.sqrt(0.5))  # of 10 and 11, not of six numbers
    assert sample == samples.Sample("pair", (6, 6), (2, 2))


def test_of_one_seed_the_spread_is_that_of_its_pairs():
    found, sample = samples.summary(PAIRS[PAIRS["seed"] == 0], "k", "value")
    assert found.loc[0, "sd"] == 10
    assert sample == samples.Sample("pair", (3, 3), (1, 1))


def test_of_one_value_there_is_no_spread_and_what_has_none_counts_nothing():
    found, _ = samples.summary(PAIRS[:1], "k", "value")
    assert math.isnan(found.loc[0, "sd"])
    assert samples.summary(PAIRS.assign(value=float("nan")), "k", "value")[1] is None


def test_pairs_across_seeds_are_of_both_seeds():
    chain = pd.DataFrame({"k": [0, 0, 5, 5], "order_1": 0, "seed": [0, 1, 0, 1], "other_seed": [1, 2, 1, 2]})
    assert samples.summary(chain.assign(value=1.0), "k", "value")[1] == samples.Sample("pair", (2, 2), (3, 3))
    one_diverged = chain.assign(value=[1.0, 1.0, 1.0, None])
    assert samples.summary(one_diverged, "k", "value")[1] == samples.Sample("pair", (1, 2), (2, 3))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (PAIRS, "mean ± sd over seeds, n = 6 pairs of 2 seeds"),
        (PAIRS[:3], "mean ± sd over pairs, n = 3 pairs of 1 seed"),
        (PAIRS[:1], "n = 1 pair of 1 seed, no spread"),
        (PAIRS.drop(columns="order_1")[2:4], "mean ± sd, n = 2 seeds"),
        (PAIRS.drop(columns="order_1")[:1], "n = 1 seed, no spread"),
        (PAIRS.drop(columns="order_1").assign(noise_order=[0, 1, 2] * 2), "mean ± sd over seeds, n = 6 runs of 2 seeds"),
    ],
)
def test_a_panel_says_what_its_points_are_of(axes, rows, words):
    marks.line(axes, rows, "k", "value", style.LOOKS["imp"], "IMP")
    assert samples.words(axes) == words


def test_bands_end_where_values_do(axes):
    rows = pd.DataFrame({"k": [0, 0, 1, 1], "seed": [0, 1] * 2, "value": [0.0, 4.0, 97.0, 100.0]})
    marks.line(axes, rows, "k", "value", style.LOOKS["imp"], "IMP", marks.PERCENT)
    marks.spread(axes)
    (band,) = axes.collections
    ends = band.get_paths()[0].vertices[:, 1]
    assert (ends.min(), ends.max()) == (0, 100)


@pytest.mark.parametrize(("num", "bands"), [(3, True), (4, False)])
def test_more_than_three_bands_become_bars(axes, num, bands):
    for i in range(num):
        marks.line(axes, PAIRS.assign(value=PAIRS["value"] + i), "k", "value", style.LOOKS["imp"], f"{i}")
    marks.spread(axes)
    assert [type(each).__name__ == "FillBetweenPolyCollection" for each in axes.collections] == [bands] * num


def test_lines_at_zero_lie_above_the_edge(axes):
    axes.plot([0, 1], [0, 0])
    scales.from_zero(axes)
    finish.finish(axes.figure)
    low, high = axes.get_ylim()
    assert low < 0 < high
    assert high == 1


@pytest.mark.parametrize(
    ("places", "labels", "kept"),
    [
        ([0, 0.5, 1], ["0", "5", "10"], [0, 1, 2]),
        ([0, 0.02, 1], ["0", "5", "10"], [0, 2]),
        ([0, 0.99, 1], ["0", "5", "10"], [0, 2]),
        ([], [], []),
        ([0], ["0"], [0]),
    ],
)
def test_ticks_that_would_touch_are_left_out(places, labels, kept):
    assert scales.apart([float(place) for place in places], labels) == kept


def test_rewind_steps_are_where_they_are(axes):
    scales.rewind_axis(axes, [0, 10, 100, 1000])
    assert axes.get_xscale() == "symlog"
    zero, *others = (axes.transData.transform((k, 0))[0] for k in (0, 10, 100, 1000))
    first, *more = (after - before for before, after in zip([zero, *others], others, strict=False))
    assert [first, first] == pytest.approx(more)  # from 0 to the first as far as a decade


def test_titles_break_at_commas_and_not_inside_of_values():
    assert finish.wrapped("a network of many words, k = 100, 25 %", 24) == "a network of many words,\nk = 100, 25 %"
    assert finish.wrapped("k = 1,000, 25 %", 40) == "k = 1,000, 25 %"
    assert finish.wrapped("one two three four", 9) == "one two\nthree\nfour"


def test_one_legend_lies_below_and_says_n_and_panels_that_differ_say_their_own(axes):
    marks.line(axes, PAIRS, "k", "value", style.LOOKS["imp"], "IMP")
    other = axes.figure.axes[1]
    marks.line(other, PAIRS, "k", "value", style.LOOKS["imp"], "IMP")
    figure = finish.finish(axes.figure)
    (legend,) = figure.legends
    assert legend.get_title().get_text() == samples.words(axes)
    assert [text.get_text() for text in legend.get_texts()] == ["IMP"]


def test_panels_of_other_numbers_say_their_own(axes):
    other = axes.figure.axes[1]
    for panel, rows in ((axes, PAIRS), (other, PAIRS[:1])):
        marks.line(panel, rows, "k", "value", style.LOOKS["imp"], "IMP")
    finish.finish(axes.figure)
    assert [[text.get_text() for text in panel.texts] for panel in (axes, other)] == [[samples.words(p)] for p in (axes, other)]


def test_steps_differ_in_colour_marker_and_dash():
    looks = style.steps([0, 5, 50])
    assert list(looks) == [0, 5, 50]
    assert all(len({str(getattr(look, part)) for look in looks.values()}) == 3 for part in ("colour", "marker", "dash"))


def test_what_a_figure_shows_is_a_table_of_its_lines_unless_it_is_one(axes):
    marks.line(axes, PAIRS, "k", "value", style.LOOKS["imp"], "IMP")
    axes.set_title("toy")
    (row,) = numbers.of(axes.figure).to_dict("records")
    assert row == {"panel": "toy", "line": "IMP", "x": 0, "mean": 10.5, "low": 10.5 - 0.5**0.5, "high": 10.5 + 0.5**0.5}
    axes.words = pd.DataFrame({"task": ["toy"]})
    assert numbers.of(axes.figure).to_dict("records") == [{"task": "toy"}]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", "task,density\na_b,16.8 %\n"),
        ("html", "<!-- rewind:0123456789ab -->\n<table"),
        (
            "tex",
            "% rewind:0123456789ab\n\\begin{tabular}{ll}\n\\toprule\ntask & density \\\\\n\\midrule\na\\_b & 16.8 \\%",
        ),
    ],
)
def test_tables_are_written_for_spreadsheets_pages_and_papers(suffix, text, tmp_path):
    numbers.save(pd.DataFrame({"task": ["a_b"], "density": ["16.8 %"]}), tmp_path / "table", suffix, "rewind:0123456789ab")
    assert (tmp_path / "table").read_text(encoding="utf-8").startswith(text)
