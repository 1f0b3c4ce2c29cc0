from __future__ import annotations

import gc
import threading

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline_lib.pretexts.rotations import rotation
from pipeline_lib.pretexts.support.streams import stream
from pipeline_lib.store.job import Preempted
from pipeline_lib.training import epoch_draws
from pipeline_lib.training.epoch_draws import EpochDraws

GPU = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch):
    """A device whose tensors are the CPU's."""
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(Tensor, "to", lambda self, *where, **how: self)


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


@pytest.mark.usefixtures("gpu")
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_epochs_come_in_any_order_as_they_are_drawn(epochs):
    draws = EpochDraws(lambda epoch: torch.tensor([epoch]), GPU)
    assert [draws.at(epoch).item() for epoch in epochs] == epochs


@pytest.mark.usefixtures("gpu")
def test_the_next_epoch_is_drawn_once_and_elsewhere():
    calls = []

    def draw(epoch: int) -> Tensor:
        calls.append((epoch, threading.current_thread() is threading.main_thread()))
        return torch.tensor([epoch])

    draws = EpochDraws(draw, GPU)
    for epoch in (0, 0, 1, 2):
        draws.at(epoch)
    draws._coming[3].result()
    assert calls == [(0, True), (1, False), (2, False), (3, False)]


def test_a_cpu_draws_when_it_must_and_starts_no_thread():
    before, calls = _threads(), []
    EpochDraws(lambda epoch: calls.append(epoch) or torch.zeros(1), torch.device("cpu")).at(2)
    assert (calls, _threads() - before) == ([2], set())


@pytest.mark.usefixtures("gpu")
def test_an_error_is_told_where_its_epoch_is_wanted():
    def draw(epoch: int) -> Tensor:
        if epoch:
            raise ValueError("no such epoch")
        return torch.zeros(1)

    draws = EpochDraws(draw, GPU)
    assert draws.at(0).tolist() == [0]
    with pytest.raises(ValueError, match="no such epoch"):
        draws.at(1)


@pytest.mark.parametrize("error", [None, ValueError, Preempted])
@pytest.mark.parametrize("lessons", [(), (rotation(),)], ids=["plain", "taught"])
def test_threads_end_with_their_run_whichever_way_it_ends(monkeypatch, error, lessons):
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    real = EpochDraws.__init__

    def on_gpu(self, draw, device):
        real(self, draw, device)
        self._pool = epoch_draws.ThreadPoolExecutor(1)

    monkeypatch.setattr(EpochDraws, "__init__", on_gpu)
    before = _threads()

    def run() -> int:
        batches = stream(toys.dataset(), (0, 0), 6, pad=1, lessons=lessons)
        batches.load(0)
        started = len(_threads() - before)
        if error:
            raise error("stopped")
        return started

    if error:
        with pytest.raises(error):
            run()
    else:
        assert run() == 1 + len(lessons)
    gc.collect()
    for thread in _threads() - before:
        thread.join(60)
    assert not _threads() - before
