"""Repeating the same device work without the host: CUDA graphs, and plain calls where there is no such device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

WARM_UP = 3  # plain calls before a recording: cuDNN chooses its algorithms and the optimiser makes its slots


class Replay:
    """Calls a function again and again; on a CUDA device, records its kernels once and replays them.

    The function must work on tensors that stay where they are and never ask the device for a value.

    Args:
        work: the function.
        device: where it works.
    """

    def __init__(self, work: Callable[[], None], device: torch.device) -> None:
        self._work, self._num_calls = work, 0
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

    def __call__(self) -> None:
        """Do the work once. Call it inside `queue()`."""
        if self._stream is None or self._num_calls < WARM_UP:
            self._work()
        else:
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                    self._work()
            self._graph.replay()
        self._num_calls += 1
