from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline_lib.claims import loading, rules, verdicts, wording
from pipeline_lib.claims.loading import Claim
from pipeline_lib.claims.rules import RULES, Measured, Paper, Range
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
    "measure": {"name": "stability_onset", "kind": "dense", "reach": 20},
    "rule": {"name": "grid_neighbour"},
}


MARGIN = {"name": "margin", "start": "k5 | noise(1)", "against": "k5", "from_level": 1, "to_level": 2}
DURATIONS = {"name": "duration_trend", "pretext": "blur(4)", "from_level": 1, "to_level": 2}


def _load(tmp_path: Path, content: Any) -> list[Claim]:
    path = tmp_path / "T.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return loading.load(path)


def test_a_claim_is_read_whole_with_the_defaults_of_its_measure_and_rule(tmp_path):
    (claim,) = _load(tmp_path, {"claims": [GIVEN]})
    assert claim == Claim(
        "onset",
        "Toys are stable from step 10.",
        "paper T, Table 1",
        ("toy",),
        Paper(10, None, "steps"),
        {"name": "stability_onset", "kind": "dense", "reach": 20, "split": "test"},
        {"name": "grid_neighbour"},
    )


def test_a_claim_survives_json():
    given = loading.from_dict(GIVEN | {"paper": {"value": 10.5, "spread": 0.5, "unit": "steps"}})
    assert loading.from_dict(json.loads(json.dumps(loading.to_dict(given)))) == given


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "key of claim onset must be one of .*, got 'colour'"),
        ({"txet": "a"}, "did you mean 'text'"),
        ({"text": 5}, r"claim onset\.text must be text, got 5"),
        ({"source": None}, r"claim onset\.source must be text, got None"),
        ({"tasks": ["a"]}, "must have a task, a list of tasks or none of both"),
        ({"task": 5}, r"must have a task, a list of tasks or none of both, got \[5\]"),
        ({"paper": {"value": 10}}, r"onset\.paper must be a mapping with a unit"),
        ({"paper": {"value": "ten", "unit": "steps"}}, r"onset\.paper\.value must be a number or null, got 'ten'"),
        ({"paper": {"spread": True, "unit": "steps"}}, r"onset\.paper\.spread must be a number or null, got True"),
        ({"paper": {"vlaue": 10, "unit": "steps"}}, "did you mean 'value'"),
        ({"paper": {"unit": "steps"}}, r"onset\.paper\.value must be a number for rule grid_neighbour, got null"),
        ({"measure": "stability_onset"}, r"onset\.measure must be a mapping with a name"),
        ({"measure": {"name": "stability_onst"}}, "did you mean 'stability_onset'"),
        ({"measure": {"name": "stability_onset", "kind": "dense"}}, "must have 'reach', got none"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": 2, "ev": 1}}, "got 'ev'"),
        ({"measure": {"name": "stability_onset", "kind": "dnse", "reach": 20}}, r"measure\.kind .* did you mean 'dense'"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": "20"}}, "must be one of .*, got '20'"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": -1}}, "whole number of at least 0, got -1"),
        ({"measure": {"name": "best_k_lead", "through": 2, "everywhere": "no"}}, "must be true or false, got 'no'"),
        ({"least": True}, r"least must be a whole number of at least 2, got True"),
        ({"least": 1}, r"least must be a whole number of at least 2, got 1"),
        ({"level": 95}, r"level must be in \[0.5, 1\), got 95"),
        ({"measure": {"name": "stability_onset", "kind": "dense", "reach": "lst"}}, r"reach .* did you mean 'last'"),
        ({"measure": MARGIN | {"start": 500}}, r"start of claim onset\.measure margin must be text, got 500"),
        ({"measure": MARGIN | {"take": "worst"}}, "must be one of highest, lowest, mean, got 'worst'"),
        ({"measure": DURATIONS | {"durations": 2}}, "must be a rising list of numbers above 0, got 2"),
        ({"measure": DURATIONS | {"durations": []}}, r"a rising list of numbers above 0, got \[\]"),
        ({"measure": DURATIONS | {"durations": [5, 2]}}, r"a rising list of numbers above 0, got \[5, 2\]"),
        ({"measure": DURATIONS | {"durations": [2, "5"]}}, r"a rising list of numbers above 0, got \[2, '5'\]"),
        ({"measure": {"name": "telemetry_at", "quantity": "acuracy", "step": 5}}, "did you mean 'accuracy'"),
        ({"paper": {"unit": "steps"}, "rule": {"name": "near", "margin": 1}}, "must be a number for rule near"),
        ({"rule": {"name": "nea"}}, "did you mean 'near'"),
        ({"rule": {"name": "judge"}}, r"rule\.name must be one of .*, got 'judge'"),
        ({"rule": {"name": "below"}}, "must have 'limit', got none"),
        ({"rule": {"name": "below", "limit": "2"}}, r"rule\.limit must be a number, got '2'"),
        ({"rule": {"name": "below", "limit": 2, "high": 3}}, "got 'high'"),
    ],
)
def test_a_wrong_claim_is_refused_by_its_name(change, message):
    with pytest.raises(ValueError, match=message):
        loading.from_dict(GIVEN | change)


