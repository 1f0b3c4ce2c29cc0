"""What each module does by itself when it is built."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import State

_NAMES = ("reset_parameters", "_reset_parameters")  # the second is that of torch's attention


def _reset(module: nn.Module) -> Callable[[], None] | None:
    return next((getattr(module, name) for name in _NAMES if callable(getattr(module, name, None))), None)


def _undrawn(network: nn.Module) -> list[str]:
    return [name for name, tensor in network.named_parameters() if bool(tensor.isnan().any())]


def own_reset(network: nn.Module, generator: torch.Generator) -> State:
    """Draw each module's parameters by its own `reset_parameters`, the innermost modules first, as when they were built.

    So there may be layers of any kind: LayerNorm, GroupNorm, embeddings, attention, and a user's own. All draws depend on
    the generator alone, and torch's global random numbers stay as they were.

    Args:
        network: template.
        generator: where the draws come from; one number is taken.

    Raises:
        ValueError: a parameter belongs to a module that has no such function, or whose function leaves it out.
    """
    own = copy.deepcopy(network).to_empty(device="cpu")
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for tensor in own.parameters():
            tensor.fill_(torch.nan)
        for module in reversed(list(own.modules())):
            reset = _reset(module)
            if reset:
                reset()
    if undrawn := _undrawn(own):
        kind = type(own.get_submodule(undrawn[0].rpartition(".")[0])).__name__
        rule = "parameters must be set by reset_parameters of the module that has them"
        raise ValueError(f"{rule}, got {undrawn[0]} of {kind} unset; write that function, or register an initialiser")
    params: dict[str, Tensor] = {name: tensor.detach() for name, tensor in own.named_parameters()}
    return State(params, buffers)
