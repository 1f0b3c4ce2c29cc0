"""Wide residual networks in their original, pre-activation form."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core.values import Count, In


class _Block(nn.Module):
    """BatchNorm, ReLU and a 3x3 convolution, twice; where widths differ, a 1x1 convolution of the activated input beside."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(num_in)
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(num_in, num_out, 1, stride, bias=False) if num_in != num_out else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active)), inplace=True))
        return out + (self.shortcut(active) if self.shortcut is not None else x)


def wide_resnet(
    input_shape: Sequence[int], num_classes: int, depth: Annotated[int, In("[10, 1000]", step=6)] = 16, widen: Count = 8
) -> nn.Sequential:
    """Build WRN-depth-widen with pre-activation blocks.

    Args:
        input_shape: (C, H, W) of one example; H and W of 8 or more.
        num_classes: number of outputs.
        depth: weight layers, 6 n + 4 with n blocks a stage.
        widen: factor on the widths 16, 32, 64.

    Source: Zagoruyko & Komodakis, 2016 (WRN-16-8: 10.96M parameters). Paper A's 11.1M fit
        `resnet_cifar(blocks=2, width=128)` instead (ambiguity A-X3).
    """
    body: OrderedDict[str, nn.Module] = OrderedDict()
    num_in = 16
    for stage in range(3):
        for block in range((depth - 4) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            body[f"stage{stage + 1}_block{block + 1}"] = _Block(num_in, 16 * widen * 2**stage, stride)
            num_in = 16 * widen * 2**stage
    body |= {"bn": nn.BatchNorm2d(num_in), "relu": nn.ReLU(inplace=True), "pool": nn.AdaptiveAvgPool2d(1)}
    body |= {"flatten": nn.Flatten(), "fc": nn.Linear(num_in, num_classes)}
    stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
    return nn.Sequential(OrderedDict(stem=stem, body=nn.Sequential(body)))