@pytest.mark.parametrize("key", ["id", "text", "source", "paper", "measure", "rule"])
def test_no_part_of_a_claim_may_be_missing(key):
    with pytest.raises(ValueError, match="must"):
        loading.from_dict({name: value for name, value in GIVEN.items() if name != key})


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
        loading.load(tmp_path / "none.yaml")


GRID = (0.0, 100.0, 250.0, 500.0, 750.0)
INFINITE = float("inf")
PAPER = Paper(98, 0.3, "%")


def _found(low: float, high: float, p: float | None = None, grid: tuple[float, ...] = ()) -> Measured:
    return Measured((low + high) / 2 if low > -INFINITE and high < INFINITE else low, low, high, 4, 4, p, grid)


def _verdict(rule: str, options: dict[str, Any], found: Measured) -> str:
    return rules.verdict(found, RULES[rule][0](found, PAPER, **options), 0.95)


@pytest.mark.parametrize(
    ("rule", "options", "holds", "fails"),
    [
        ("near", {"margin": 1}, (97.0, 99.0), (99.1, 99.2)),
        ("within_relative", {"tolerance": 0.5}, (49.0, 147.0), (10.0, 48.9)),
        ("equal", {}, (98.0, 98.0), (98.1, 99.0)),
        ("below", {"limit": 2}, (-1.0, 1.99), (2.0, 3.0)),
        ("at_most", {"limit": 2}, (-1.0, 2.0), (2.01, INFINITE)),
        ("above", {"limit": 2}, (2.01, 3.0), (1.0, 2.0)),
        ("at_least", {"limit": 2}, (2.0, INFINITE), (1.0, 1.99)),
        ("between", {"low": 1, "high": 2.5}, (1.0, 2.5), (0.0, 0.99)),
    ],
)
def test_a_rule_holds_of_whole_intervals_and_fails_of_none(rule, options, holds, fails):
    assert _verdict(rule, options, _found(*holds)) == "holds"
    assert _verdict(rule, options, _found(*fails)) == "fails"
    across = (min(holds[0], fails[0]), max(holds[1], fails[1]))
    assert _verdict(rule, options, _found(*across)) == "undecided"
    assert _verdict(rule, options, _found(-INFINITE, INFINITE)) == "undecided"


def test_ranks_hold_only_if_chance_is_unlikely_to_give_them():
    found = {p: _verdict("above", {"limit": 2}, _found(2.5, 3.0, p)) for p in (None, 0.01, 0.05, 0.06)}
    assert found == {None: "holds", 0.01: "holds", 0.05: "holds", 0.06: "undecided"}
    assert _verdict("above", {"limit": 2}, _found(1.0, 1.5, 0.9)) == "fails"


