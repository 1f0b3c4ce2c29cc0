"""Layers of every kind draw themselves, from the generator alone."""

from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

import pipeline_lib
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.training.initialisers.modules import own_reset


class Scale(nn.Module):
    """A parameter of a user's own; whether it is drawn is up to the subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3))


class DrawnScale(Scale):
    def reset_parameters(self) -> None:
        nn.init.normal_(self.scale)


def _network() -> nn.Module:
    parts = [nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.Flatten(), nn.LayerNorm(4), DrawnScale()]
    attention = nn.TransformerEncoderLayer(4, 2, 8)
    return nn.Sequential(*parts, nn.Embedding(5, 4), attention, nn.LSTM(4, 3), nn.Bilinear(2, 2, 3))


def test_all_draws_follow_the_generator_and_leave_torchs_alone():
    template, before = _rebuilt(0), torch.get_rng_state()
    first = own_reset(template, torch_generator("x"))
    assert torch.equal(torch.get_rng_state(), before)
    second, third = own_reset(_rebuilt(1), torch_generator("x")), own_reset(_rebuilt(1), torch_generator("y"))
    assert toys.same_state(first, second)
    drawn = [name for name, tensor in first.params.items() if len(tensor.unique()) > 1]
    assert {name for name in drawn if torch.equal(first.params[name], third.params[name])} == set()
    assert {"0.weight", "5.scale", "6.weight", "7.self_attn.in_proj_weight", "8.weight_ih_l0", "9.weight"} <= set(drawn)


def _rebuilt(seed: int) -> nn.Module:
    """The same template, built at another time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _network()


def test_it_is_the_distribution_that_torch_builds_with():
    """Constants equal torch's own, attention's among them, whose parts have other defaults by themselves."""
    template = _rebuilt(0)
    drawn = own_reset(template, torch_generator("x")).params
    for name, tensor in template.named_parameters():
        if len(tensor.unique()) == 1:
            assert torch.equal(drawn[name], tensor), name
    assert drawn["7.self_attn.out_proj.bias"].abs().max() == 0


def test_the_template_stays_and_may_lie_nowhere():
    template = _rebuilt(0)
    before = {name: tensor.detach().clone() for name, tensor in template.named_parameters()}
    own_reset(template, torch_generator("x"))
    assert toys.same(before, dict(template.named_parameters()))
    with torch.device("meta"):
        nowhere = nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 3))
    assert own_reset(nowhere, torch_generator("x")).params["1.weight"].device.type == "cpu"


def test_what_draws_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match=r"parameters must be set by reset_parameters .*, got 1.scale of Scale unset; write"):
        own_reset(nn.Sequential(nn.Linear(2, 2), Scale()), torch_generator("x"))


def test_a_notebooks_module_is_drawn_in_a_copy():
    template = _rebuilt(0)
    one, same, other = (pipeline_lib.initialise(template, seed=seed) for seed in (1, 1, 2))
    assert toys.same(one.state_dict(), same.state_dict())
    assert not torch.equal(one[0].weight, other[0].weight)
    assert not torch.equal(one[0].weight, template[0].weight)


def test_the_other_initialisers_name_this_one():
    network = toys.norm_net()
    network[1].bn = nn.GroupNorm(2, 2)
    with pytest.raises(ValueError, match=r"got GroupNorm; set initialisation: \{name: own_reset\} for layers of other kinds"):
        toys.start(network)
    assert own_reset(network, torch_generator("x")).params["body.bn.weight"].tolist() == [1, 1]
