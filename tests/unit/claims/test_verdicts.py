from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline_lib.claims import verdicts
from pipeline_lib.claims.evidence import Measured
from pipeline_lib.claims.verdicts import RULES, Claim, Paper
from pipeline_lib.experiments import config
from pipeline_lib.planning import declared
from pipeline_lib.store import artifacts
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, tabulation

FILE = config.CLAIMS / "B.yaml"
GIVEN: dict[str, Any] = {
    "id": "onset",
    "text": "Toys are stable from step 10.",
    "source": "paper T, Table 1",
    "task": "toy",
    "paper": {"value": 10, "unit": "steps"},
    "measure": {"name": "stability_onset", "kind": "dense", "reach": 20, "least": 1},
    "rule": {"name": "grid_neighbour"},
}


MARGIN = {"name": "margin", "start": "k5 | noise(1)", "against": "k5", "from_level": 1, "to_level": 2}
DURATIONS = {"name": "duration_trend", "pretext": "blur(4)", "from_level": 1, "to_level": 2}


def _load(tmp_path: Path, content: Any) -> list[Claim]:
    path = tmp_path / "T.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return verdicts.load(path)


def test_a_claim_is_read_whole_with_the_defaults_of_its_measure_and_rule(tmp_path):
    (claim,) = _load(tmp_path, {"claims": [GIVEN]})
    assert claim == Claim(
        "onset",
        "Toys are stable from step 10.",
        "paper T, Table 1",
        ("toy",),
        Paper(10, None, "steps"),
        {"name": "stability_onset", "kind": "dense", "reach": 20, "split": "test", "least": 1},
        {"name": "grid_neighbour"},
    )


def test_a_claim_survives_json():
    given = verdicts.from_dict(GIVEN | {"paper": {"value": 10.5, "spread": 0.5, "unit": "steps"}})
    assert verdicts.from_dict(json.loads(json.dumps(verdicts.to_dict(given)))) == given


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "key of claim onset must be one of .*, got 'colour'"),
        ({"txet": "a"}, "did you mean 'text'"),
        ({"text": 5}, r"claim onset\.text must be text, got 5"),
        ({"source": None}, r"claim onset\.source must be text, got None"),
        ({"tasks": ["a"]}, "must have either task or a list of tasks"),
        ({"task": 5}, r"must have either task or a list of tasks, got \[5\]"),
        ({"paper": {"value": 10}}, r"onset\.paper must be a mapping with a unit"),
        ({"paper": {"value": "ten", "unit": "steps"}}, r"onset\.paper\.value must be a number or null, got 'ten'"),
        ({"paper": {"spread": True, "unit": "steps"}}, r"onset\.paper\.spread must be a number or null, got True"),
        ({"paper": {"vlaue": 10, "unit": "steps"}}, "did you mean 'value'"),
        ({"paper": {"unit": "steps"}}, r"onset\.paper\.value must be a number for rule grid_neighbour, got null"),
        ({"measure": "stability_onset"}, r"onset\.measure must be a mapping with a name"),
        ({"measure": {"name": "stability_onst"}}, "did you mean 'stability_onset'"),
        ({"measure": {"name": "stability_onset", "kind": "dense"}}, "must have 'reach', got none"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": 2, "frames": 1}}, "got 'frames'"),
        ({"measure": {"name": "stability_onset", "kind": "dnse", "reach": 20}}, r"measure\.kind .* did you mean 'dense'"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": "20"}}, "whole number of at least 0, got '20'"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": -1}}, "whole number of at least 0, got -1"),
        ({"measure": {"name": "best_k_lead", "through": 2, "everywhere": "no"}}, "must be true or false, got 'no'"),
        ({"measure": {"name": "dense_accuracy", "least": True}}, "whole number of at least 0, got True"),
        ({"measure": MARGIN | {"start": 500}}, r"measure\.start must be text, got 500"),
        ({"measure": MARGIN | {"take": "worst"}}, "must be one of highest, lowest, mean, got 'worst'"),
        ({"measure": MARGIN | {"in_errors": 2}}, "must be true or false, got 2"),
        ({"measure": DURATIONS | {"durations": 2}}, "must be a rising list of numbers above 0, got 2"),
        ({"measure": DURATIONS | {"durations": []}}, r"a rising list of numbers above 0, got \[\]"),
        ({"measure": DURATIONS | {"durations": [5, 2]}}, r"a rising list of numbers above 0, got \[5, 2\]"),
        ({"measure": DURATIONS | {"durations": [2, "5"]}}, r"a rising list of numbers above 0, got \[2, '5'\]"),
        ({"measure": {"name": "telemetry_at", "quantity": "acuracy", "step": 5}}, "did you mean 'accuracy'"),
        ({"paper": {"unit": "steps"}, "rule": {"name": "about", "errors": 2, "points": 1}}, "must be a number for rule about"),
        ({"rule": {"name": "nea"}}, "did you mean 'near'"),
        ({"rule": {"name": "judge"}}, r"rule\.name must be one of .*, got 'judge'"),
        ({"rule": {"name": "below"}}, "must have 'limit', got none"),
        ({"rule": {"name": "below", "limit": "2"}}, r"rule\.limit must be a number, got '2'"),
        ({"rule": {"name": "below", "limit": 2, "high": 3}}, "got 'high'"),
    ],
)
def test_a_wrong_claim_is_refused_by_its_name(change, message):
    with pytest.raises(ValueError, match=message):
        verdicts.from_dict(GIVEN | change)


