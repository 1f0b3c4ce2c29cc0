"""The main numbers in words."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline_lib.planning import numbers

RUN = {"task": "toy", "noise_order": 0, "change": "", "strategy": "", "rule": ""}
PAIR = {"task": "toy", "split": "test", "batchnorm": "averaged"}
KINDS = (("dense", 0, 1.0), ("imp", 2, 0.25))


def _runs(seeds=(0, 1, 2), steps=(0, 10)):
    rows = [
        RUN | {"seed": seed, "kind": kind, "level": level, "k": k, "density": density, "test_error": 0.01 * (seed + 1 + level)}
        for seed in seeds
        for kind, level, density in KINDS
        for k in steps
    ]
    return pd.DataFrame(rows)


def _pairs(seeds=(0, 1, 2), steps=(0, 10)):
    rows = [
        PAIR | {"seed": seed, "kind": kind, "level": level, "k": k, "instability": 0.5 if k == 0 else 0.001}
        for seed in seeds
        for kind, level, _ in KINDS
        for k in steps
    ]
    return pd.DataFrame(rows)


def _onsets(**more):
    row = {"task": "toy", "kind": "dense", "level": 0, "of": "stability", "k": 10.0, "low": 0.0, "high": 10.0}
    return pd.DataFrame([row, row | {"kind": "imp", "level": 2, "of": "matching", "k": math.nan} | more])


def test_a_line_for_dense_networks_and_one_for_sparse_ones():
    found = numbers.lines({"runs": _runs(), "instability": _pairs(), "onsets": _onsets()})
    # mean 2 % and standard deviation 1 point of three seeds: Student's quantile is 4.303, so 2.484 either way
    stability = "instability 50 points (50 to 50) from k = 0 and 0.1 points (0.1 to 0.1) from k = 10"
    assert found == [
        "main numbers, with 95 % intervals over seeds:",
        f"  toy, dense: test error 2 % (-0.484 to 4.48), {stability}, stable from k = 10 (0 to 10)",
        f"  toy, IMP 25 %: test error 4 % (1.52 to 6.48), {stability}, not matching at the last k",
    ]


def test_one_seed_has_no_interval_and_one_step_no_onset():
    found = numbers.lines({"runs": _runs([0], [0]), "instability": _pairs([0], [0]), "onsets": _onsets()})
    assert found[1:] == [
        "  toy, dense: test error 1 %, instability 50 points from k = 0",
        "  toy, IMP 25 %: test error 3 %, instability 50 points from k = 0",
    ]


def test_what_is_missing_is_left_out():
    runs = _runs()
    runs.loc[runs["kind"] == "imp", "test_error"] = math.nan
    (line,) = numbers.lines({"runs": runs, "onsets": _onsets().iloc[:0]})[1:]
    assert line.startswith("  toy, dense: test error 2 %")
    changed = _runs().assign(change="shuffle")
    assert numbers.lines({"runs": changed}) == []
    assert numbers.lines({"instability": _pairs()[lambda f: f["kind"] == "dense"]})[1].startswith("  toy, dense: instability 50")
    assert numbers.lines({}) == []


def test_many_tasks_are_cut_short():
    many = pd.concat([_runs().assign(task=f"toy{i}") for i in range(5)])
    found = numbers.lines({"runs": many})
    assert len(found) == 1 + numbers.MOST + 1
    assert found[-1] == "  and 4 lines more of other tasks, in the tables"


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_tables_say_nothing(rows):
    assert numbers.lines({"runs": _runs().iloc[:0], "instability": _pairs().iloc[:0], "onsets": _onsets().iloc[:rows]}) == []
