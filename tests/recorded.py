"""A CUDA graph on the CPU: the operations of a piece of work are written down once and done again on the same memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline_lib.training.cuda_graphs import WARM_UP, Replay

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique")  # for a value, or for a shape that depends on values
NO_WORK = ("profiler", "empty")  # marks, and memory alone


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class Recording(TorchDispatchMode):
    """Writes down each operation that works on memory, below autograd and views aside; refuses those that make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, Any, Any, Any]] = []
        self._alive: list[Any] = []  # all memory stays where it is, as in a graph

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(word in str(function) for word in WAITING), f"{function} makes the host wait in the middle of a step"
        found = function(*args, **(kwargs or {}))
        self._alive.append((args, kwargs, found))
        known = {_memory(tensor) for tensor in _tensors((args, kwargs))}
        makes = any(tensor.numel() and _memory(tensor) not in known for tensor in _tensors(found))
        writes = any(each.alias_info is not None and each.alias_info.is_write for each in function._schema.arguments)
        if (makes or writes) and not any(word in str(function) for word in NO_WORK):
            self._calls.append((function, args, kwargs or {}, found))
        return found

    def launches(self) -> Counter[str]:
        """Count the operations: on a GPU each starts a kernel, or a few."""
        return Counter(str(function) for function, *_ in self._calls)

    @torch.no_grad()
    def replay(self) -> None:
        """Do all again, with results where they were."""
        for function, args, kwargs, found in self._calls:
            for old, new in zip(_tensors(found), _tensors(function(*args, **kwargs)), strict=True):
                if _memory(old) != _memory(new):
                    old.detach().copy_(new)


class Emulated(Replay):
    """Calls, records and replays as on a CUDA device."""

    recording: Recording | None = None

    def __call__(self, work: Callable[[], None]) -> None:
        if self._num_calls < WARM_UP:
            work()
        elif self.recording is None:
            self.recording = Recording()
            with self.recording:  # unlike a GPU's, this recording works
                work()
        else:
            self.recording.replay()
        self._num_calls += 1
