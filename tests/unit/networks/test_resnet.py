from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pipeline_lib import tree
from pipeline_lib.networks.resnet import resnet_cifar


def _tiny() -> nn.Sequential:
    return resnet_cifar((1, 8, 8), 3, blocks=1, width=1)


def test_resnet_20_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in resnet_cifar((3, 32, 32), 10, blocks=3, width=16).parameters()) == 272_474


@pytest.mark.parametrize(("blocks", "layers"), [(1, 8), (3, 20), (5, 32)])
def test_the_number_of_weight_layers(blocks, layers):
    network = resnet_cifar((3, 32, 32), 10, blocks, width=1)
    weights = [name for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in name]
    assert len(weights) == layers


def test_the_stem_is_affine_in_its_parameters():
    stem, x = _tiny()[0].double(), torch.rand(2, 1, 8, 8, dtype=torch.float64)
    first, second = ({n: torch.full_like(p, value) for n, p in stem.named_parameters()} for value in (0.3, -2.0))
    mixed = functional_call(stem, tree.lerp(first, second, 0.7), (x,))
    ends = [functional_call(stem, params, (x,)) for params in (first, second)]
    torch.testing.assert_close(mixed, torch.lerp(ends[0], ends[1], 0.7), rtol=0, atol=1e-12)


def test_forward_is_the_body_after_the_stem():
    network, x = _tiny().eval(), torch.rand(2, 1, 8, 8)
    assert [name for name, _ in network.named_children()] == ["stem", "body"]
    assert torch.equal(network(x), network[1](network[0](x)))
    assert network(x).shape == (2, 3)


def test_only_the_first_blocks_of_later_stages_project():
    network = resnet_cifar((3, 16, 16), 10, blocks=2, width=2)
    projecting = [name for name, m in network[1].named_children() if isinstance(getattr(m, "shortcut", None), nn.Sequential)]
    assert projecting == ["stage2_block1", "stage3_block1"]


def test_each_later_stage_halves_the_image_and_doubles_the_filters():
    network, shapes = resnet_cifar((1, 8, 8), 3, blocks=1, width=2), []
    for i in (1, 2, 3):
        block = network[1].get_submodule(f"stage{i}_block1")
        block.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[1:])))
    network.eval()(torch.rand(1, 1, 8, 8))
    assert shapes == [(2, 8, 8), (4, 4, 4), (8, 2, 2)]
