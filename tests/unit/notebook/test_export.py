"""An exported network stands for itself: its card's own lines rebuild it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import pipeline_lib
from pipeline_lib.planning import nodes
from pipeline_lib.store import artifacts


@pytest.fixture(scope="module")
def sparse(made: nodes.Plan) -> nodes.Node:
    asked = {"level": 1, "kind": "imp", "start": "k2", "members": [[3, 0]]}
    (found,) = [node for node in made.nodes.values() if node.stage == "train" and asked.items() <= node.spec.items()]
    return found


def test_the_card_rebuilds_the_network_with_its_mask(made, sparse, world, tmp_path, monkeypatch):
    results = made.config.results
    written = pipeline_lib.export(results, sparse.key[:8], None, tmp_path / "one")
    assert [path.name for path in written] == ["model.safetensors", "mask.safetensors", "config.json", "README.md"]
    (state,), head = artifacts.read_states(results / sparse.folder / "state.safetensors")
    tensors = load_file(written[0])
    assert set(tensors) == {*state.params, *state.buffers}
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.params.items())
    for name, keep in load_file(written[1]).items():
        assert keep.dtype == torch.bool
        assert bool((tensors[name][~keep] == 0).all())
    card = written[3].read_text(encoding="utf-8")
    head_of_card = yaml.safe_load(card.split("---\n")[1])
    assert head_of_card["library_name"] == "pytorch"
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, torch.nn.Module] = {}
    monkeypatch.chdir(tmp_path / "one")
    exec(lines, names)
    assert not names["network"].training
    x = torch.rand(2, *json.loads(written[2].read_text())["network"]["arguments"]["input_shape"])
    expected = world.network
    expected.load_state_dict({**state.params, **state.buffers})
    assert torch.equal(names["network"](x), expected.eval()(x))
    facts = json.loads(written[2].read_text())
    assert facts["test_error"] == head["errors"]["test"][0]
    assert f"{facts['density']:.4g} of its prunable" in card
    assert np.isclose(facts["density"], head["density"][0])


def test_a_member_must_be_named_where_there_are_several_and_exist(made, sparse, tmp_path):
    with pytest.raises(ValueError, match=r"member must be one of .* \(seed 3 order 0\), got 1; name one by its number"):
        pipeline_lib.export(made.config.results, sparse.key, 1, tmp_path)
    table = made.tables["tiny"]["runs"].key
    with pytest.raises(ValueError, match=r"row must be of a network, got the key of a tabulate; take one of a table of networks"):
        pipeline_lib.export(made.config.results, table, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []
