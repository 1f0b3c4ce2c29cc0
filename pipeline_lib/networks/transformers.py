"""Transformers: of patches of images, and of characters. Their layers draw themselves (`initialisation: {name: own_reset}`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core.values import Blocks, Count


class _Positions(nn.Module):
    """Adds a vector to each place of a sequence (n, places, width)."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(places, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.vectors, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.vectors


class _Attention(nn.Module):
    """Self-attention by its formula: fused kernels have no second derivatives, which curvature takes."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self._heads, self._causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        num, places, width = x.shape
        query, key, value = (
            part(x).view(num, places, self._heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) * (width // self._heads) ** -0.5
        if self._causal:
            later = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return self.out((scores.softmax(3) @ value).transpose(1, 2).reshape(num, places, width))


class _Layer(nn.Module):
    """Attention and a network of one hidden layer, each on a normalised input and added to it (pre-norm)."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads, causal)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class _Tokens(nn.Module):
    """Turns a feature map (n, width, h, w) into a sequence (n, h * w, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class _Mean(nn.Module):
    """Averages a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class _Last(nn.Module):
    """Takes a sequence's last place."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1]


class _Embedding(nn.Module):
    """Looks up the vector of each character of (n, 1, 1, places), which come as numbers in floating point."""

    def __init__(self, num: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x.flatten(1).round().long().clamp(0, self.table.num_embeddings - 1))


def _layers(width: int, heads: int, depth: int, causal: bool) -> OrderedDict[str, nn.Module]:
    if width % heads:
        raise ValueError(f"heads must divide the width {width}, got {heads}; choose another number")
    return OrderedDict((f"layer{i + 1}", _Layer(width, heads, causal)) for i in range(depth))


def vit(
    input_shape: Sequence[int], num_classes: int, patch: Count = 4, width: Count = 64, heads: Count = 4, depth: Blocks = 4
) -> nn.Sequential:
    """Build a vision transformer that averages its places.

    Args:
        input_shape: (C, H, W) of one example.
        num_classes: number of outputs.
        patch: height and width of a patch, pixels; divides H and W.
        width: of each place's vector.
        heads: of attention; divides the width.
        depth: layers.

    Source: Dosovitskiy et al., 2021.
    Differs: no class token, places are averaged (Beyer, Zhai and Kolesnikov, 2022); positions are learned.
    """
    channels, height, across = input_shape
    if height % patch or across % patch:
        raise ValueError(f"patch must divide the images' {height} x {across} pixels, got {patch}; choose another size")
    body: OrderedDict[str, nn.Module] = OrderedDict(tokens=_Tokens())
    body["positions"] = _Positions(height // patch * (across // patch), width)
    body |= _layers(width, heads, depth, causal=False)
    body |= OrderedDict(norm=nn.LayerNorm(width), pool=_Mean(), fc=nn.Linear(width, num_classes))
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(channels, width, patch, patch), body=nn.Sequential(body)))


def character_transformer(
    input_shape: Sequence[int], num_classes: int, width: Count = 64, heads: Count = 4, depth: Blocks = 2
) -> nn.Sequential:
    """Build a causal transformer that predicts the character after a window of characters.

    Args:
        input_shape: (1, 1, places): characters by their numbers, as data set `characters` has them.
        num_classes: how many characters there are.
        width: of each place's vector.
        heads: of attention; divides the width.
        depth: layers.

    Source: Radford et al., 2019, in small.
    """
    body: OrderedDict[str, nn.Module] = OrderedDict(embedding=_Embedding(num_classes, width))
    body["positions"] = _Positions(input_shape[1] * input_shape[2], width)
    body |= _layers(width, heads, depth, causal=True)
    body |= OrderedDict(last=_Last(), norm=nn.LayerNorm(width), fc=nn.Linear(width, num_classes))
    return nn.Sequential(OrderedDict(stem=nn.Identity(), body=nn.Sequential(body)))
