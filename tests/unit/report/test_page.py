"""The page as a whole: what it shows, in which order, and that all of it is text of its own."""

from __future__ import annotations

import pytest
import reported
from reported import Page

from pipeline_lib.report import contents, page


def _page(folder, links=None) -> Page:
    return Page(page.make(contents.read(folder.plan, "tiny"), links or {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return reported.whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def made(folder) -> Page:
    return _page(folder, {"another": "other.html"})


def test_links_lead_somewhere_and_ids_are_unique(made):
    ids = made.having("id")
    assert len(ids) == len(set(ids))
    inner = [href[1:] for href in made.having("href") if href.startswith("#")]
    assert {"summary", "figures", "claims", "tables", "provenance", "table-runs", "figure-instability_dense"} <= set(inner)
    assert [each for each in [*inner, *(r[1:] for r in made.having("xlink:href"))] if each not in ids] == []
    assert "other.html" in made.having("href")


def test_nothing_comes_from_a_network(made):
    addresses = [*made.having("src"), *made.having("href"), *made.having("xlink:href")]
    assert [each for each in addresses if each.partition(":")[0] in ("http", "https", "file") or each.startswith("/")] == []
    (policy,) = [given for given in made.having("content", "meta") if "default-src" in given]
    assert "default-src 'none'" in policy


def test_controls_have_labels_and_pictures_words(made):
    assert all("label" in inside for tag, _, inside in made.elements if tag in ("select", "input"))
    pictures = [given for tag, given, _ in made.elements if tag == "svg"]
    assert len(pictures) == 2
    assert {given["role"] for given in pictures} == {"img"}
    assert {given["aria-labelledby"] for given in pictures} == {f"figure-{name}-caption" for name in reported.FIGURES[:2]}
    assert [tag for tag, *_ in made.elements].count("h1") == 1
    assert made.having("href")[1] == "#content", "the first link, after the icon, skips to the content"
    headings = [inside for tag, given, inside in made.elements if tag == "button"]
    assert headings, "there are buttons that sort"
    assert all(inside[-1] == "th" for inside in headings)


def test_figures_come_in_the_order_of_the_config_and_what_is_missing_is_said(made):
    shown = made.having("id", "figure")
    assert shown == ["figure-instability_dense", "figure-paths_dense_by_k"]
    assert "1 figure: accuracy_by_rewind, claims_board" not in made.text
    assert "2 figures: accuracy_by_rewind, claims_board" in made.text
    assert "figure-accuracy_by_rewind" not in made.having("id")
    assert "interpolation" in made.text.partition("tables:")[2].partition("Of 4 claims")[0]


def test_what_earlier_configs_made_is_not_shown(tmp_path):
    folder = reported.whole(tmp_path)
    (tmp_path / "tiny" / "figures" / "instability_dense.svg").write_text("<svg>earlier</svg>")
    (tmp_path / "tiny" / "runs.parquet").write_bytes(b"earlier")
    found = _page(folder)
    assert found.having("id", "figure") == ["figure-paths_dense_by_k"]
    assert "earlier" not in found.text
    assert "3 figures: instability_dense, accuracy_by_rewind, claims_board" in found.text


def test_a_damaged_table_is_told_and_the_rest_is_shown(tmp_path):
    folder = reported.whole(tmp_path)
    source = tmp_path / folder.plan.tables["tiny"]["runs"].folder / "table.parquet"
    for path in (source, tmp_path / "tiny" / "runs.parquet"):
        path.write_bytes(b"torn")
    found = _page(folder)
    assert "runs.parquet must be a whole Parquet file" in found.text
    assert "figure-instability_dense" in found.having("id")


def test_text_stays_text(made):
    assert "wild" not in made.having("id")
    assert reported.WILD in made.text
    assert reported.WILD not in [given.get("data-value") for _, given, _ in made.elements]


def test_the_summary_counts_verdicts_and_has_the_main_numbers(made):
    summary = made.text.partition("Figures Instability dense")[0]
    assert "Of 4 claims: 1 holds 1 fails 1 undecided 1 not measured" in summary
    assert "toy, dense: test error" in summary
    assert "0, 2" in summary, "rewind steps"


def test_without_claims_there_is_no_part_about_them(tmp_path):
    found = _page(reported.whole(tmp_path, claims=[]))
    assert "claims" not in found.having("id")
    assert "#claims" not in found.having("href")


def test_without_anything_there_is_still_a_page(tmp_path):
    found = _page(reported.Folder(reported.plan(tmp_path)))
    assert "No figure is made yet." in found.text
    assert "No table is made yet." in found.text


def test_values_on_hover_come_with_plotly_once_or_not_at_all(folder, made, monkeypatch):
    assert made.having("type", "script").count("text/plain") == 1
    assert made.having("type", "script").count("application/json") == 1
    monkeypatch.setattr(page, "has_plotly", lambda: False)
    plain = _page(folder)
    assert "text/plain" not in plain.having("type", "script")
    assert "Values on hover" not in plain.text
