from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.torchvision_import import torchvision_models
from pipeline_lib.networks.vgg import vgg
from pipeline_lib.training.initialisers.kaiming import kaiming_normal

CONVOLUTIONS = {13: 10, 16: 13}


@pytest.fixture(scope="module", params=[13, 16])
def network_and_depth(request):
    """A network with random weights and statistics, and its depth."""
    network, generator = vgg((3, 32, 32), 10, request.param).double(), torch_generator("statistics")
    state = kaiming_normal(network, torch_generator("vgg"), "one")
    for name, tensor in state.buffers.items():
        if tensor.is_floating_point():
            tensor.uniform_(*((-0.2, 0.2) if name.endswith("mean") else (0.5, 1.5)), generator=generator)
    network.load_state_dict({**state.params, **state.buffers})
    return network, request.param


@pytest.mark.parametrize(("depth", "count"), [(13, 9_416_010), (16, 14_728_266)])
def test_parameter_counts(depth, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in vgg((3, 32, 32), 10, depth).parameters()) == count


def test_the_default_depth_is_16():
    with torch.device("meta"):
        assert [*vgg((3, 32, 32), 10).state_dict()] == [*vgg((3, 32, 32), 10, depth=16).state_dict()]


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_every_convolution_has_a_bias_a_norm_and_a_relu(depth):
    with torch.device("meta"):
        network = vgg((3, 32, 32), 10, depth)
    layers = [network[0], *network[1].children()]
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            assert [type(after) for after in layers[i + 1 : i + 3]] == [nn.BatchNorm2d, nn.ReLU]
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == CONVOLUTIONS[depth]


@pytest.mark.parametrize("training", [False, True])
def test_the_convolutions_are_torchvisions_with_the_last_pooling_an_average(network_and_depth, training):
    network, depth = network_and_depth
    models = torchvision_models().vgg
    with torch.device("meta"):
        theirs = models.make_layers(models.cfgs[{13: "B", 16: "D"}[depth]], batch_norm=True)[:-1]
    ours = [t.clone() for name, t in network.state_dict().items() if not name.startswith("body.fc")]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours, strict=True)), assign=True)
    x = torch.randn((2, 3, 32, 32), generator=torch_generator("x"), dtype=torch.float64)
    with torch.no_grad():
        pooled = theirs.train(training)(x).mean(dim=(2, 3))
        expected = network.get_submodule("body.fc")(pooled)
        assert expected.std(dim=0).min() > 1e-4
        torch.testing.assert_close(network.train(training)(x), expected, rtol=1e-12, atol=1e-12)
