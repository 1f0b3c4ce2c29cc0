"""What a run shows: plain lines, or one live view."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline_lib.commands.support import view
from pipeline_lib.planning.standing import Standing
from pipeline_lib.store.progress import Going

JOB = Going("train", "toy-k0-abc", "here", "host", 1, "", 0.0, "seed 0 order 1", 200, 400, 50.0, 4.0, 0.1234, 0.02)
SEEN = Standing("abcd", {"prepare": (0, 1), "train": (0, 4)}, (JOB,), 0.5, "")


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def plain(clock):
    return view.Plain(2, lambda: clock[0])


def _said(capsys) -> list[str]:
    return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]


def test_a_stage_that_ends_is_told_at_once(plain, capsys):
    plain(SEEN)
    assert _said(capsys) == []
    plain(replace(SEEN, stages={"prepare": (1, 1), "train": (3, 4)}))
    assert _said(capsys) == ["prepare done (1), 4 of 5 artifacts are made"]
    plain(replace(SEEN, stages={"prepare": (1, 1), "train": (3, 4)}))
    assert _said(capsys) == []


def test_what_was_done_before_is_no_news(plain, capsys):
    plain(replace(SEEN, stages={"prepare": (1, 1), "train": (0, 4)}))
    assert _said(capsys) == []


def test_else_there_is_a_line_a_minute(plain, clock, capsys):
    plain(SEEN)
    clock[0] = view.EVERY - 1
    plain(SEEN)
    assert _said(capsys) == []
    clock[0] = view.EVERY
    plain(SEEN)
    plain(SEEN)
    now = "now: train toy-k0, seed 0 order 1, step 200/400, loss 0.1234, test accuracy 98.0%, 4 s left"
    assert _said(capsys) == [f"0 of 5 artifacts are made, about 15 min left on 2 cores; {now}"]


def _drawn(seen: Standing, cores: int | None = None, width: int = 120) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(view.drawn(seen, cores))
    return console.file.getvalue()


def test_the_live_view_has_stages_jobs_and_time_left():
    text = _drawn(SEEN, 2)
    assert "0 of 5, about 15 min left on 2 cores" in text
    assert "prepare 0/1  train 0/4" in text
    (job,) = [" ".join(line.split()) for line in text.splitlines() if "toy-k0" in line]
    assert job == "train toy-k0 seed 0 order 1 step 200/400 loss 0.1234 test accuracy 98.0% 4 s left"


def test_on_a_narrow_terminal_names_give_way_and_not_numbers():
    long = replace(JOB, name="a-network-with-a-name-that-does-not-end-soon-abc")
    text = _drawn(replace(SEEN, going=(long,)), width=90)
    (job,) = [line for line in text.splitlines() if "a-network" in line]
    assert "step 200/400 loss 0.1234 test accuracy 98.0% 4 s left" in job
    assert "…" in job


def test_many_jobs_are_cut_short_and_unknown_times_are_said_to_be():
    text = _drawn(replace(SEEN, going=(JOB,) * 11, hours_left=math.nan))
    assert text.count("toy-k0") == 8
    assert "and 3 more jobs" in text
    assert "time left is unknown" in text


def test_on_a_terminal_the_view_is_live_and_gone_at_the_end():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with view.shown(1, console) as show:
        show(SEEN)
    assert "train 0/4" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K"), "the last thing is that lines are cleared"


def test_elsewhere_lines_are_plain(capsys):
    with view.shown(1) as show:
        assert isinstance(show, view.Plain)
