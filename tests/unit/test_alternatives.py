"""Other ways to do the steps of a cohort agree with a graph a member, for every kind of CIFAR network, within rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from recorded import Emulated, Recording
from torch import nn

from benchmarks import cifar_shaped
from benchmarks.gpu import alternatives
from benchmarks.gpu.bench import Asked, numerics
from benchmarks.gpu.checks import LOSS, SECOND
from pipeline_lib.networks import vgg
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.networks.wide_resnet import wide_resnet
from pipeline_lib.training.cuda_graphs import Replay

NETWORKS: dict[str, Callable[..., nn.Sequential]] = {
    "resnet": partial(resnet_cifar, blocks=1, width=4),
    "vgg": partial(vgg.vgg, depth=13),
    "wide resnet": partial(wide_resnet, depth=10, widen=1),
}
WAYS = [("vmap", "fp32"), ("one graph", "fp32"), ("one graph", "bf16"), ("compiled", "fp32")]  # a CPU has no `vmap` in bf16


@dataclass(frozen=True)
class Narrow(Asked):
    """A rehearsal with a narrow network of a kind."""

    kind: str = "resnet"

    def network(self) -> nn.Sequential:
        return NETWORKS[self.kind](cifar_shaped.SHAPE, 10)


class Graph:
    """A CUDA graph on the CPU; what is recorded has been done by then, unlike on a GPU."""

    def __init__(self) -> None:
        self.recording, self._done = Recording(), True

    def replay(self) -> None:
        if not self._done:
            self.recording.replay()
        self._done = False


class Stream:
    """A queue: on the CPU, all is in order."""

    def wait_stream(self, other: Stream) -> None:
        """Do nothing."""


@contextmanager
def _graph(graph: Graph, stream: Stream, capture_error_mode: str) -> Iterator[None]:
    with graph.recording:
        yield


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(vgg, "_WIDTHS", (4, 8, 8, 8, 8))
    monkeypatch.setattr(alternatives, "Replay", Emulated)
    fake = {
        "Stream": Stream,
        "stream": lambda stream: nullcontext(),
        "CUDAGraph": Graph,
        "graph": _graph,
        "current_stream": Stream,
    }
    for name, stands in fake.items():
        monkeypatch.setattr(torch.cuda, name, stands)


def _apart(way: str, kind: str, precision: str, change: Callable[[], None] = lambda: None) -> tuple[float, float]:
    """Compare a way's first two losses with those of a graph a member, relatively."""
    asked, how = Narrow(torch.device("cpu"), Path(), Path(), 0.0, True, kind), numerics(precision)
    truth = alternatives.losses("recorded", asked.dataset(), asked, how)
    change()
    first, second = ((alternatives.losses(way, asked.dataset(), asked, how) - truth) / truth).abs().tolist()
    return first, second


def _assert_agrees(monkeypatch: pytest.MonkeyPatch, way: str, kind: str, precision: str) -> None:
    def call() -> None:
        if way == "compiled":  # the compiler's work is not to be written down
            monkeypatch.setattr(alternatives, "Replay", Replay)

    first, second = _apart(way, kind, precision, call)
    assert first < LOSS[precision]
    assert second < SECOND * LOSS[precision]


@pytest.mark.parametrize(("way", "precision"), WAYS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_ways_agree(monkeypatch, way, precision, kind):
    # The compiler's graphs without its kernels, which take a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    _assert_agrees(monkeypatch, way, kind, precision)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, by its compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_compilers_kernels_agree(monkeypatch, kind, precision):
    _assert_agrees(monkeypatch, "compiled", kind, precision)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_graph_a_member_is_what_calls_are(kind):
    assert _apart("called", kind, "fp32") == (0, 0)


@pytest.mark.parametrize("name", ["RATE", "DECAY"])
def test_a_way_that_updates_otherwise_is_found_out(monkeypatch, name):
    first, second = _apart("vmap", "resnet", "fp32", lambda: monkeypatch.setattr(alternatives, name, 0.05))
    assert first < LOSS["fp32"]
    assert second > SECOND * LOSS["fp32"]
