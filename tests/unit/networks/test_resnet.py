from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pipeline_lib.core import algebra
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.torchvision_import import torchvision_models
from pipeline_lib.networks.resnet import resnet_cifar, resnet_strided


def _tiny() -> nn.Sequential:
    return resnet_cifar((1, 8, 8), 3, blocks=1, width=1)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"blocks": 3}, 272_474),
        ({"blocks": 5}, 466_906),
        ({"blocks": 9}, 855_770),
        ({"blocks": 18}, 1_730_714),
        ({"blocks": 2, "width": 128}, 11_093_130),
    ],
)
def test_parameter_counts(options, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in resnet_cifar((3, 32, 32), 10, **options).parameters()) == count


@pytest.mark.parametrize(("blocks", "layers"), [(1, 8), (3, 20), (5, 32), (9, 56), (18, 110)])
def test_the_number_of_weight_layers(blocks, layers):
    network = resnet_cifar((3, 32, 32), 10, blocks, width=1)
    weights = [name for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in name]
    assert len(weights) == layers


def test_the_stem_is_affine_in_its_parameters():
    stem, x = _tiny()[0].double(), torch.rand(2, 1, 8, 8, dtype=torch.float64)
    first, second = ({n: torch.full_like(p, value) for n, p in stem.named_parameters()} for value in (0.3, -2.0))
    mixed = functional_call(stem, algebra.lerp(first, second, 0.7), (x,))
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


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_strided_stem_makes_the_image_smaller_and_all_else_is_as_in_resnet_cifar(stride):
    plain, strided = resnet_cifar((3, 32, 32), 10, blocks=1, width=2), resnet_strided((3, 32, 32), 10, width=2, stride=stride)
    assert strided[0](torch.rand(1, 3, 32, 32)).shape == (1, 2, 32 // stride, 32 // stride)
    assert [(n, p.shape) for n, p in strided[1].named_parameters()] == [(n, p.shape) for n, p in plain[1].named_parameters()]
    assert (strided[0].weight.shape == plain[0].weight.shape) == (stride == 1)
    assert strided.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def _torchvisions(block: nn.Module) -> nn.Module:
    """torchvision's basic block, with the same weights and statistics."""
    conv, downsample = block.conv1, None
    if isinstance(block.shortcut, nn.Sequential):
        downsample = nn.Sequential(nn.Conv2d(conv.in_channels, conv.out_channels, 1, conv.stride, bias=False))
        downsample.append(nn.BatchNorm2d(conv.out_channels))
    theirs = torchvision_models().resnet.BasicBlock(conv.in_channels, conv.out_channels, conv.stride, downsample)
    named = {n.replace("shortcut.conv", "downsample.0").replace("shortcut.bn", "downsample.1") for n in block.state_dict()}
    assert named == set(theirs.state_dict())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), block.state_dict().values(), strict=True)))
    return theirs


def _scramble_norms(network: nn.Module) -> nn.Module:
    generator = torch_generator("norms")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
    return network


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["stage1_block1", "stage2_block1", "stage2_block2"])
def test_a_block_is_torchvisions_basic_block(name, training):
    network = _scramble_norms(resnet_cifar((3, 16, 16), 10, blocks=2, width=4)).train(training)
    block = network[1].get_submodule(name)
    theirs = _torchvisions(block).train(training)
    x = torch.randn((3, block.conv1.in_channels, 8, 8), generator=torch_generator("x"))
    assert torch.equal(block(x.clone()), theirs(x.clone()))
