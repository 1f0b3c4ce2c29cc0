from __future__ import annotations

import json

import pytest
import toys

from pipeline_lib.experiments.config import ROOT
from pipeline_lib.planning import declared, plan_file


def test_a_plan_file_finds_each_node_by_its_key(tmp_path):
    made, path = toys.make_plan(toys.raw_config()), tmp_path / "plan.jsonl"
    path.write_text("\n".join(plan_file.to_lines(made, [])) + "\n")
    for key, node in made.nodes.items():
        header, line = plan_file.find_line(path, key)
        assert (line["spec"], line["folder"]) == (node.spec, node.folder)
        assert {r: [n.folder for n in nodes] for r, nodes in made.parents(node).items()} == line["reads"]
    assert (header["inputs"], header["tasks"]) == ({}, {"toy": {}})
    assert json.loads(path.read_text().splitlines()[0]) == header


def test_files_of_the_checkout_are_named_as_seen_from_its_root(tmp_path):
    """A plan that was written in one checkout is checked against the files of the one in which it is carried out."""
    own = tmp_path / "own.yaml"
    own.write_text("a: 1\n")
    shipped = ROOT / "config" / "config.yaml"
    made = toys.make_plan({**toys.raw_config(figures=["paths_dense"]), "tasks": {"toy": {"base": "digits_mlp"}}})
    header = json.loads(next(iter(plan_file.to_lines(made, [own, shipped]))))
    assert list(header["inputs"]) == [str(own), "config/config.yaml"]
    assert list(header["tasks"]["toy"]) == ["config/tasks/digits_mlp.yaml"]


def test_a_missing_plan_or_node_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"plan must exist, got .*; make it with"):
        plan_file.find_line(tmp_path / "none.jsonl", "0" * 12)
    (tmp_path / "plan.jsonl").write_text('{"inputs": {}}\n')
    with pytest.raises(ValueError, match=r"node must be part of the plan plan\.jsonl, got key 000000000000"):
        plan_file.find_line(tmp_path / "plan.jsonl", "0" * 12)


@pytest.fixture
def written(tmp_path):
    """A plan, and the same on disk."""
    made = toys.make_plan(toys.raw_config(tmp_path))
    path = tmp_path / "plans" / "plan.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(plan_file.to_lines(made, [])) + "\n")
    return made, plan_file.Written(path)


def test_published_files_are_copies_of_every_table_and_figure(written):
    made, found = written
    tables = {f"tiny/{name}.parquet" for name in made.tables["tiny"]}
    figures = {f"tiny/figures/{name}.{suffix}" for name in made.figures["tiny"] for suffix in ("svg", "png", "pdf")}
    as_tables = {f"tiny/figures/table_1.{suffix}" for suffix in ("csv", "html", "tex")}
    assert "table_1" in made.figures["tiny"]
    assert set(found.published) == tables | figures | as_tables
    folders = {node.folder: node for node in made.nodes.values()}
    for source in found.published.values():
        folder, _, file = source.rpartition("/")
        assert file in declared.STAGES[folders[folder].stage].files


def test_a_node_reads_one_file_of_each_parent_and_its_record(written):
    made, found = written
    for node in made.nodes.values():
        parents = [parent for parents in made.parents(node).values() for parent in parents]
        part = f"{node.spec['table']}.parquet" if node.stage == "tabulate" else None
        names = [part or declared.STAGES[p.stage].files[0] for p in parents]
        expected = [
            f"{p.folder}/{name}"
            for parent, name in zip(parents, names, strict=True)
            for p, name in [(parent, name), (parent, "spec.json")]
        ]
        assert found.reads(node.folder.removeprefix("artifacts/")) == expected
        assert {file.rpartition("/")[2] for file in expected} - {"spec.json"} <= {
            f for p in parents for f in declared.STAGES[p.stage].files
        }


