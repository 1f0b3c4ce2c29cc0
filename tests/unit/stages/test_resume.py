"""What an earlier try did elsewhere is said by the record of the one that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Job, Preempted

KEY = "0123456789ab"


def _job(tmp_path: Path, place: str) -> Job:
    return Job(KEY, {}, tmp_path / f"node-{KEY}", {}, None, {"made_in": {place: ["train"]}})


def _stop_training(job: Job) -> None:
    with resumption.kept(job, 5) as keeper:
        resumption._write(keeper.path, keeper.members, keeper.meta)
        raise Preempted


def _stop_measuring(job: Job) -> None:
    with resumption.noted(job) as notes:
        notes.stop()
        notes.save()


def _train(job: Job) -> None:
    with resumption.kept(job, 5):
        pass


def _measure(job: Job) -> None:
    with resumption.noted(job):
        pass


@pytest.mark.parametrize(("stop", "end"), [(_stop_training, _train), (_stop_measuring, _measure)])
def test_all_places_where_tries_worked_are_in_the_record(tmp_path, stop, end):
    for place in ("A", "B", "A"):
        with pytest.raises(Preempted):
            stop(_job(tmp_path, place))
    last = _job(tmp_path, "C")
    end(last)
    assert last.facts["made_in"] == {"A": ["train"], "B": ["train"], "C": ["train"]}
    assert last.meta()["made_in"] == last.facts["made_in"]
    assert list(last.folder.iterdir()) == []


@pytest.mark.parametrize("places", [3, ["A"], {"A": [1, "train"]}, {"A": None}])
@pytest.mark.parametrize("end", [_train, _measure])
def test_a_file_with_places_of_another_kind_is_left_aside(tmp_path, caplog, places: Any, end):
    job = _job(tmp_path, "B")
    meta = {"key": KEY, "members": {}, "facts": {}, "made_in": places}
    artifacts.write_tensors(job.folder / resumption.NAME, {}, meta)
    end(job)
    assert "starting anew, what was kept cannot be used" in caplog.text
    assert job.facts["made_in"] == {"B": ["train"]}
