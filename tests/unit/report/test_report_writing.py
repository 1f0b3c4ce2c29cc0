"""Where an experiment was made, and its report on disk."""

from __future__ import annotations

import zipfile

import pytest
import reported
import toys

from pipeline_lib.report import contents, page, provenance, writing


@pytest.fixture(autouse=True)
def without_plotly(monkeypatch):
    monkeypatch.setattr(page, "has_plotly", lambda: False)  # it is large


def test_time_is_added_up_by_stage_and_damaged_records_tell_nothing(tmp_path):
    folder = reported.whole(tmp_path)
    folder.time("prune", "no\tsuch\n")
    folder.time("rewind", "s\nnan\n")
    found = provenance.read(contents.read(folder.plan, "tiny"))
    by_stage = {each.stage: each for each in found.stages}
    train = by_stage["train"]
    assert train.timed == train.total > 0
    assert train.hours == pytest.approx(0.01 * train.total)
    assert by_stage["prune"].timed == by_stage["rewind"].timed == 0
    assert found.hours == pytest.approx(train.hours)
    assert by_stage["plot"].made == 2
    assert found.places == {reported.PLACE: ["judge", "plot", "tabulate", "train"]}


def test_sharing_saves_hours_at_the_pace_of_what_was_trained(tmp_path):
    folder = reported.whole(tmp_path)
    found = provenance.sharing(contents.read(folder.plan, "tiny"))
    trained = [node for node in folder.plan.nodes.values() if node.stage == "train"]
    steps = sum(node.num_steps for node in trained)
    assert found.asked == folder.plan.asked["runs"] > found.shared == sum(node.num_runs for node in trained)
    assert found.hours == pytest.approx(0.01 * len(trained) * (folder.plan.asked["steps"] - steps) / steps)
    blank = provenance.sharing(contents.read(reported.plan(tmp_path / "blank"), "tiny"))
    assert blank.hours is None


def test_a_zip_has_the_page_with_what_its_links_lead_to_and_is_the_same_each_time(tmp_path):
    folder = reported.whole(tmp_path)
    (path,) = writing.write(folder.plan)
    assert path == tmp_path / "tiny" / "report" / "index.html"
    packed = tmp_path / "tiny" / "report.zip"
    with zipfile.ZipFile(packed) as opened:
        names = opened.namelist()
        assert opened.read("tiny/report/index.html") == path.read_bytes()
    links = [href for href in reported.Page(path.read_text()).having("href") if href.startswith("../")]
    assert "../runs.parquet" in links
    assert "../figures/instability_dense.svg" in links
    assert {f"tiny/{link[3:]}" for link in links} <= set(names)
    before = packed.read_bytes()
    writing.write(folder.plan)
    assert packed.read_bytes() == before


def test_snakemakes_report_is_linked_if_it_is_of_this_plan(tmp_path):
    folder = reported.whole(tmp_path)
    theirs = writing.snakemakes(folder.plan)
    theirs.parent.mkdir(parents=True)
    (theirs.parent / "snakemake-0123456789ab.html").write_text("of another plan")
    (path,) = writing.write(folder.plan)
    assert "snakemake" not in path.read_text().partition("<main")[0].partition("<nav")[2]
    theirs.write_text("theirs")
    writing.write(folder.plan)
    (link,) = [href for href in reported.Page(path.read_text()).having("href") if "snakemake" in href]
    assert (path.parent / link).resolve() == theirs.resolve()


def test_several_experiments_have_a_page_that_leads_to_them(tmp_path):
    raw = toys.raw_config(tmp_path, figures=reported.FIGURES, seeds=3)
    raw["experiments"]["other"] = raw["experiments"]["tiny"] | {"figures": ["instability_dense"]}
    folder = reported.Folder(toys.make_plan(raw))
    folder.figure("instability_dense")
    first, *pages = writing.write(folder.plan)
    assert first == tmp_path / "index.html"
    found = reported.Page(first.read_text())
    assert found.having("href", "a") == ["tiny/report/index.html", "other/report/index.html"]
    assert pages == [tmp_path / href for href in found.having("href", "a")]
    assert "1, 2 not made" in found.text


def test_of_nothing_there_is_no_report(tmp_path):
    with pytest.raises(ValueError, match=r"report must be of a run, got no table or figure of tiny in .*; run it first"):
        writing.write(reported.plan(tmp_path))
    assert list(tmp_path.iterdir()) == []
