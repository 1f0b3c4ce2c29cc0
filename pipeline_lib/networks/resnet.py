"""CIFAR-style residual networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core.values import Blocks, Count


class _Block(nn.Module):
    """Two 3x3 convolutions; the shortcut is a strided 1x1 convolution where the shape changes."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or num_in != num_out:
            conv = nn.Conv2d(num_in, num_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(num_out)))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(out)).add_(self.shortcut(x)), inplace=True)


class _Pool(nn.Module):
    """Global average pooling to a vector."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def resnet_cifar(input_shape: Sequence[int], num_classes: int, blocks: Blocks = 3, width: Count = 16) -> nn.Sequential:
    """Build a three-stage residual network with `6 * blocks + 2` weight layers.

    Args:
        input_shape: (C, H, W) of one example; H and W of 8 or more.
        num_classes: number of outputs.
        blocks: residual blocks a stage; 3 makes ResNet-20.
        width: filters of the first stage; the later ones have twice and four times as many.

    Source: He et al., 2016, section 4.2, with projection shortcuts; paper B, Table 1 (ResNet-20: 274K parameters).
    """
    stem = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False)
    body: OrderedDict[str, nn.Module] = OrderedDict(bn=nn.BatchNorm2d(width), relu=nn.ReLU())
    num_in = width
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            body[f"stage{stage + 1}_block{block + 1}"] = _Block(num_in, width * 2**stage, stride)
            num_in = width * 2**stage
    body["pool"] = _Pool()
    body["fc"] = nn.Linear(num_in, num_classes)
    return nn.Sequential(OrderedDict(stem=stem, body=nn.Sequential(body)))


def resnet_strided(
    input_shape: Sequence[int], num_classes: int, blocks: Blocks = 1, width: Count = 16, stride: Count = 2
) -> nn.Sequential:
    """Build a `resnet_cifar` whose stem moves `stride` pixels at a time, so that all that follows costs its square less.

    Args:
        input_shape: (C, H, W) of one example; H and W of at least 8 times `stride`.
        num_classes: number of outputs.
        blocks: residual blocks a stage; 1 makes ResNet-8.
        width: filters of the first stage.
        stride: of the stem, whose filters see a pixel more on each side; 1 makes `resnet_cifar`.
    """
    network = resnet_cifar(input_shape, num_classes, blocks, width)
    network[0] = nn.Conv2d(input_shape[0], width, stride + 2, stride, padding=1, bias=False)
    return network
