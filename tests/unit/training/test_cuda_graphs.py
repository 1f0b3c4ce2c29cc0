from __future__ import annotations

import gc
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from pipeline_lib.training.cuda_graphs import WARM_UP, Replay


def test_on_a_cpu_the_work_is_called_each_time():
    calls: list[int] = []
    replay = Replay(torch.device("cpu"))
    with replay.queue():
        for _ in range(5):
            replay(lambda: calls.append(1))
    assert len(calls) == 5


@pytest.fixture
def cuda(monkeypatch):
    """A stand-in for CUDA's streams and graphs that writes down what happens."""
    events: list[str] = []

    class Stream:
        def __init__(self, device: torch.device) -> None:
            events.append("new queue")

        def wait_stream(self, other: object) -> None:
            events.append("wait")

    @contextmanager
    def stream(queue: Stream):
        events.append("in")
        yield
        events.append("out")

    @contextmanager
    def graph(recording: object, stream: Stream, capture_error_mode: str):
        events.append("record")
        yield
        events.append("recorded")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: events.append("replay")))
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return events


def test_on_a_cuda_device_the_work_is_called_to_warm_up_recorded_once_and_replayed(cuda):
    replay = Replay(torch.device("cuda"))
    with replay.queue():
        for _ in range(WARM_UP + 3):
            replay(lambda: cuda.append("work" if gc.isenabled() else "undisturbed work"))
    recorded = ["record", "undisturbed work", "recorded"]
    assert gc.isenabled()
    assert cuda == ["new queue", "wait", "in", *["work"] * WARM_UP, *recorded, *["replay"] * 3, "out"]
