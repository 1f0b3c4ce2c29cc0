"""Networks and masks that others have written: torch's files, Lightning's, and plain safetensors. Nothing in them can run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_lib.core import files

if TYPE_CHECKING:
    from torch import Tensor

_WITHIN = ("state_dict", "model_state_dict", "model")  # where checkpoints that have more keep tensors; the first is Lightning's
_FOREIGN = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError)
# How torch.nn.utils.prune writes a pruned tensor: what it was, and what is kept of it.
_ORIGINAL, _MASK = "_orig", "_mask"
_FEW = 8  # names that an error lists


def _load(file: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        file.open("rb").close()
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise files.refusal(file, error, "checkpoint", "check its path") from None
    except (SafetensorError, *_FOREIGN) as error:
        # What torch and pickle say of a file that is none of theirs is about themselves.
        why = str(error).splitlines()[0] if isinstance(error, SafetensorError) else "more than tensors, or another kind of file"
        rule = f"checkpoint {file} must be a state dict, of torch's or in safetensors"
        raise ValueError(f"{rule}, got: {why}; save it as torch.save(network.state_dict(), file)") from None


def _by_name(file: Path) -> dict[str, Tensor]:
    """Read the tensors that a file has by name, as they stand there."""
    import torch

    found = _load(file)
    for name in _WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not all(isinstance(each, torch.Tensor) for each in found.values()):
        rule = f"checkpoint {file} must hold tensors by name, got {type(found).__name__}"
        raise ValueError(f"{rule}; save it as torch.save(network.state_dict(), file)")
    return {str(name): tensor for name, tensor in found.items()}


def tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name: of a state dict, or of one that the checkpoint has beside other things.

    Args:
        file: a `.safetensors`, or whatever `torch.save` wrote of plain tensors, such as Lightning's `.ckpt`.

    Raises:
        ValueError: it cannot be read, or holds no state dict, such as a whole pickled network.
    """
    found = _by_name(file)
    shapes = {name: tuple(each.shape) for name, each in found.items()}
    for name, shape in shapes.items():
        kept = shapes.get(name.removesuffix(_ORIGINAL) + _MASK, shape)
        if name.endswith(_ORIGINAL) and kept != shape:
            rule = f"checkpoint {file} must have masks of their tensors' shapes"
            raise ValueError(f"{rule}, got {kept} for {name} of {shape}; prune and save it anew")
    return _unpruned(found)


def _unpruned(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give pruned tensors their own names, with zeros where they are pruned."""
    pruned = [name.removesuffix(_ORIGINAL) for name in found if name.endswith(_ORIGINAL)]
    whole = {name: found[name + _ORIGINAL] * found[name + _MASK] for name in pruned if name + _MASK in found}
    left = {name: each for name, each in found.items() if name.removesuffix(_ORIGINAL).removesuffix(_MASK) not in whole}
    return left | whole


def fitted(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Give a checkpoint's tensors the names that a network has for them: what it was wrapped in is left out.

    Args:
        found: tensors of the checkpoint.
        expected: the network's state dict.
        file: for errors.

    Raises:
        ValueError: a tensor is missing, has another shape, or there is one too many under the same prefix; they are listed.
    """
    if not expected:
        raise ValueError(f"network must have tensors to read {file} into, got none; build it as it was trained")
    first = next(iter(expected))
    starts = [name.removesuffix(first) for name in found if name == first or name.endswith(f".{first}")]
    for start in starts:
        own = {name.removeprefix(start): tensor for name, tensor in found.items() if name.startswith(start)}
        if own.keys() == expected.keys():
            if odd := misfits(own, expected):
                raise _misfit(file, odd)
            return own
    words = [f"no {name}" for name in sorted(expected.keys() - found.keys())]
    raise _misfit(file, words + [f"{name}, which it lacks" for name in sorted(found.keys() - expected.keys())])


def misfits(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Word each tensor whose shape is not the expected one of its name."""
    shapes = {name: (tuple(each.shape), tuple(expected[name].shape)) for name, each in found.items()}
    return [f"{name} of {own} for {wanted}" for name, (own, wanted) in shapes.items() if own != wanted]


def listed(words: Sequence[str]) -> str:
    """Join the first few of what does not fit, and say how many more there are."""
    more = [f"{len(words) - _FEW} more"] if len(words) > _FEW else []
    *first, last = [*words[:_FEW], *more]
    return f"{', '.join(first)} and {last}" if first else last


def _misfit(file: Path, words: Sequence[str]) -> ValueError:
    return ValueError(f"checkpoint {file} must fit the network, got {listed(words)}; build it as it was trained")


def mask(file: Path) -> dict[str, Any]:
    """Read a mask by parameter: true, or 1, where a weight is kept.

    Args:
        file: as for `tensors`; of `torch.nn.utils.prune` the `..._mask` of a checkpoint.

    Raises:
        ValueError: it cannot be read, or has other values.
    """
    found = _by_name(file)
    marked = {name.removesuffix(_MASK): each for name, each in found.items() if name.endswith(_MASK)} or found
    if not marked:
        raise ValueError(f"mask {file} must have tensors by parameter, got none; write what is kept of each")
    for name, each in marked.items():
        if not bool(((each == 0) | (each == 1)).all()):
            raise ValueError(f"mask {file} must be true or false, 1 or 0, got another value in {name}; write what is kept")
    return {name: each.bool().numpy() for name, each in marked.items()}