def test_more_noise_never_turns_what_fails_into_what_holds():
    for half in (0.1, 1.0, 10.0, 100.0):
        assert _verdict("at_most", {"limit": 0.3}, _found(1.8 - half, 1.8 + half)) != "holds"


@pytest.mark.parametrize(
    ("paper", "places"),
    [
        (250, (100.0, 500.0)),
        (0, (0.0, 100.0)),
        (750, (500.0, 750.0)),
        (300, (250.0, 500.0)),  # off the grid, between these two
    ],
)
def test_a_neighbour_on_the_grid_is_near_enough(paper, places):
    found = _found(0.0, 0.0, grid=GRID)
    assert rules.grid_neighbour(found, Paper(paper, None, "steps")) == Range(*places)


def _frames(instability: tuple[float, ...]) -> dict[str, pd.DataFrame]:
    """Pairs of the dense toys at steps 0, 10 and 20, of three seeds."""
    row = {"task": "toy", "order_1": 0, "order_2": 1, "kind": "dense", "level": 0, "density": 1.0, "split": "test"}
    more = {"batchnorm": "averaged", "mean_end_error": 0.1, "max_error": 0.2, "headroom": 0.8}
    pairs = [(seed, i, value) for seed in (0, 1, 2) for i, value in enumerate(instability)]
    return {"instability": pd.DataFrame([row | more | {"seed": s, "k": 10 * i, "instability": v} for s, i, v in pairs])}


def _roles(*tasks: str, sparse: int = 1) -> dict[str, dict[str, int]]:
    return {task: wording.roles((0, 10, 20), (), 3, sparse) for task in tasks}


@pytest.mark.parametrize(
    ("instability", "measured", "verdict", "needs"),
    [
        ((0.5, 0.01, 0.0), 10.0, "holds", None),
        ((0.5, 0.5, 0.0), 20.0, "holds", None),
        ((0.5, 0.5, 0.5), INFINITE, "fails", None),
        ((0.5, 0.01), None, "not measured", "rewind steps from 0 to 20"),
    ],
)
def test_a_verdict_says_what_was_measured_against_what(instability, measured, verdict, needs):
    claim, known = loading.from_dict(GIVEN), needs is None
    assert verdicts.judge([claim], _frames(instability), _roles("toy")) == [
        {
            "claim": "onset", "family": "paper T", "setting": "toy", "text": "Toys are stable from step 10.",
            "source": "paper T, Table 1", "unit": "steps", "measured": measured, "low": measured, "high": measured, "level": 0.95,
            "p": None, "num": 3 if known else None, "asked": 3 if known else None, "paper_value": 10, "paper_spread": None,
            "rule": "the paper's place on the grid of k or next to it", "verdict": verdict, "needs": needs,
        }
    ]  # fmt: skip


def test_seeds_that_were_asked_for_and_are_not_there_count():
    rows = verdicts.judge([loading.from_dict(GIVEN)], _frames((0.5, 0.01, 0.0)), _roles("toy"), {"toy": range(6)})
    assert (rows[0]["verdict"], rows[0]["needs"]) == ("not measured", "3 of 6 seeds; needs 6")


def test_each_setting_is_judged_by_itself_and_one_that_was_not_run_is_not_measured():
    several = {key: value for key, value in GIVEN.items() if key != "task"} | {"tasks": ["toy", "other", "third"]}
    frames = _frames((0.5, 0.0, 0.0))
    frames["instability"] = pd.concat([frames["instability"], frames["instability"].assign(task="third", instability=0.5)])
    rows = verdicts.judge([loading.from_dict(several)], frames, _roles("toy", "third"))
    assert [(row["setting"], row["verdict"], row["needs"]) for row in rows] == [
        ("toy", "holds", None), ("other", "not measured", "task other"), ("third", "fails", None),
    ]  # fmt: skip
    # Rows of a task that the experiment does not list are not its own.
    assert verdicts.judge([loading.from_dict(GIVEN)], frames, _roles("third"))[0]["verdict"] == "not measured"


