"""How much each weight passes on, whatever the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.analysis.curvature import Batches
from pipeline_lib.core.types import Mask, State, Tensors


def _absolute(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.double().abs() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def synaptic_flow(network: nn.Module, state: State, batches: Batches, mask: Mask) -> dict[str, Tensor]:
    """Compute `dR/d|w|`, where R is the sum of the outputs for an image of ones when each parameter is its absolute value.

    Of the data only the shape of an image matters. In float64, because R grows with the product of all layers' widths; BatchNorm
    in eval mode, with the absolute values of its statistics.

    Source: Tanaka, Kunin, Yamins and Ganguli, Pruning neural networks without any data by iteratively conserving synaptic flow,
    2020; biases and BatchNorm as in the authors' code.
    """
    network.eval()
    x, _ = next(iter(batches()))
    params, buffers = _absolute(state.params), _absolute(state.buffers)
    leaves = {name: params[name].requires_grad_() for name in mask}
    with torch.enable_grad():
        flow = functional_call(network, {**params, **leaves, **buffers}, (torch.ones_like(x[:1], dtype=torch.float64),)).sum()
        found = torch.autograd.grad(flow, list(leaves.values()))
    kept = {name: torch.from_numpy(keep).to(x.device) for name, keep in mask.items()}
    return {name: torch.where(kept[name], each, 0) for name, each in zip(leaves, found, strict=True)}
