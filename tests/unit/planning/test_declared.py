"""What stages and derived tables declare, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.core import registry
from pipeline_lib.planning import declared, estimate
from pipeline_lib.tables import columns

SHORT = {"group": "results", "needs": "this", "makes": "that", "files": ["it.txt"], "seconds": 1.0}
LONG = {"group": "masks", "needs": "this", "makes": "that", "tables": {"those": {}}, "rate": "training", "size": ["k"]}


def test_every_stage_has_a_file_of_its_name_and_no_file_is_two_stages():
    files = sorted((registry.PACKAGE / "stages").rglob("*.py"))
    assert [path.stem for path in files if "\ndef run(job" in path.read_text(encoding="utf-8")] == [
        path.stem for path in files if path.stem in declared.STAGES and path.parent.name != "support"
    ]
    for path in files:
        assert path.read_text(encoding="utf-8").count("\nSTAGE = {") == (path.stem in declared.STAGES)


def test_stages_come_in_the_order_of_work():
    groups = [stage.group for stage in declared.STAGES.values()]
    assert groups == sorted(groups, key=declared.GROUPS.index)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (SHORT | {"grup": 1}, "key of stage new must be one of .* got 'grup'; did you mean 'group'"),
        ({key: value for key, value in SHORT.items() if key != "needs"}, "stage new must say its needs, got none"),
        (SHORT | {"group": "result"}, "group of stage new must be one of .* got 'result'; did you mean 'results'"),
        (SHORT | {"each": "pair"}, "each of stage new must be one of .* did you mean 'pairs'"),
        (SHORT | {"cluster": {"minutes": 1, "megabytes": 1}}, "must say either cluster.* or seconds.* got both"),
        (LONG, "must say either cluster.* or seconds.* got neither"),
        ({key: value for key, value in SHORT.items() if key != "files"}, "must write a file or measure a table, got neither"),
        ({**SHORT, "rate": "reading"}, "rate of stage new must be one of"),
    ],
)
def test_a_stage_that_is_not_declared_in_full_is_refused(said, words):
    with pytest.raises(ValueError, match=words):
        declared._stage("new", said)


def test_a_stage_on_a_cluster_says_how_much_work_it_is():
    said = LONG | {"cluster": {"minutes": 3, "megabytes": 5}}
    assert declared._stage("new", said).files == ("those.parquet",)
    with pytest.raises(ValueError, match="stage new must say its rate and size for estimates, got none"):
        declared._stage("new", {key: value for key, value in said.items() if key != "size"})


def _derived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **tables: dict[str, object]) -> dict[str, declared.Derived]:
    functions = "".join(f"def {name}(frames, spec):\n    return []\n" for name in tables)
    (tmp_path / "new.py").write_text(f"TABLES = {tables}\n{functions}", encoding="utf-8")
    monkeypatch.setitem(registry.PLACES, "derived", tmp_path)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    for remembered in (registry.entries, registry.stated):
        remembered.cache_clear()
    try:
        return declared._derived({"runs": "train"})
    finally:
        for remembered in (registry.entries, registry.stated):
            remembered.cache_clear()


def test_derived_tables_are_made_in_the_order_of_their_sources(tmp_path, monkeypatch):
    found = _derived(
        tmp_path,
        monkeypatch,
        a={"from": ["b"], "columns": []},
        b={"from": ["runs"], "with": ["c"], "columns": []},
        c={"from": ["runs"], "columns": []},
    )
    assert list(found) == ["c", "b", "a"]
    assert (found["b"].sources, found["b"].optional) == (("runs",), ("c",))


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"a": {"from": ["run"], "columns": []}}, "table that table a comes from must be one of .* did you mean 'runs'"),
        ({"a": {"from": ["b"], "columns": []}, "b": {"from": ["a"], "columns": []}}, "must not come from themselves, got"),
        ({"a": {"columns": []}}, "table a must say its from, got none"),
        ({"a": {"from": ["runs"], "colums": [], "columns": []}}, "did you mean 'columns'"),
    ],
)
def test_a_derived_table_that_cannot_be_made_is_refused(tmp_path, monkeypatch, tables, words):
    with pytest.raises(ValueError, match=words):
        _derived(tmp_path, monkeypatch, **tables)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("sed", "column of table new must be one of .* got 'sed'; did you mean 'seed'"),
        (["x", "float", "1", "what"], "must be a name, a type of bool, string, int64, double, a unit and a meaning, got"),
        (["x", "double", "1"], "must be a name, a type of .* got"),
        (["x", "double", "", "what"], "must be a name, a type of .* got"),
    ],
)
def test_a_column_is_declared_in_full(said, words):
    with pytest.raises(ValueError, match=words):
        columns.of("new", {"columns": [said]})


def test_columns_survive_a_spec():
    for table in declared.COLUMNS.values():
        assert columns.read(columns.spelled(table)) == table


def test_a_size_is_a_product_over_the_spec():
    spec = {"points": 5, "seeds": [0, 1], "task": {"steps": 7}, "fractions": {"a": [1, 2, 3], "b": [1]}}
    sized = [("points", "points", "seeds"), ("task.steps", 0.5), (6, "fractions"), ()]
    assert [estimate.product(spec, size) for size in sized] == [50, 3.5, 24, 1]