@pytest.mark.parametrize("key", ["id", "text", "source", "task", "paper", "measure", "rule"])
def test_no_part_of_a_claim_may_be_missing(key):
    with pytest.raises(ValueError, match="must"):
        verdicts.from_dict({name: value for name, value in GIVEN.items() if name != key})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("claims: [", "must be YAML"),
        ("- a\n", "must be one list under the key claims"),
        ("claims: 5\n", "must be one list under the key claims"),
        ({"claims": [GIVEN], "more": 1}, "must be one list under the key claims"),
        ({"claims": ["onset"]}, "claim must be a mapping, got 'onset'"),
        ({"claims": [GIVEN, GIVEN]}, "must differ, got 'onset' twice"),
    ],
)
def test_a_file_that_is_no_list_of_claims_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        _load(tmp_path, content)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="claims file must exist"):
        verdicts.load(tmp_path / "none.yaml")


GRID = (0.0, 100.0, 250.0, 500.0, 750.0)
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("rule", "options", "value", "obeys"),
    [
        # The paper's value is 98 with a deviation of 0.3, ours has 0.4: 2 * 0.5 + 0.2 on either side.
        ("near", {}, 99.19, True), ("near", {}, 99.21, False), ("near", {}, 96.81, True), ("near", {}, 96.79, False),
        ("equal", {}, 98.0, True), ("equal", {}, 98.01, False),
        ("within_relative", {"tolerance": 0.5}, 147.0, True), ("within_relative", {"tolerance": 0.5}, 147.1, False),
        ("within_relative", {"tolerance": 0.5}, 49.0, True), ("within_relative", {"tolerance": 0.5}, 48.9, False),
        ("below", {"limit": 2}, 1.99, True), ("below", {"limit": 2}, 2.0, False), ("below", {"limit": 2}, INFINITE, False),
        ("at_most", {"limit": 2}, 2.0, True), ("at_most", {"limit": 2}, 2.01, False),
        ("above", {"limit": 2}, 2.01, True), ("above", {"limit": 2}, 2.0, False),
        ("at_least", {"limit": 2}, 2.0, True), ("at_least", {"limit": 2}, 1.99, False),
        ("between", {"low": 1, "high": 2.5}, 1.0, True), ("between", {"low": 1, "high": 2.5}, 2.5, True),
        ("between", {"low": 1, "high": 2.5}, 0.99, False), ("between", {"low": 1, "high": 2.5}, 2.51, False),
        # Four replicates: a standard error is 0.2.
        ("about", {"errors": 2, "points": 0.3}, 98.39, True), ("about", {"errors": 2, "points": 0.3}, 98.41, False),
        ("about", {"errors": 2, "points": 0.3}, 97.61, True), ("about", {"errors": 2, "points": 0.3}, 97.59, False),
        ("about", {"errors": 1, "points": 0.3}, 98.29, True), ("about", {"errors": 1, "points": 0.3}, 98.31, False),
        ("no_more", {"errors": 2, "points": 0.3}, 98.39, True), ("no_more", {"errors": 2, "points": 0.3}, 98.41, False),
        ("no_more", {"errors": 1, "points": 0.3}, 98.29, True), ("no_more", {"errors": 1, "points": 0.3}, 98.31, False),
        ("no_more", {"errors": 1, "points": 0.3}, 0.0, True),
        ("no_less", {"errors": 2, "points": 0.3}, 97.61, True), ("no_less", {"errors": 2, "points": 0.3}, 97.59, False),
        ("no_less", {"errors": 1, "points": 0.3}, 97.71, True), ("no_less", {"errors": 1, "points": 0.3}, 97.69, False),
        ("no_less", {"errors": 1, "points": 0.3}, 999.0, True),
    ],
)  # fmt: skip
def test_rules_at_their_bounds(rule, options, value, obeys):
    function, _ = RULES[rule]
    assert function(Measured(value, 0.4, 4), Paper(98, 0.3, "%"), **options) is obeys


