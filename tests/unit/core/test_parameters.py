from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

from pipeline_lib.core import registry
from pipeline_lib.core.parameters import Filters, filters, num_params, prunable
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.networks.vgg import vgg

NETWORKS = {
    "mlp": {"widths": [300, 100]},
    "resnet_cifar": {"blocks": 3},
    "vgg": {"depth": 16},
    "wide_resnet": {"depth": 16, "widen": 8},
    "resnet18": {},
    "resnet50": {"stem": "cifar"},
    "inception_v3": {},
}


def _meta(name: str, **more: object) -> nn.Sequential:
    shape = (3, 299, 299) if name == "inception_v3" else (3, 32, 32)
    with torch.device("meta"):
        return registry.call("networks", {"name": name, **NETWORKS[name], **more}, input_shape=shape, num_classes=10)


def test_prunable_weights_are_those_of_convolutions_and_linear_layers():
    assert prunable(toys.norm_net()) == ["stem.weight", "body.fc.weight"]
    assert prunable(toys.dense_net()) == ["stem.fc1.weight", "body.fc2.weight"]


@pytest.mark.parametrize("name", NETWORKS)
def test_biases_and_batchnorm_are_never_prunable(name):
    network = _meta(name)
    for weight in prunable(network):
        module, kind = weight.rsplit(".", 1)
        assert kind == "weight"
        assert isinstance(network.get_submodule(module), (nn.Conv2d, nn.Linear))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "vgg"])
def test_every_weight_matrix_and_kernel_is_prunable(name):
    network = _meta(name)
    assert prunable(network) == [n for n, p in network.named_parameters() if p.dim() > 1]


def test_vggs_head_is_spared():
    weights = [n for n, p in _meta("vgg").named_parameters() if p.dim() > 1]
    assert weights[-1] == "body.fc.weight"
    assert prunable(_meta("vgg")) == weights[:-1]


def test_vggs_head_is_prunable_where_the_task_says_so():
    network = _meta("vgg", prune_head=True)
    assert prunable(network) == [n for n, p in network.named_parameters() if p.dim() > 1]


def test_resnets_linear_layer_is_prunable():
    with torch.device("meta"):
        assert prunable(resnet_cifar((3, 32, 32), 10))[-1] == "body.fc.weight"


def test_an_unknown_network_spares_nothing():
    assert prunable(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))) == ["0.weight", "2.weight"]


@pytest.mark.parametrize("name", NETWORKS)
def test_filters_multiply_to_the_tensors_size(name):
    network = _meta(name)
    found = filters(network)
    assert list(found) == prunable(network)
    for weight, parts in found.items():
        tensor = network.get_parameter(weight)
        assert parts.outputs * parts.inputs * parts.kernel == tensor.numel()
        assert (parts.outputs, parts.inputs) == tensor.shape[:2]


def test_filters_of_a_convolution_and_a_linear_layer():
    assert filters(toys.norm_net()) == {"stem.weight": Filters(2, 1, 9), "body.fc.weight": Filters(3, 8, 1)}


def test_a_spared_layer_has_no_filters():
    assert "body.fc.weight" not in filters(_meta("vgg"))


def test_parameters_are_counted_with_biases_and_norms_and_without_statistics():
    assert num_params(toys.norm_net()) == 2 * 9 + 2 + 2 + 8 * 3 + 3
    assert num_params(toys.dense_net()) == 16 * 4 + 4 + 4 * 3 + 3


def test_sparing_is_not_a_parameter():
    with torch.device("meta"):
        spared, whole = vgg((3, 16, 16), 10), vgg((3, 16, 16), 10, prune_head=True)
    assert list(spared.state_dict()) == list(whole.state_dict())
    assert num_params(spared) == num_params(whole)
