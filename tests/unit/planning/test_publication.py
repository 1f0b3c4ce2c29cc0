from __future__ import annotations

import json

import pytest
import toys

from pipeline_lib.planning import driver, publication
from pipeline_lib.planning.plan_file import Written
from pipeline_lib.store import artifacts, verification


@pytest.fixture
def written(tmp_path):
    """A plan of one figure, written."""
    made = toys.make_plan(toys.raw_config(tmp_path, figures=["paths_dense"], rewind=[0], levels=0, seeds=1))
    return Written(driver.write_plan(made, []))


RUNS, SVG = "tiny/runs.parquet", "tiny/figures/paths_dense.svg"


def _artifact(written, name, content):
    """Make the artifact that a published file is a copy of."""
    source = written.results / written.published[name]
    artifacts.write_text(source, content)
    record = {"key": source.parent.name[-12:], "stage": source.parents[1].name, "sha256": verification.digests(source.parent)}
    artifacts.write_text(source.parent / verification.RECORD, json.dumps(record))


def _earlier(written, stage, content):
    """Make an artifact that the plan does not have."""
    folder = written.results / "artifacts" / stage / "old-000000000000"
    artifacts.write_text(folder / "file", content)
    artifacts.write_text(folder / verification.RECORD, json.dumps({"sha256": verification.digests(folder)}))


def _publish(written, name, content):
    artifacts.write_text(written.results / name, content)
    return written.results / name


def test_copies_of_earlier_artifacts_are_removed_and_fresh_ones_kept(written):
    _artifact(written, RUNS, "new")
    _earlier(written, "tabulate", "old")
    _earlier(written, "plot", "<old/>")
    fresh, outdated = _publish(written, RUNS, "new"), _publish(written, "tiny/curves.parquet", "old")
    # Of a figure that this plan does not draw: beside this plan's tables it would pass for one of them.
    stale = _publish(written, "tiny/figures/sign_changes.svg", "<old/>")
    mine = [_publish(written, name, "mine") for name in ("tiny/notes.txt", "tiny/mine.parquet", "tiny/figures/mine.png")]
    assert publication.remove_outdated(written) == ["tiny/curves.parquet", "tiny/figures/sign_changes.svg"]
    assert [path.exists() for path in (fresh, outdated, stale, *mine)] == [True, False, False, True, True, True]
    assert publication.remove_outdated(written) == []


def test_a_copy_of_an_artifact_that_is_gone_says_itself_what_it_is(written):
    orphan = _publish(written, SVG, f"<svg>{verification.mark('0' * 12)}</svg>")
    publication.check(written)
    assert publication.remove_outdated(written, {str(orphan)}) == []
    assert publication.remove_outdated(written) == [SVG]


@pytest.mark.parametrize(("content", "of_another"), [("planned", False), ("0" * 12, True), (None, False), ("", False)])
def test_a_copy_says_itself_whether_it_is_of_another_artifact(written, content, of_another):
    key = written.published[SVG].split("/")[-2][-12:] if content == "planned" else content
    if content is not None:
        _publish(written, SVG, f"<svg>{verification.mark(key)}</svg>" if key else "mine")
    assert publication.is_of_another(written, SVG) == of_another


@pytest.mark.parametrize("made", [True, False])
def test_a_strangers_file_in_the_place_of_a_result_is_refused_and_kept(written, made):
    if made:
        _artifact(written, RUNS, "new")
    stranger = _publish(written, RUNS, "mine")
    with pytest.raises(
        ValueError, match=r"published file .*runs\.parquet must be a copy of what a job wrote, got another content; move"
    ):
        publication.check(written)
    assert publication.remove_outdated(written) == []
    assert stranger.read_text() == "mine"


def test_a_damaged_artifact_is_refused_before_it_is_published(written):
    _artifact(written, RUNS, "new")
    (written.results / written.published[RUNS]).write_text("changed")
    with pytest.raises(ValueError, match="must be what its job wrote, got another content"):
        publication.check(written)


def test_a_report_on_what_is_outdated_is_refused(written):
    _artifact(written, RUNS, "new")
    _publish(written, RUNS, "new")
    publication.check_current(written)
    _earlier(written, "plot", "<old/>")
    for name in (SVG, "tiny/figures/sign_changes.svg"):
        path = _publish(written, name, "<old/>")
        with pytest.raises(ValueError, match=rf"report must show .*, got {path} of earlier ones; run the experiment again first"):
            publication.check_current(written)
        path.unlink()


def test_a_misspelt_target_is_told_the_nearest_one(written):
    error = str(publication.unknown(written, "tiny/figures/path_dense.svg"))
    assert f"target must be one of {written.results}/{SVG}, got" in error
    assert error.endswith(f"did you mean '{written.results}/{SVG}'?")
