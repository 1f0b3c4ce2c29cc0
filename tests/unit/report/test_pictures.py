"""Figures within a page, and their numbers for hovering over."""

from __future__ import annotations

import pandas as pd
import pytest
import reported

from pipeline_lib.report import contents, figures, twins


def test_an_svg_has_ids_and_style_of_its_own():
    text = figures.embedded(reported.SVG, "figure-a")
    assert text.startswith("<svg ")
    for part in ('id="figure-a-p1"', "url(#figure-a-p1)", 'xlink:href="#figure-a-p1"', 'style="stroke-linejoin: round"'):
        assert part in text
    root = text.partition(">")[0]
    assert 'viewBox="0 0 288 72"' in root
    assert 'width="' not in root, "it takes the width that the page gives it"
    assert '<rect width="9"' in text
    assert not any(part in text for part in ("<style", "metadata", "<?xml"))
    assert "<text>error</text>" in text
    assert figures.width_of(reported.SVG) == 384


def test_a_large_svg_is_shown_as_png(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "_MOST_BYTES", 10)
    found = figures.read(contents.read(reported.whole(tmp_path).plan, "tiny"), "instability_dense")
    assert not found.is_svg
    assert found.picture.startswith("data:image/png;base64,")


def test_a_figure_says_where_it_comes_from(tmp_path):
    folder = reported.whole(tmp_path)
    found = figures.read(contents.read(folder.plan, "tiny"), "instability_dense")
    assert found.made_in == reported.PLACE
    assert found.folder == folder.plan.figures["tiny"]["instability_dense"].folder
    assert found.absent == []
    assert figures.read(contents.read(folder.plan, "tiny"), "paths_dense_by_k").absent == ["interpolation"]


def test_a_chart_has_means_and_deviations_of_the_rows():
    kind = next(kind for kind in twins._KINDS if kind.table == "instability")
    found = twins.chart(pd.DataFrame(reported.pairs()), kind)
    dense, sparse = found["data"]
    assert (dense["name"], sparse["name"]) == ("dense, level 0", "imp, level 2")
    assert dense["x"] == ["0", "2"]
    assert dense["y"] == pytest.approx([21, 1])
    assert dense["error_y"]["array"] == pytest.approx([1, 1])
    assert dense["text"] == ["± 1 sd, n = 3"] * 2
    one = twins.chart(pd.DataFrame(reported.pairs()).query("seed == 0"), kind)
    assert one["data"][0]["text"] == ["n = 1", "n = 1"]


def test_a_charts_spread_is_over_seeds_as_its_figures_is():
    """Two pairs of each seed that differ by a lot: seeds do not."""
    kind = next(kind for kind in twins._KINDS if kind.table == "instability")
    rows = pd.DataFrame(reported.pairs())
    apart = pd.concat([rows.assign(instability=rows["instability"] + by, order_1=i) for i, by in enumerate((-0.005, 0.005))])
    dense, _ = twins.chart(apart, kind)["data"]
    assert dense["y"] == pytest.approx([21, 1])
    assert dense["text"] == ["± 1 sd, n = 6"] * 2


def test_a_chart_puts_densities_of_a_level_at_one_place():
    kind = next(kind for kind in twins._KINDS if kind.table == "runs")
    rows = pd.DataFrame(reported.runs()).query("kind == 'imp' and k == 0")
    found = twins.chart(rows.assign(density=rows["density"] + rows["seed"] * 1e-4), kind)
    (line,) = found["data"]
    assert line["x"] == pytest.approx([80.01, 64.01])
    assert found["layout"]["xaxis"]["autorange"] == "reversed"


def test_too_many_lines_or_none_are_no_chart():
    kind = next(kind for kind in twins._KINDS if kind.table == "runs")
    rows = pd.concat([pd.DataFrame(reported.runs()).assign(task=f"t{i}") for i in range(30)])
    assert twins.chart(rows, kind) is None
    assert twins.chart(rows.head(0), kind) is None
