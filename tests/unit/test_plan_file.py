from __future__ import annotations

import json

import pytest
import toys

from pipeline_lib import plan_file


def test_a_plan_file_finds_each_node_by_its_key(tmp_path):
    made, path = toys.make_plan(toys.raw_config()), tmp_path / "plan.jsonl"
    path.write_text("\n".join(plan_file.to_lines(made, {"a.yaml": "0"})) + "\n")
    for key, node in made.nodes.items():
        header, line = plan_file.find_line(path, key)
        assert (line["spec"], line["folder"]) == (node.spec, node.folder)
        assert {r: [n.folder for n in nodes] for r, nodes in made.parents(node).items()} == line["reads"]
    assert header["inputs"] == {"a.yaml": "0"}
    assert json.loads(path.read_text().splitlines()[0]) == header


def test_a_missing_plan_or_node_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"plan must exist, got .*; make it with"):
        plan_file.find_line(tmp_path / "none.jsonl", "0" * 12)
    (tmp_path / "plan.jsonl").write_text('{"inputs": {}}\n')
    with pytest.raises(ValueError, match=r"node must be part of the plan plan\.jsonl, got key 000000000000"):
        plan_file.find_line(tmp_path / "plan.jsonl", "0" * 12)
