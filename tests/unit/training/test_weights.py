from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.weights import Weights

BF16 = Numerics("bf16")


class _Tied(nn.Module):
    """An embedding and a linear layer that share their weight; a parameter of its own; a layer of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out, self.own = nn.Embedding(5, 3), nn.Linear(3, 5), nn.Parameter(torch.zeros(3))
        self.out.weight = self.table.weight


def test_what_is_halved_is_what_autocast_casts_and_nothing_else():
    assert BF16.halved(toys.norm_net()) == ["stem.weight", "body.fc.weight", "body.fc.bias"]
    assert BF16.halved(_Tied()) == ["out.bias"]
    assert BF16.halved(nn.Linear(2, 2)) == ["weight", "bias"]
    assert [Numerics(other).halved(toys.norm_net()) for other in ("fp32", "tf32")] == [[], []]


@pytest.mark.parametrize("channels_last", [False, True])
def test_halves_follow_the_vector_and_gradients_come_back_in_its_order(channels_last):
    numerics = Numerics("bf16", channels_last)
    params = numerics.lay_all({"a": torch.rand(2, 3, 2, 2), "b": torch.rand(3), "c": torch.rand(4, 2)})
    weights = Weights(params, ["a", "c"])
    with torch.no_grad():
        weights.vector.mul_(1 / 3)
    seen = weights.seen()
    assert [tensor.dtype for tensor in seen.values()] == [torch.bfloat16, torch.float32, torch.bfloat16]
    for name, tensor in seen.items():
        assert tensor.stride() == params[name].stride()
        assert torch.equal(tensor, (params[name] * torch.tensor(1 / 3)).to(tensor.dtype))
    weights.collect([tensor.detach() * 2 for tensor in seen.values()])
    expected = {name: (tensor.detach() * 2).float() for name, tensor in seen.items()}
    assert torch.equal(weights.gradient, Weights(expected).vector)


def test_what_is_begun_from_is_not_changed():
    params = {"a": torch.ones(3)}
    Weights(params).vector.zero_()
    assert params["a"].tolist() == [1, 1, 1]