def test_a_measure_is_given_the_sparse_level_of_its_task():
    frames = _frames((0.5, 0.0, 0.0))
    frames["instability"] = frames["instability"].assign(level=3, kind="imp")
    sparse = loading.from_dict(GIVEN | {"measure": GIVEN["measure"] | {"kind": "imp"}})
    found = [verdicts.judge([sparse], frames, _roles("toy", sparse=level))[0]["verdict"] for level in (3, 2)]
    assert found == ["holds", "not measured"]


ROLE: dict[str, Any] = {key: value for key, value in GIVEN.items() if key != "task"} | {
    "measure": {"name": "at_step", "of": "instability", "kind": "dense", "k": "last"},
    "rule": {"name": "below", "limit": 2},
}


def test_a_claim_about_roles_is_judged_on_every_task_and_one_with_own_on_those_that_nobody_names():
    frames = _frames((0.5, 0.01, 0.0))
    frames["instability"] = pd.concat([frames["instability"], frames["instability"].assign(task="mine", instability=0.5)])
    roles, named = _roles("toy", "mine"), loading.from_dict(GIVEN)
    found = [loading.from_dict(ROLE | more) for more in ({"id": "any"}, {"id": "own", "tasks": ["toy", "own"]})]
    rows = verdicts.judge([named, *found], frames, roles)
    assert [(row["claim"], row["setting"], row["verdict"]) for row in rows] == [
        ("onset", "toy", "holds"), ("any", "toy", "holds"), ("any", "mine", "fails"), ("own", "toy", "holds"),
        ("own", "mine", "fails"),
    ]  # fmt: skip
    none = loading.from_dict(ROLE | {"id": "none", "tasks": ["none"], "measure": {"name": "well_width"}})
    assert [(row["setting"], row["needs"]) for row in verdicts.judge([none], frames, roles)] == [("-", "table wells")]


def test_words_for_steps_and_levels_are_each_tasks_own():
    words = wording.roles((0, 100, 500, 4000), (100, 500), 7, 3)
    assert words == {
        "first": 0, "early": 100, "late": 500, "last": 4000, "sparse": 3, "half": 4, "last_pair": 6, "deepest": 7,
    }  # fmt: skip
    measure = {"name": "margin", "start": "late | noise(1)", "against": "first", "from_level": "sparse", "to_level": "deepest"}
    settled = {"start": "k500 | noise(1)", "against": "k0", "from_level": 3, "to_level": 7}
    assert wording.settled(measure, words) == settled
    assert wording.settled({"name": "margin"} | settled, words) == settled
    with pytest.raises(ValueError, match="early and late rewind steps that differ"):
        wording.settled({"name": "margin_growth", "k": "early", "later": "late"}, words | {"early": 500})


def test_without_an_own_step_the_early_one_is_the_second_and_the_late_one_the_last():
    words = wording.roles((0, 10, 50), (), 8, 8)
    assert [words[word] for word in ("first", "early", "late", "last")] == [0, 10, 50, 50]


@pytest.mark.parametrize("rewind", [(0, 1000), (1000,)])
def test_of_one_later_step_it_is_not_said_that_it_comes_too_early(rewind):
    """Paper C's networks fail from the early step; judged at the only one, where they match, the claim failed."""
    words = wording.roles(rewind, (), 4, 4)
    assert words["late"] == 1000
    with pytest.raises(ValueError, match="a third rewind step"):
        wording.settled({"name": "start_margin", "start": "early"}, words)


def test_with_one_perturbed_step_nothing_is_said_twice():
    words = wording.roles((0, 50, 100), (50,), 8, 8)
    assert (words["early"], words["last"]) == (50, 100)
    with pytest.raises(ValueError, match="a second step of perturbed"):
        wording.settled({"name": "margin", "start": "late | noise(1)", "against": "first"}, words)


