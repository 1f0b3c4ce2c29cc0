"""Documents say what their tables say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from pipeline_lib.experiments import config
from pipeline_lib.planning import declared

sys.path.insert(0, str(config.ROOT / "docs"))
import numbers_in_documents as numbers

RUNS = pd.DataFrame(
    {
        "seed": [0, 0, 1, 2, 2, 2],
        "kind": ["imp", "imp", "imp", "imp", "dense", "dense"],
        "error": [0.1, 0.3, 0.4, 0.9, 0.5, 0.5],
    }
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    RUNS.to_parquet(tmp_path / "runs.parquet")
    return tmp_path / "page.md"


def _rendered(page: Path, text: str) -> str:
    page.write_text(text, encoding="utf-8")
    return numbers.render(page).removeprefix(numbers.NOTICE)


def test_rows_of_a_seed_are_averaged_first(page):
    assert _rendered(page, '{{ spread("runs", "100 * error", kind="imp") }} %') == "50.0 ± 36.1 %"  # of 20, 40, 90


def test_an_interval_is_students_over_seeds(page):
    sample = [20.0, 40.0, 90.0]
    low, high = stats.t.interval(0.95, 2, sum(sample) / 3, stats.sem(sample))
    assert _rendered(page, '{{ interval("runs", "100 * error", kind="imp") }}') == f"50.0 ({low:.1f} to {high:.1f})"


def test_a_difference_is_paired_by_seed(tmp_path):
    rows = [{"seed": s, "kind": kind, "x": 10.0 * s + by} for s in range(3) for kind, by in (("a", 2), ("b", 0))]
    pd.DataFrame(rows).to_parquet(tmp_path / "runs.parquet")
    text = '{{ difference("runs", "x", {"kind": "a"}, {"kind": "b"}) }}'
    assert _rendered(tmp_path / "page.md", text) == "2.0 (2.0 to 2.0)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ ratio("runs", "error", {"kind": "imp"}, {"kind": "dense"}) }}', "1.0"),  # 0.2, 0.4, 0.9 by seed, and 0.5
        ('{{ each("runs", "100 * error", "-seed", kind="imp") }}', "90.0, 40.0, 20.0"),
        ('{{ each("runs", "100 * error", ["seed > 0", "kind"]) }}', "20.0, 50.0, 65.0"),
        ('{{ extent("runs", "100 * error", "seed", 0, kind="imp") }}', "20 to 90"),
    ],
)
def test_groups_of_rows_are_listed_in_their_order(page, text, expected):
    assert _rendered(page, text) == expected


def test_verdicts_of_two_tables_are_compared_claim_by_claim(tmp_path):
    names = [("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("d", "y"), ("e", "x")]
    verdicts = {
        "one": ["holds", "holds", "holds", "undecided", "fails", "holds"],
        "other": ["holds", "fails", "undecided", "undecided", "fails", "not measured"],
    }
    for table, found in verdicts.items():
        rows = [{"claim": claim, "setting": setting, "verdict": v} for (claim, setting), v in zip(names, found, strict=True)]
        pd.DataFrame(rows[::-1] if table == "other" else rows).to_parquet(tmp_path / f"{table}.parquet")
    text = '{% set found = agreement("one", "other") %}{{ found.judged }} {{ found.same }} {{ found.opposite }}'
    assert _rendered(tmp_path / "page.md", text) == "5 3 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{{ mean("runs", "error", kind="none") }}', "must exist"),
        ('{{ mean("runs", "error", sort="imp") }}', "must be one of"),
        ('{{ value("runs", "error", kind="imp") }}', "must be one"),
    ],
)
def test_what_tables_lack_is_no_number(page, text, message):
    with pytest.raises(ValueError, match=message):
        _rendered(page, text)


@pytest.mark.parametrize("page", numbers.pages(), ids=lambda page: page.parent.name)
def test_the_committed_pages_are_those_of_the_committed_tables(page):
    assert page.with_name(numbers.RENDERED).read_text(encoding="utf-8") == numbers.render(page), "run make docs-numbers"


def test_every_reproduction_is_a_page():
    folders = {path.name for path in numbers.FOLDER.iterdir() if path.is_dir()}
    assert {page.parent.name for page in numbers.pages()} == folders


PAPERS = {"paper A": "early_phase", "paper B": "mode_connectivity", "paper C": "unmasking"}


@pytest.mark.parametrize("table", sorted(numbers.FOLDER.rglob("claims.parquet")), ids=lambda table: table.parent.name)
def test_claims_that_fail_are_listed_with_what_we_think_of_them(table):
    """In the document of their paper, or where those of several papers were judged together, in one of them."""
    said = "".join((config.ROOT / "docs" / "papers" / f"{name}.md").read_text(encoding="utf-8") for name in PAPERS.values())
    claims = pd.read_parquet(table)
    failing = set(claims[claims["verdict"] == "fails"]["claim"])
    assert {claim for claim in failing if f"`{claim}`" not in said} == set()


# Tables of a further experiment beside a page's own, by what they are.
FURTHER = {
    "claims_jittered": "claims",
    "claims_three": "claims",
    "claims_three_jittered": "claims",
    "critical_period": "runs",
    "signs_small": "runs",
    "scales_curves": "curves",
    "scales_telemetry": "telemetry",
}


@pytest.mark.parametrize("path", sorted(numbers.FOLDER.rglob("*.parquet")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_tables_have_the_columns_that_are_documented(path):
    """Those of an earlier commit may lack later columns; what they have means what docs/tables.md says."""
    documented = {column.name: column.type for column in declared.COLUMNS[FURTHER.get(path.stem, path.stem)]}
    found = {field.name: str(field.type).removeprefix("large_") for field in pq.read_schema(path)}
    assert {name: documented.get(name) for name in found} == found


@pytest.mark.parametrize("path", sorted(numbers.FOLDER.rglob("claims.parquet")), ids=lambda path: path.parent.name)
def test_the_readme_counts_claims_as_their_tables_do(path):
    text, table = (config.ROOT / "README.md").read_text(encoding="utf-8"), pd.read_parquet(path)
    page, judged = path.relative_to(numbers.FOLDER).parts[0], table[table["verdict"] != "not measured"]["family"]
    row = rf"^\| ({judged.mode()[0]}), .*reproductions/{page}/README\.md\).* (\w+) seeds \| (\d+) \| (\d+) \| (\d+) \|$"
    ((paper, number, *counted),) = re.findall(row, text, re.MULTILINE)
    verdicts = table[table["family"] == paper]["verdict"].value_counts()
    assert counted == [str(verdicts.get(word, 0)) for word in ("holds", "fails", "undecided")]
    assert {"three": 3, "ten": 10}[number] == pd.read_parquet(path.with_name("runs.parquet"))["seed"].nunique()


def test_the_walk_counts_them_too():
    text = (config.ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
    verdicts = pd.read_parquet(numbers.FOLDER / "digits_mode_connectivity" / "claims.parquet")["verdict"].value_counts()
    assert f"{verdicts['holds']} hold, {verdicts['fails']} fail and {verdicts['undecided']} are undecided" in text