def test_a_node_of_another_plan_or_stage_is_refused(written):
    made, found = written
    node = next(node for node in made.nodes.values() if node.stage == "train")
    for name in (f"prune/{node.label}-{node.key}", f"train/{node.label}-{'0' * 12}", f"train/other-{node.key}", ""):
        with pytest.raises(ValueError, match=r"node must be part of the plan, got .*; ask for it with its own config"):
            found.reads(name)


@pytest.mark.parametrize("content", [b"", b"[]\n", b"{}\n", b'{"published": []}\n', b"\xff", b"[" * 100_000])
def test_a_damaged_plan_is_refused(tmp_path, content):
    (tmp_path / "plan.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=r"plan .*plan\.jsonl must be whole, got: .+; remove it and start the run again"):
        plan_file.Written(tmp_path / "plan.jsonl")


@pytest.mark.parametrize(
    "damage", [('"reads"', '"rea"'), ('"artifacts/', '"../artifacts/'), ("}", ""), ('"stage": "train"', '"stage": 1')]
)
def test_a_damaged_node_is_refused(written, damage):
    made, found = written
    node = next(node for node in made.nodes.values() if node.stage == "train")
    text = found.path.read_text()
    line = next(line for line in text.splitlines() if line.startswith(f'{{"key": "{node.key}"'))
    found.path.write_text(text.replace(line, line.replace(*damage)))
    with pytest.raises(ValueError, match=r"plan .*plan\.jsonl must be whole, got: .+; remove it and start the run again"):
        plan_file.Written(found.path).reads(f"train/{node.label}-{node.key}")


def test_a_node_is_held_to_the_files_that_it_is_described_in():
    header = {"inputs": {"config": "0"}, "tasks": {"a": {"a.yaml": "1"}, "b": {"b.yaml": "2", "base.yaml": "3"}}}
    own = {"a": {"a.yaml": "1"}, "b": {"b.yaml": "2", "base.yaml": "3"}}
    for task, files in own.items():
        for spec in ({"task": {"name": task}}, {"name": task}):
            assert plan_file.inputs_of(header, {"spec": spec}) == {"config": "0"} | files
    assert plan_file.inputs_of(header, {"spec": {"table": "runs"}}) == {"config": "0"} | own["a"] | own["b"]


def test_the_folders_of_a_plan_file_are_those_of_its_nodes(written):
    made, found = written
    assert plan_file.folders(found.path) == {node.folder for node in made.nodes.values()}
    found.path.write_text(found.path.read_text().replace("artifacts/train", "../train", 1))
    with pytest.raises(ValueError, match=r"plan .*plan\.jsonl must be whole, got: folder"):
        plan_file.folders(found.path)


def test_a_plan_file_that_is_torn_in_its_first_line_does_not_need_nothing(written):
    _, found = written
    found.path.write_text(found.path.read_text()[:100])
    with pytest.raises(ValueError, match=r"plan .*plan\.jsonl must be whole, got: "):
        plan_file.folders(found.path)


def test_nodes_decode_where_their_data_set_stays_in_files(written, tmp_path):
    made, found = written
    assert not found.in_files
    assert not any(found.decodes(node.folder.removeprefix("artifacts/")) for node in made.nodes.values())
    pictures = toys.task(dataset={"name": "image_folder", "num_train": 64, "num_classes": 2})
    raw = toys.raw_config(tmp_path) | {"tasks": {"toy": pictures}}
    made, path = toys.make_plan(raw), tmp_path / "plans" / "pictures.jsonl"
    path.write_text("\n".join(plan_file.to_lines(made, [])) + "\n")
    found = plan_file.Written(path)
    assert found.in_files
    decoding = {node.stage for node in made.nodes.values() if found.decodes(node.folder.removeprefix("artifacts/"))}
    assert decoding == {"prepare"} | {node.stage for node in made.nodes.values() if "data" in node.parents}
    assert decoding.isdisjoint({"prune", "rewind", "tabulate", "plot"})
    with pytest.raises(ValueError, match="node must be part of the plan"):
        found.decodes(f"train/other-{'0' * 12}")
