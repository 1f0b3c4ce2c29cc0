from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

from pipeline_lib.initialise import initialise, prunable
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.rng import torch_generator


def test_prunable_weights_are_those_of_convolutions_and_linear_layers():
    assert prunable(toys.norm_net()) == ["stem.weight", "body.fc.weight"]
    assert prunable(toys.dense_net()) == ["stem.fc1.weight", "body.fc2.weight"]


def test_every_tensor_has_the_templates_name_shape_and_place():
    network = toys.norm_net()
    state = toys.start(network)
    assert [(n, t.shape) for n, t in state.params.items()] == [(n, t.shape) for n, t in network.named_parameters()]
    assert [(n, t.shape) for n, t in state.buffers.items()] == [(n, t.shape) for n, t in network.named_buffers()]
    assert (state.step, state.slots) == (0, {})


def test_weights_are_kaiming_normal_and_biases_uniform():
    params = toys.start(mlp((1, 28, 28), 10)).params
    for name, fan_in in (("stem.fc1", 784), ("body.fc2", 300), ("body.fc3", 100)):
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        tolerance = 5 / (2 * weight.numel()) ** 0.5
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=tolerance)
        assert abs(weight.mean().item()) < 5 * weight.std().item() / weight.numel() ** 0.5
        assert 0.5 * fan_in**-0.5 < bias.abs().max().item() <= fan_in**-0.5


def test_convolutions_count_the_kernel_in_their_fan_in():
    weight = toys.start(resnet_cifar((3, 32, 32), 10, blocks=1)).params["body.stage3_block1.conv2.weight"]
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_norm_scales_are_uniform_on_the_unit_interval_and_shifts_zero():
    state = toys.start(resnet_cifar((3, 32, 32), 10))
    scales = torch.cat([t for n, t in state.params.items() if "bn" in n.split(".")[-2] and n.endswith("weight")])
    shifts = torch.cat([t for n, t in state.params.items() if "bn" in n.split(".")[-2] and n.endswith("bias")])
    assert len(scales) == len(shifts) == 784
    assert 0 <= scales.min() < 0.02
    assert 0.98 < scales.max() <= 1
    assert scales.mean().item() == pytest.approx(0.5, abs=0.05)
    assert not shifts.any()
    assert all((t == (1 if n.endswith("var") else 0)).all() for n, t in state.buffers.items())


def test_a_draw_depends_on_its_generator_alone():
    torch.manual_seed(0)
    first = toys.start(toys.norm_net())
    torch.manual_seed(1)
    assert toys.same_state(toys.start(toys.norm_net()), first)
    assert not toys.same(toys.start(toys.norm_net(), 1).params, first.params)


def test_neither_the_global_generator_nor_the_template_is_touched():
    network = toys.norm_net()
    before, template = torch.get_rng_state(), {n: t.clone() for n, t in network.state_dict().items()}
    state = toys.start(network)
    state.buffers["body.bn.running_mean"].fill_(7)
    assert torch.equal(torch.get_rng_state(), before)
    assert toys.same(network.state_dict(), template)


def test_a_layer_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="module '1' must be a conv, linear or BatchNorm layer, got LayerNorm"):
        initialise(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), torch_generator("x"))
