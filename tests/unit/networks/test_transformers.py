"""Transformers: what their parts must do, and that both go from config through IMP, rewinding, instability and a spectrum."""

from __future__ import annotations

import every_stage
import numpy as np
import pytest
import torch
import toys
from torch.func import functional_call

from pipeline_lib.core import registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.datasets.characters import characters
from pipeline_lib.networks.transformers import _Attention, character_transformer, vit
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation
from pipeline_lib.training.initialisers.modules import own_reset

TASKS = {
    "digits_vit": {"network": {"name": "vit", "patch": 4, "width": 8, "heads": 2, "depth": 1}},
    "characters": {
        "network": {"name": "character_transformer", "width": 8, "heads": 2, "depth": 2},
        "dataset": {"name": "characters", "num_train": 256, "length": 6},
    },
}
SHORT = {"steps": 8, "evaluate_every": 8, "schedule": {"name": "cosine_decay", "length": 8, "warmup": 2}}
GRID = {
    **{"seeds": [0], "orders": 2, "rewind": [2], "levels": 1, "alphas": 3, "figures": ["instability_sparse", "curvature"]},
    "curvature": {"steps": [2], "iterations": 4, "probes": 1, "examples": 32, "subspace": 2},
}


def test_attention_is_torchs_own():
    ours = _Attention(8, 2, causal=True).double()
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(3, 5, 8, generator=torch_generator("x"), dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    torch.testing.assert_close(ours(x), theirs(x, x, x, attn_mask=mask, need_weights=False)[0])


def test_places_know_of_earlier_ones_alone():
    network = character_transformer((1, 1, 5), 96, width=8, heads=2)
    places = torch.nn.Sequential(*list(network[1].children())[:-3])
    x = torch.randint(96, (2, 1, 1, 5), generator=torch_generator("x")).float()
    before = places(x)
    x[..., 3:] = 7
    after = places(x)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3:], after[:, 3:])


def test_order_of_characters_and_patches_counts():
    for network, x in (
        (character_transformer((1, 1, 4), 96, width=8, heads=2), torch.tensor([[[[1.0, 2, 3, 4]]]])),
        (vit((1, 8, 8), 3, width=8, heads=2, depth=1), torch.randn(1, 1, 8, 8, generator=torch_generator("x"))),
    ):
        state = own_reset(network, torch_generator("w"))
        first, second = (functional_call(network, dict(state.params), (each,)) for each in (x, x.flip(3)))
        assert not torch.allclose(first, second)


def test_linear_layers_are_pruned_and_the_rest_is_not():
    names = prunable(character_transformer((1, 1, 4), 96, width=8, heads=2, depth=1))
    assert {name.rpartition(".")[2] for name in names} == {"weight"}
    assert len(names) == 4 + 2 + 1
    assert not any("embedding" in name or "norm" in name or "positions" in name for name in names)


def test_what_does_not_divide_is_said():
    with pytest.raises(ValueError, match=r"patch must divide the images' 8 x 8 pixels, got 3; choose another size"):
        vit((1, 8, 8), 10, patch=3)
    with pytest.raises(ValueError, match=r"heads must divide the width 8, got 3; choose another number"):
        vit((1, 8, 8), 10, width=8, heads=3)


def test_windows_are_followed_by_their_label(tmp_path):
    (tmp_path / "abc.txt").write_text("abcdefghij" * 40 + "é\t")
    data = characters(tmp_path, 50, "abc.txt", length=3)
    rows = data.train.x[:, 0, 0].long()
    assert torch.equal((rows[:, 1:] - rows[:, :-1]) % 10, torch.ones(50, 2).long())
    assert torch.equal((data.train.y - rows[:, -1]) % 10, torch.ones(50).long())
    assert torch.equal(data.train.x, characters(tmp_path, 50, "abc.txt", length=3).train.x)
    with pytest.raises(ValueError, match=r"length must be below the text's 40 characters, got 60; shorten it"):
        characters(tmp_path, 50, "abc.txt", length=60)
    with pytest.raises(ValueError, match=r"none.txt must be a text in UTF-8, got: .*; check data_root and file"):
        characters(tmp_path, 50, "none.txt")


def test_a_network_is_given_the_numbers_of_characters():
    from pipeline_lib.training.batches import Normaliser

    data = characters(None, 50)
    assert torch.equal(Normaliser(data)(data.train.x[:]), data.train.x.float())
    assert 1 < len(data.train.y.unique()) <= 96


@pytest.mark.parametrize("task", TASKS)
def test_it_goes_through_imp_rewinding_instability_and_a_spectrum(task, tmp_path):
    made = toys.make_plan(
        {"results": str(tmp_path), "tasks": {task: TASKS[task] | SHORT}, "experiments": {"tiny": GRID | {"tasks": [task]}}}
    )
    every_stage.make(made, without=("plot", "derive", "judge"))
    nodes = {f"{n.stage} {n.spec.get('level')} {n.spec.get('kind')}": tmp_path / n.folder for n in made.nodes.values()}
    (state, *_), head = artifacts.read_states(nodes["train 1 imp"] / "state.safetensors")
    assert not head["diverged"][0]
    assert 0.7 < head["density"][0] < 0.9
    assert any(bool((state.params[name] == 0).any()) for name in head["prunable"])
    pairs = tabulation.read(nodes["interpolate 1 imp"] / "instability.parquet")
    assert np.isfinite(pairs["barrier"]).all()
    curvature = tabulation.read(nodes["hessian 0 imp"] / "curvature.parquet")
    assert np.isfinite(curvature["trace"]).all()


def test_the_tasks_learn():
    """A few steps of the shipped recipes lower the loss, by much more than rounding."""
    from pipeline_lib import evaluate, initialise, load, train

    for task, changes in TASKS.items():
        world = load(task, **changes, steps=40, schedule={"name": "constant"})
        start = initialise(world)
        assert evaluate(world, train(world, start)).loss < 0.95 * evaluate(world, start).loss
        assert registry.entries("optimisers")[world.task["optimiser"]["name"]].name == "adamw"
