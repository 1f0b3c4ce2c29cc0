from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import toys

from pipeline_lib.planning import nodes
from pipeline_lib.planning.written import times

SECOND = 10**9


@pytest.fixture
def made(tmp_path) -> nodes.Plan:
    """A plan all of whose artifacts are files of times in no order."""
    plan, draw = toys.make_plan(toys.raw_config(tmp_path, levels=1)), random.Random(0)
    for path in _files(plan):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, ns=(0, draw.randrange(10**6) * SECOND))
    return plan


def _files(plan: nodes.Plan) -> list[Path]:
    return [path for key in plan.nodes for path in _of(plan, key)]


def _of(plan: nodes.Plan, key: str) -> list[Path]:
    """An artifact's files, and the record of the job that Snakemake takes for one of its outputs."""
    node = plan.nodes[key]
    return [plan.config.results / each for each in (*node.files(), node.benchmark)]


def _time(plan: nodes.Plan, key: str, of=min) -> int:
    return of(path.stat().st_mtime_ns for path in _of(plan, key))


def _outdated(plan: nodes.Plan) -> set[str]:
    """What looks older than something that it was made from."""
    edges = [(key, each) for key, node in plan.nodes.items() for parents in node.parents.values() for each in parents]
    return {key for key, parent in edges if _time(plan, key) < _time(plan, parent, max)}


def test_what_is_whole_looks_no_older_than_what_it_was_made_from(made):
    assert len(_outdated(made)) > 5
    times.put_in_order(made)
    assert _outdated(made) == set()


def test_times_in_order_stay_as_they_are(made):
    times.put_in_order(made)
    before = {path: path.stat().st_mtime_ns for path in _files(made)}
    times.put_in_order(made)
    assert {path: path.stat().st_mtime_ns for path in _files(made)} == before


def test_what_is_not_whole_is_left_alone(made):
    trained = next(node for node in made.nodes.values() if node.stage == "train")
    gone, *rest = (made.config.results / name for name in trained.files())
    gone.unlink()
    before = [path.stat().st_mtime_ns for path in rest]
    times.put_in_order(made)
    assert [path.stat().st_mtime_ns for path in rest] == before
    assert not gone.exists()


def test_files_of_another_user_stop_nothing(made, monkeypatch):
    def refused(*_, **__):
        raise PermissionError("not the owner")

    monkeypatch.setattr(os, "utime", refused)
    times.put_in_order(made)
