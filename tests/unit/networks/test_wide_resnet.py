from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.networks.wide_resnet import wide_resnet


@pytest.fixture(scope="module")
def network():
    net, generator = wide_resnet((3, 8, 8), 5, depth=16, widen=1).double(), torch_generator("wide")
    for tensor in [*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())]:
        tensor.data.uniform_(0.1, 1.0, generator=generator)
    for name, tensor in net.named_parameters():
        if name.endswith("weight") and tensor.dim() > 1:
            tensor.data.sub_(0.55)
    return net


def test_wrn_16_8_has_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in wide_resnet((3, 32, 32), 10, 16, 8).parameters()) == 10_961_370


@pytest.mark.parametrize("depth", [10, 16, 28, 40])
def test_depth_counts_the_convolutions_with_one_projection_a_stage(depth):
    with torch.device("meta"):
        net = wide_resnet((3, 32, 32), 10, depth, widen=2)
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == depth


def test_the_default_is_wrn_16_8():
    with torch.device("meta"):
        shapes = [[p.shape for p in net.parameters()] for net in (wide_resnet((3, 8, 8), 10), wide_resnet((3, 8, 8), 10, 16, 8))]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("widen", "projecting"), [(1, [2, 3]), (2, [1, 2, 3])])
def test_a_block_projects_where_the_widths_differ(widen, projecting):
    with torch.device("meta"):
        net = wide_resnet((3, 8, 8), 10, 16, widen)
    found = [name for name, m in net.named_modules() if name.endswith("shortcut") and isinstance(m, nn.Conv2d)]
    assert found == [f"body.stage{stage}_block1.shortcut" for stage in projecting]


def _by_hand(p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network of the paper with two blocks a stage, written out; statistics are the running ones."""

    def active(name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (p[f"{name}.{n}"].view(1, -1, 1, 1) for n in ("running_mean", "running_var", "weight", "bias"))
        return (weight * (x - mean) / (var + 1e-5).sqrt() + bias).clamp(min=0)

    x = F.conv2d(x, p["stem.weight"], padding=1)
    for block, stride in (("1_block1", 1), ("1_block2", 1), ("2_block1", 2), ("2_block2", 1), ("3_block1", 2), ("3_block2", 1)):
        name = f"body.stage{block}"
        a = active(f"{name}.bn1", x)
        out = F.conv2d(a, p[f"{name}.conv1.weight"], stride=stride, padding=1)
        out = F.conv2d(active(f"{name}.bn2", out), p[f"{name}.conv2.weight"], padding=1)
        shortcut = p.get(f"{name}.shortcut.weight")
        x = out + (x if shortcut is None else F.conv2d(a, shortcut, stride=stride))
    return active("body.bn", x).mean(dim=(2, 3)) @ p["body.fc.weight"].T + p["body.fc.bias"]


def test_forward_is_the_papers_formula(network):
    x = torch.randn((3, 3, 8, 8), generator=torch_generator("x"), dtype=torch.float64)
    expected = _by_hand(network.state_dict(), x)
    assert expected.abs().min() > 0.01
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-12, atol=1e-12)
