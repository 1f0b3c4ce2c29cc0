from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import toys

from pipeline_lib.planning import driver, ledger, nodes
from pipeline_lib.planning.plan_file import Written, published
from pipeline_lib.store import environment
from pipeline_lib.store.environment import Environment
from pipeline_lib.tables import tabulation


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> nodes.Plan:
    """A toy whose first seed was trained on one processor and the second on another; all else was made on the first."""
    root = tmp_path_factory.mktemp("mixed")
    made = toys.make_plan(toys.raw_config(root, figures=["paths_dense"], rewind=[0], levels=0))
    file = driver.write_plan(made, [])
    with pytest.MonkeyPatch.context() as patch:
        for node in made.nodes.values():
            second = node.stage == "train" and node.spec["members"][0][0] == 1
            name = "processor B" if second else "processor A"
            patch.setattr(environment, "current", lambda _, name=name: Environment(name, environment.versions()))
            driver.run_node(node.stage, root / node.folder, file)
    return made


def _words(name: str) -> str:
    return Environment(name, environment.versions()).words()


def _table(made: nodes.Plan, name: str) -> pd.DataFrame:
    return tabulation.read(made.config.results / made.tables["tiny"][name].folder / "table.parquet")


def test_a_column_says_where_each_row_comes_from(mixed):
    both = f"{_words('processor A')}; {_words('processor B')}"  # its data were prepared on A
    for name in ("runs", "curves", "instability", "distances"):
        frame = _table(mixed, name)
        assert frame[frame["seed"] == 0]["environment"].unique().tolist() == [_words("processor A")]
        assert frame[frame["seed"] == 1]["environment"].unique().tolist() == [both]
    assert _table(mixed, "means")["environment"].unique().tolist() == [both]


def test_a_line_says_which_tables_mix_environments(mixed):
    results = mixed.config.results
    (line,) = ledger.mixtures(results, published(mixed))
    names = ", ".join(sorted(mixed.tables["tiny"]))
    where = f"train in {_words('processor A')} and in {_words('processor B')}"
    assert line == f"tables of {results / 'tiny'} mix environments ({names}): {where}"
    assert ledger.mixtures(results, Written(driver.write_plan(mixed, [])).published) == [line]


def test_tables_of_one_environment_are_not_spoken_of(tmp_path):
    made = toys.make_plan(toys.raw_config(tmp_path, figures=["paths_dense"], rewind=[0], levels=0, seeds=1))
    file = driver.write_plan(made, [])
    for node in made.nodes.values():
        driver.run_node(node.stage, tmp_path / node.folder, file)
    assert ledger.mixtures(tmp_path, published(made)) == []


def test_the_index_says_of_each_artifact_how_it_was_made(mixed):
    driver.write_index(mixed.config.results)
    index = pd.read_parquet(mixed.config.results / "index.parquet").set_index("key")
    runs = _table(mixed, "runs").merge(index.reset_index(), on="key", suffixes=("", "_of_run"), validate="many_to_one")
    assert set(zip(runs["seed"], runs["processor"], strict=True)) == {(0, "processor A"), (1, "processor B")}
    assert set(runs["number_format"]) == {"fp32"}
    assert set(runs["threads"]) == {1}
    for node in mixed.nodes.values():
        assert index.loc[node.key, "code"] == nodes.stage_code(node.stage, node.spec)


def _record(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True)
    record = {"key": folder.name[-12:], "sha256": {}} | more
    (folder / "spec.json").write_text(json.dumps(record))


def test_records_that_say_less_or_more_are_listed_too(tmp_path):
    _record(tmp_path / "artifacts" / "train" / f"a-{'0' * 12}")
    _record(tmp_path / "artifacts" / "train" / f"b-{'1' * 12}", versions="all", threads="many", code=3, remark={"by": "hand"})
    driver.write_index(tmp_path)
    first, second = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert (first["label"], first["code"], first["remark"]) == ("a", None, None)
    assert (second["label"], second["code"], second["remark"], second["versions"]) == ("b", "3", '{"by": "hand"}', "all")


def test_a_damaged_record_stops_no_summary(mixed, tmp_path):
    source = f"artifacts/tabulate/a-{'0' * 12}/table.parquet"
    _record((tmp_path / source).parent, made_in=3)
    assert ledger.mixtures(tmp_path, {"tiny/runs.parquet": source, "tiny/means.parquet": "artifacts/derive/none/t.parquet"}) == []
