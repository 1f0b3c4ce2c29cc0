"""Tables and their rows in a report."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import reported

from pipeline_lib.report import contents, drawn, figures, tables


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> contents.Contents:
    return contents.read(reported.whole(tmp_path_factory.mktemp("tables")).plan, "tiny")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (math.nan, ""), (True, "yes"), (3, "3"), (3.0, "3"), (0.123456789, "0.12346"), (1e-9, "1e-09"), ("a", "a"),
     (math.inf, "inf")],
)  # fmt: skip
def test_cells(value, text):
    assert tables.text_of(value) == text


def test_a_figures_rows_are_those_of_its_networks(found):
    runs, pairs = found.tables["runs"], found.tables["instability"]
    dense = pairs[drawn.rows(pairs, "instability_dense", found.experiment)]
    assert set(dense["kind"]) == {"dense"}
    assert len(dense) == 12
    ladder = runs[drawn.rows(runs, "accuracy_by_rewind", found.experiment)]
    assert set(ladder["kind"]) == {"dense", "imp"}
    nameless = pd.DataFrame({"x": [1, 2]})
    assert drawn.rows(nameless, "instability_dense", found.experiment).tolist() == [True, True]
    (source,) = figures.sources(found, "instability_dense")
    assert source.told == "12 of 24 rows, 3 seeds"


def test_a_table_says_once_what_all_rows_share_and_which_figures_have_a_row(found):
    shown = tables.show(found, "instability", ["instability_dense", "paths_dense_by_k"])
    assert shown.same == {"batchnorm": "averaged", "task": "toy"}
    assert {"kind", "k", "seed", "split", "instability", "level"} == {each.name for each in shown.headings}
    mixed = found.tables["instability"].assign(stable=False)
    assert tables.show(replace(found, tables={"instability": mixed}), "instability", []).same["stable"] == "no"
    by_name = {each.name: each for each in shown.headings}
    assert by_name["k"].unit == "steps"
    assert by_name["k"].is_number
    assert not by_name["kind"].is_number
    assert shown.figures == ("instability_dense",), "those that take a part of the rows"
    place = [each.name for each in shown.headings].index("kind")
    assert {(row.cells[place], row.figures) for row in shown.rows} == {("dense", "0"), ("imp", "")}


def test_of_a_large_table_the_first_rows_are_shown(found, monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 5)
    shown = tables.show(found, "runs", [])
    assert (len(shown.rows), shown.total) == (5, 30)
