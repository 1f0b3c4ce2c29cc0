"""A device that is none: tensors that are put there refuse to be mixed with the CPU's and to become numpy arrays, as a GPU's do.

Their memory is the CPU's, and so are all numbers: what runs there must give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline_lib.store import device
from pipeline_lib.training import evaluation
from pipeline_lib.training.precision import Numerics

SECOND, CPU = torch.device("privateuseone"), torch.device("cpu")  # a name that every build of torch knows and optimisers take
_COPY, _INDEX = torch.ops.aten.copy_.default, torch.ops.aten.index.Tensor


class _There:
    """Which memory lies on the second device."""

    def __init__(self) -> None:
        self._memory: dict[int, StorageWeakRef] = {}  # a weak reference keeps the number from being given to another
        self._purge = 10_000

    def has(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._memory

    def put(self, tensor: Tensor, there: bool) -> Tensor:
        storage = tensor.untyped_storage()
        if not there:
            self._memory.pop(storage._cdata, None)
        else:
            self._memory[storage._cdata] = StorageWeakRef(storage)
        if len(self._memory) > self._purge:
            self._memory = {number: ref for number, ref in self._memory.items() if not ref.expired()}
            self._purge = 2 * len(self._memory) + 10_000
        return tensor


class _Operations(TorchDispatchMode):
    """Refuses operations on tensors of both devices, but for numbers of the CPU; results are where what they come from is."""

    def __init__(self, there: _There) -> None:
        super().__init__()
        self._there = there

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        away = [self._there.has(tensor) for tensor in given]
        # A copy goes from one device to the other, and the CPU's numbers may choose among what lies elsewhere.
        if any(away) and not (function == _COPY or (function == _INDEX and away[0])):
            here = [tuple(t.shape) for t, is_away in zip(given, away, strict=True) if not is_away and t.dim()]
            if here:
                raise RuntimeError(f"Expected all tensors to be on the same device, got {function} with {here} on the CPU")
        found = function(*args, **(kwargs or {}))
        known = {tensor.untyped_storage()._cdata for tensor in given}
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in known:
                self._there.put(leaf, any(away))
        return found


class _Calls(TorchFunctionMode):
    """Answers what is asked of a tensor's device, and moves."""

    def __init__(self, there: _There) -> None:
        super().__init__()
        self._there = there

    def _moved(self, tensor: Tensor, there: bool) -> Tensor:
        return tensor if self._there.has(tensor) == there else self._there.put(tensor.clone(), there)

    def _to(self, tensor: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        there, rest = self._there.has(tensor), []
        options = dict(kwargs)
        for each in (*args, *([options.pop("device")] if "device" in options else [])):
            if isinstance(each, Tensor):
                there = self._there.has(each)
                rest.append(each.dtype)
            elif isinstance(each, (str, torch.device)):
                there = torch.device(each) == SECOND
            else:
                rest.append(each)
        return self._moved(tensor.to(*rest, **options) if rest or options else tensor, there)

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if first is not None:
            if function == Tensor.device.__get__:
                return SECOND if self._there.has(first) else CPU
            if name in ("numpy", "__array__") and self._there.has(first):
                raise TypeError("can't convert a tensor of the second device to numpy. Use Tensor.cpu() first")
            if name == "cpu":
                return self._moved(first, there=False)
            if name == "to":
                return self._to(first, args[1:], kwargs)
        if "device" in kwargs and kwargs["device"] is not None:
            there = torch.device(kwargs["device"]) == SECOND
            if there and kwargs.get("generator") is not None:
                raise RuntimeError("Expected a generator of the second device, got the CPU's")
            return self._there.put(function(*args, **kwargs | {"device": CPU}), there)
        return function(*args, **kwargs)


@contextmanager
def second_device() -> Iterator[None]:
    """Make jobs take the second device for theirs."""
    there = _There()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(device, "pick", lambda numerics: SECOND)
        patch.setitem(evaluation._CHUNK_BYTES, SECOND.type, evaluation._CHUNK_BYTES["cpu"])
        autocast = Numerics.autocast
        patch.setattr(Numerics, "autocast", lambda self, place: autocast(self, CPU))
        stack.enter_context(_Operations(there))
        stack.enter_context(_Calls(there))
        yield