def test_values_without_deviations_are_near_within_a_fifth():
    assert verdicts.near(Measured(50.19, None, 1), Paper(50, None, "%"))
    assert not verdicts.near(Measured(50.21, None, 1), Paper(50, None, "%"))


@pytest.mark.parametrize(
    ("paper", "places"),
    [
        (250, {100.0, 250.0, 500.0}),
        (0, {0.0, 100.0}),
        (750, {500.0, 750.0}),
        (300, {250.0, 500.0}),  # off the grid, between these two
    ],
)
def test_a_neighbour_on_the_grid_is_near_enough(paper, places):
    good = {k for k in (*GRID, INFINITE) if verdicts.grid_neighbour(Measured(k, None, 9, GRID), Paper(paper, None, "steps"))}
    assert good == places


def _frames(instability: tuple[float, ...]) -> dict[str, pd.DataFrame]:
    """Pairs of the dense toys at steps 0, 10 and 20."""
    row = {"task": "toy", "seed": 0, "order_1": 0, "order_2": 1, "kind": "dense", "level": 0, "density": 1.0, "split": "test"}
    more = {"batchnorm": "averaged", "mean_end_error": 0.1, "max_error": 0.2, "headroom": 0.8}
    rows = [row | more | {"k": 10 * i, "instability": value} for i, value in enumerate(instability)]
    return {"instability": pd.DataFrame(rows)}


@pytest.mark.parametrize(
    ("instability", "measured", "verdict"),
    [
        ((0.5, 0.01, 0.0), 10.0, "holds"),
        ((0.5, 0.5, 0.0), 20.0, "holds"),
        ((0.5, 0.5, 0.5), INFINITE, "fails"),
        ((0.5, 0.01), None, "not measured"),
    ],
)
def test_a_verdict_says_what_was_measured_against_what(instability, measured, verdict):
    claim = verdicts.from_dict(GIVEN)
    assert verdicts.judge([claim], _frames(instability), {"toy": 1}) == [
        {
            "claim": "onset", "setting": "toy", "text": "Toys are stable from step 10.", "source": "paper T, Table 1",
            "unit": "steps", "measured": measured, "spread": None, "num": None if measured is None else 1,
            "paper_value": 10, "paper_spread": None, "rule": "the paper's place on the grid of k or next to it",
            "verdict": verdict,
        }
    ]  # fmt: skip