LESSON = {"name": "margin", "start": "first | {rotation} for {longest}", "against": "reference"}


def test_words_for_pretexts_are_an_experiments_own():
    words = wording.roles((0, 50), (), 2, 2) | wording.lesson_roles(50, ["rotation(true)", "blur(4, true)"], ["2ep", "32ep"])
    assert wording.settled(LESSON, words) == {"start": "k0 | rotation(true) for 32ep", "against": "k50"}
    asked = {"name": "duration_margin", "pretext": "{blur}", "durations": "every"}
    assert wording.settled(asked, words) == {"pretext": "blur(4, true)", "durations": [2.0, 32.0]}


@pytest.mark.parametrize("pretexts", [[], ["blur(4)"], ["rotation(true)", "rotation(false)"], ["blur(2) + rotation(false)"]])
def test_a_claim_on_a_pretext_that_is_not_there_once_says_what_it_needs(pretexts):
    words = wording.roles((0, 50), (), 2, 2) | wording.lesson_roles(50, pretexts, ["2ep"])
    with pytest.raises(ValueError, match=r"option pretraining with one pretext \{rotation\}"):
        wording.settled(LESSON, words)


def test_a_duration_is_not_compared_with_itself():
    words = wording.roles((0, 50), (), 2, 2) | wording.lesson_roles(50, ["rotation(true)"], ["2ep"])
    assert wording.settled(LESSON, words) == {"start": "k0 | rotation(true) for 2ep", "against": "k50"}
    with pytest.raises(ValueError, match="a second duration of pretraining"):
        wording.settled(LESSON | {"against": "first | {rotation} for {shortest}"}, words)


def test_an_unknown_word_in_braces_is_refused():
    given = GIVEN | {"measure": {"name": "margin", "start": "first | {rotations} for 2ep", "against": "first"}}
    with pytest.raises(ValueError, match=r"rotations.*\{rotation\}"):
        loading.from_dict(given)


def test_durations_that_are_no_epochs_are_no_list_of_epochs():
    words = wording.lesson_roles(50, ["blur(4)"], ["30", "2ep"])
    with pytest.raises(ValueError, match="durations in epochs"):
        wording.settled({"name": "duration_margin", "pretext": "{blur}", "durations": "every"}, words)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"name": "below", "limit": 2}, "below 2"),
        ({"name": "at_most", "limit": -0.9}, "at most -0.9"),
        ({"name": "above", "limit": 0}, "above 0"),
        ({"name": "at_least", "limit": 84.9}, "at least 84.9"),
        ({"name": "between", "low": 1, "high": 21392}, "from 1 to 21392"),
        ({"name": "within_relative", "tolerance": 0.01}, "within 1% of the paper's value"),
        ({"name": "near", "margin": 0.5}, "within 0.5 of the paper's value"),
    ],
)
def test_a_rule_reads_as_a_sentence_would(rule, words):
    assert verdicts.judge([loading.from_dict(GIVEN | {"rule": rule})], {}, {})[0]["rule"] == words


def test_the_stage_reads_tables_and_writes_verdicts(tmp_path):
    from pipeline_lib.stages.results import judge

    folder = tmp_path / "tabulate"
    rows = _frames((0.5, 0.01, 0.0))["instability"].to_dict("records")
    artifacts.write_table(folder / "table.parquet", tabulation.to_arrow(rows, declared.COLUMNS["instability"]))
    other = GIVEN | {"id": "other", "task": "other"}
    spec = {"claims": [loading.to_dict(loading.from_dict(each)) for each in (GIVEN, other)], "roles": _roles("toy")}
    spec |= {"columns": columns.spelled(declared.COLUMNS["claims"]), "seeds": {"toy": [0, 1, 2]}}
    spec |= {"experiment": "e", "table": "claims"}
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
        "import sys; from pathlib import Path; from pipeline_lib.claims import loading as claims; "
        f"claims.load(Path({str(FILE)!r})); print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
