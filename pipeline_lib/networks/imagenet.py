"""Networks made for ImageNet, by torchvision, cut into stem and body."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Literal

from torch import Tensor, nn

from pipeline_lib.core.torchvision_import import torchvision_models


def _check_channels(input_shape: Sequence[int]) -> None:
    if input_shape[0] != 3:
        raise ValueError(f"input_shape must have 3 channels, got {input_shape[0]}; this network takes colour images")


def _cut(stem: nn.Conv2d, parts: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(stem=stem, body=nn.Sequential(OrderedDict(parts))))


def _resnet(name: str, input_shape: Sequence[int], num_classes: int, stem: str) -> nn.Sequential:
    _check_channels(input_shape)
    whole = getattr(torchvision_models(), name)(num_classes=num_classes)
    parts = dict(whole.named_children())
    first = parts.pop("conv1")
    if stem == "cifar":
        first = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        del parts["maxpool"]
    head = parts.pop("fc")
    return _cut(first, [*parts.items(), ("flatten", nn.Flatten()), ("fc", head)])


def resnet18(input_shape: Sequence[int], num_classes: int, stem: Literal["imagenet", "cifar"] = "imagenet") -> nn.Sequential:
    """Build ResNet-18.

    Args:
        input_shape: (3, H, W) of one example.
        num_classes: number of outputs.
        stem: "imagenet" (7x7, stride 2, max-pooling; also what paper A trains on CIFAR-10, A-X1) or "cifar" (3x3, stride 1, as
            paper C on CIFAR-100, C-X12).

    Source: He et al., 2016; torchvision.
    """
    return _resnet("resnet18", input_shape, num_classes, stem)


def resnet50(input_shape: Sequence[int], num_classes: int, stem: Literal["imagenet", "cifar"] = "imagenet") -> nn.Sequential:
    """Build ResNet-50 with its strides on the 3x3 convolutions; arguments as for `resnet18`. Source: torchvision."""
    return _resnet("resnet50", input_shape, num_classes, stem)


class _WithAuxiliary(nn.Module):
    """A trunk, its tail, and a second head on the trunk that only training sees."""

    def __init__(self, trunk: nn.Sequential, tail: nn.Sequential, auxiliary: nn.Module) -> None:
        super().__init__()
        self.trunk, self.tail, self.auxiliary = trunk, tail, auxiliary

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        hidden = self.trunk(x)
        logits = self.tail(hidden)
        return (logits, self.auxiliary(hidden)) if self.training else logits


def inception_v3(input_shape: Sequence[int], num_classes: int) -> nn.Sequential:
    """Build Inception-v3 with its auxiliary head, whose loss counts in training alone.

    Args:
        input_shape: (3, H, W) of one example; H and W of 299 or more: the auxiliary head takes no less.
        num_classes: number of outputs.

    Source: Szegedy et al., 2016; torchvision; paper B, Table 1 (27.1M parameters with the auxiliary head).
    Differs: no dropout before the last layer, so that training depends on the order alone.
    """
    _check_channels(input_shape)
    if min(input_shape[1:]) < 299:
        raise ValueError(f"input_shape must be 299 pixels or more a side, got {tuple(input_shape[1:])}; use larger images")
    whole = torchvision_models().inception_v3(weights=None, num_classes=num_classes, init_weights=False, transform_input=False)
    parts = dict(whole.named_children())
    first, auxiliary = parts.pop("Conv2d_1a_3x3"), parts.pop("AuxLogits")
    head = parts.pop("fc")
    parts.pop("dropout")
    names = list(parts)
    cut = names.index("Mixed_7a")
    trunk = [("bn", first.bn), ("relu", nn.ReLU(inplace=True)), *((name, parts[name]) for name in names[:cut])]
    tail = [*((name, parts[name]) for name in names[cut:]), ("flatten", nn.Flatten()), ("fc", head)]
    body = _WithAuxiliary(nn.Sequential(OrderedDict(trunk)), nn.Sequential(OrderedDict(tail)), auxiliary)
    return nn.Sequential(OrderedDict(stem=first.conv, body=body))