def test_each_setting_is_judged_by_itself_and_one_that_was_not_run_is_not_measured():
    several = {key: value for key, value in GIVEN.items() if key != "task"} | {"tasks": ["toy", "other", "third"]}
    frames = _frames((0.5, 0.0, 0.0))
    frames["instability"] = pd.concat([frames["instability"], frames["instability"].assign(task="third", instability=0.5)])
    rows = verdicts.judge([verdicts.from_dict(several)], frames, {"toy": 1, "third": 1})
    assert [(row["setting"], row["verdict"]) for row in rows] == [
        ("toy", "holds"), ("other", "not measured"), ("third", "fails"),
    ]  # fmt: skip
    # Rows of a task that the experiment does not list are not its own.
    assert verdicts.judge([verdicts.from_dict(GIVEN)], frames, {"third": 1})[0]["verdict"] == "not measured"


def test_a_measure_is_given_the_sparse_level_of_its_task():
    frames = _frames((0.5, 0.0, 0.0))
    frames["instability"] = frames["instability"].assign(level=3, kind="imp")
    sparse = verdicts.from_dict(GIVEN | {"measure": GIVEN["measure"] | {"kind": "imp"}})
    found = [verdicts.judge([sparse], frames, {"toy": level, "other": 5 - level})[0]["verdict"] for level in (3, 2)]
    assert found == ["holds", "not measured"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"name": "below", "limit": 2}, "below 2"),
        ({"name": "at_most", "limit": -0.9}, "at most -0.9"),
        ({"name": "above", "limit": 0}, "above 0"),
        ({"name": "at_least", "limit": 84.9}, "at least 84.9"),
        ({"name": "between", "low": 1, "high": 21392}, "from 1 to 21392"),
        ({"name": "within_relative", "tolerance": 0.01}, "within 1% of the paper's value"),
        ({"name": "about", "errors": 2, "points": 0.5}, "within max(2 standard errors, 0.5) of the paper's value"),
        ({"name": "no_more", "errors": 1, "points": 0.3}, "at most the paper's value + max(1 standard errors, 0.3)"),
    ],
)
def test_a_rule_reads_as_a_sentence_would(rule, words):
    assert verdicts.judge([verdicts.from_dict(GIVEN | {"rule": rule})], {}, {})[0]["rule"] == words


def test_the_stage_reads_tables_and_writes_verdicts(tmp_path):
    from pipeline_lib.stages import judge

    folder = tmp_path / "tabulate"
    rows = _frames((0.5, 0.01, 0.0))["instability"].to_dict("records")
    artifacts.write_table(folder / "table.parquet", tabulation.to_arrow(rows, declared.COLUMNS["instability"]))
    other = GIVEN | {"id": "other", "task": "other"}
    spec = {"claims": [verdicts.to_dict(verdicts.from_dict(each)) for each in (GIVEN, other)], "sparse_levels": {"toy": 1}}
    spec |= {"columns": columns.spelled(declared.COLUMNS["claims"])}
    judge.run(Job("key", spec, tmp_path / "judge", {"instability": [folder]}))
    made = tabulation.read(tmp_path / "judge" / "table.parquet")
    assert list(made.columns) == [column.name for column in declared.COLUMNS["claims"]]
    assert made[["claim", "setting", "verdict"]].to_numpy().tolist() == [
        ["onset", "toy", "holds"],
        ["other", "other", "not measured"],
    ]
    assert made["measured"].tolist()[0] == 10
    assert made["measured"].isna().tolist() == [False, True]


def test_reading_claims_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from pathlib import Path; from pipeline_lib.claims import verdicts as claims; "
        f"claims.load(Path({str(FILE)!r})); print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
