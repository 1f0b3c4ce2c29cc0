"""Networks and masks that were made elsewhere."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import Tensor, nn

from pipeline_lib.core.types import Mask
from pipeline_lib.store import foreign


def _is_finite(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(tensor.isfinite().all())


def checkpoint(network: nn.Module, file: str | Path) -> nn.Module:
    """Read a network's weights from a file: torch's or safetensors' state dict, or a checkpoint that has one (Lightning's).

    What it was wrapped in when it was saved (`module.`, `model.`, `_orig_mod.`) is left out of names, and tensors that
    `torch.nn.utils.prune` had pruned come as they were used.

    Args:
        network: of that architecture; it stays as it is.
        file: its path. Nothing in it can run: it is read with `weights_only`.

    Returns:
        A copy with these weights, in eval mode.

    Raises:
        ValueError: the file cannot be read, does not fit the network, or has a value that is not finite.

    Example:
        >>> checkpoint(digits.network, "nowhere.pt")
        Traceback (most recent call last):
        ValueError: checkpoint nowhere.pt must exist, got no such file; check its path
    """
    own, expected = copy.deepcopy(network), network.state_dict()
    found = foreign.fitted(foreign.tensors(Path(file)), expected, Path(file))
    odd = [name for name, tensor in found.items() if expected[name].is_floating_point() and not _is_finite(tensor)]
    if odd:
        rule = f"checkpoint {file} must have finite floats where the network has"
        raise ValueError(f"{rule}, got others in {foreign.listed(odd)}; take an earlier one")
    own.load_state_dict(found, strict=True)
    return own.eval()


def read_mask(file: str | Path) -> Mask:
    """Read a mask from a file: by parameter, true or 1 where a weight is kept.

    Args:
        file: its path: safetensors, such as `export` writes, or what `torch.save` wrote; also a checkpoint that
            `torch.nn.utils.prune` had pruned.

    Returns:
        Kept entries by parameter.

    Raises:
        ValueError: the file cannot be read, or has other values.

    Example:
        >>> read_mask("nowhere.safetensors")
        Traceback (most recent call last):
        ValueError: checkpoint nowhere.safetensors must exist, got no such file; check its path
    """
    return foreign.mask(Path(file))
