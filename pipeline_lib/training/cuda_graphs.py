"""Repeating the same device work without the host: CUDA graphs, and plain calls where there is no such device."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

WARM_UP = 3  # plain calls before a recording: cuDNN chooses its algorithms and the optimiser makes its slots


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Python not look for cycles in a block that records: freeing another graph there would spoil the recording."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Replay:
    """Calls a function again and again; on a CUDA device, records its kernels once and replays them.

    The function must work on tensors that stay where they are and never ask the device for a value. It is not kept, as who has
    both would then be freed, with the memory of its graph, only when Python looks for cycles.

    Args:
        device: where it works.
    """

    def __init__(self, device: torch.device) -> None:
        self._num_calls = 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(device))

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Send the device work of a block to this function's own queue, beside those of others."""
        if self._stream is None:
            yield
        else:
            with torch.cuda.stream(self._stream):
                yield

    def finish(self) -> None:
        """Wait until all that was sent to the queue is done, so that other queues may read it."""
        if self._stream:
            self._stream.synchronize()

    def __call__(self, work: Callable[[], None]) -> None:
        """Do the work once, always the same. Call it inside `queue()`."""
        if self._stream is None or self._num_calls < WARM_UP:
            work()
        else:
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                with undisturbed(), torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                    work()
            self._graph.replay()
        self._num_calls += 1
