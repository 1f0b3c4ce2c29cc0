"""Tables of many parts are joined by task and seeds first: the same tables, and a further seed reads no other's files."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
import toys

from pipeline_lib.planning import driver, plan
from pipeline_lib.planning.written import making

FIGURES = ["instability_dense", "accuracy_by_density"]


def _planned(results, **more):
    raw = toys.raw_config(results, figures=FIGURES, levels=1, **more) | {"per_job": {"seeds": 1, "orders": 1}}
    return toys.make_plan(raw)


def _inner(made):
    return {node.key for node in made.nodes.values() if node.stage == "tabulate" and node.spec.get("partial")}


def test_a_further_seed_makes_parts_of_its_own_and_leaves_the_others(monkeypatch):
    monkeypatch.setattr(plan, "MOST_PARTS", 3)
    two, three = (_planned("results", seeds=seeds) for seeds in (2, 3))
    assert _inner(two) < _inner(three)
    for node in three.nodes.values():
        if node.stage == "tabulate" and node.spec.get("partial"):
            assert len(node.parents["parts"]) <= 3
            seeds = {
                three.nodes[key].spec["members"][0][0] for key in node.parents["parts"] if "members" in three.nodes[key].spec
            }
            assert len(seeds) <= 1
    assert _inner(_planned("results", seeds=2)) == _inner(two), "a plan of few parts"


def test_a_table_of_few_parts_reads_them_itself():
    assert _inner(_planned("results")) == set()


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Tables that read all of their parts."""
    results = tmp_path_factory.mktemp("flat")
    made = _planned(results)
    making.make(driver.write_plan(made, []), until="tabulate")
    return results, made


def test_joined_parts_give_the_same_tables(flat, monkeypatch):
    results, made = flat
    monkeypatch.setattr(plan, "MOST_PARTS", 3)
    tree = _planned(results)
    assert _inner(tree)
    making.make(driver.write_plan(tree, []), until="tabulate")
    for name, node in tree.tables["tiny"].items():
        if node.stage == "tabulate":
            found, whole = (pq.read_table(results / each.folder / "table.parquet") for each in (node, made.tables["tiny"][name]))
            assert found.replace_schema_metadata() == whole.replace_schema_metadata(), name
            assert found.schema.equals(whole.schema, check_metadata=False)
            assert found.num_rows > 3
