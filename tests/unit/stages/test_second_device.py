"""Every stage on a device that refuses to mix with the CPU: the same bits, and nothing that a GPU would not do."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import every_stage
import pandas as pd
import pytest
import torch
import toys
from second_device import CPU, SECOND, second_device

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.types import Progress
from pipeline_lib.planning import declared, nodes
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Preempted
from pipeline_lib.tables import tabulation
from pipeline_lib.training.loop import _Sums

WITHOUT = ("plot",)  # figures are drawn from tables alone


def _make(made: nodes.Plan, *wanted: nodes.Node) -> None:
    every_stage.make(made, *wanted, without=WITHOUT)


@pytest.fixture(scope="module")
def usual(base: Path) -> nodes.Plan:
    """All artifacts, as the CPU makes them."""
    return every_stage.finished(base).plan


@pytest.fixture
def second() -> Iterator[None]:
    with second_device():
        yield


def _same(first: Path, other: Path) -> bool:
    """Whether two files hold the same numbers."""
    if first.suffix == ".parquet":
        return bool(tabulation.read(first).equals(tabulation.read(other)))
    if first.suffix != ".safetensors":
        return first.read_bytes() == other.read_bytes()
    arrays, others = artifacts.read_arrays(first)[0], artifacts.read_arrays(other)[0]
    return arrays.keys() == others.keys() and all(arrays[name].tobytes() == others[name].tobytes() for name in arrays)


def _assert_same(made: nodes.Plan, usual: nodes.Plan, *wanted: nodes.Node) -> None:
    for node in wanted or made.nodes.values():
        for name in declared.STAGES[node.stage].files if node.stage not in WITHOUT else ():
            file = f"{node.folder}/{name}"
            assert _same(made.config.results / file, usual.config.results / file), f"{file} differs"


@pytest.mark.usefixtures("second")
def test_the_second_device_refuses_the_cpu_and_numpy():
    here = torch.ones(3)
    there = here.to(SECOND)
    assert (here.device.type, there.device, (there[1:] * 2).device, there.cpu().device.type) == ("cpu", SECOND, SECOND, "cpu")
    assert (torch.zeros(2, device=SECOND).device, torch.zeros_like(there).device, there.to(torch.float64).device) == (SECOND,) * 3
    there.copy_(here)
    assert (there + torch.tensor(1.0)).tolist() == [2.0] * 3
    for mix in (lambda: there + here, lambda: torch.cat([here, there]), lambda: here[there.long()]):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix()
    with pytest.raises(TypeError, match="can't convert"):
        there.numpy()


def test_every_stage_is_there(usual):
    assert {node.stage for node in usual.nodes.values()} == set(declared.STAGES)


@pytest.mark.usefixtures("second")
def test_every_stage_gives_the_same_bits_on_another_device(usual, tmp_path):
    made = every_stage.plan(tmp_path)
    _make(made)
    _assert_same(made, usual)


@pytest.mark.parametrize("name", registry.entries("derivatives"))
@pytest.mark.usefixtures("second")
def test_every_derivative_gives_the_same_bits_on_another_device(name):
    network, derivative = toys.norm_net(), registry.entries("derivatives")[name].load()
    mask, state = toys.random_mask(network), toys.scrambled(network)
    batches = [(x.float(), y) for x, y in map(toys.DoubleStream().at, range(3))]
    here = derivative(network, state, lambda: batches, mask)
    there = derivative(network, algebra.moved(state, SECOND), lambda: [(x.to(SECOND), y.to(SECOND)) for x, y in batches], mask)
    assert {tensor.device for tensor in there.values()} == {SECOND}
    assert toys.same(here, {name: tensor.to(CPU) for name, tensor in there.items()})


@pytest.mark.parametrize("stage", ["train", "trace", "pretrain", "teach", "telemetry", "validation", "hessian", "slice"])
@pytest.mark.usefixtures("second")
def test_a_job_that_is_told_to_stop_saves_and_goes_on(usual, tmp_path, monkeypatch, stage):
    made = every_stage.plan(tmp_path)
    shutil.copytree(usual.config.results / "artifacts", tmp_path / "artifacts", copy_function=os.link)
    node = next(node for node in made.nodes.values() if node.stage == stage)
    shutil.rmtree(tmp_path / node.folder)
    of, name, at = (resumption.Notes, "save", 3) if stage in ("hessian", "slice") else (resumption.Keeper, "report", 1)
    real, seen = getattr(of, name), []

    def stopping(self: Any, *arguments: Any) -> None:
        seen.append(name)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        real(self, *arguments)

    monkeypatch.setattr(of, name, stopping)
    with pytest.raises(Preempted):
        _make(made, node)
    assert (tmp_path / node.folder / resumption.NAME).is_file()
    _make(made, node)
    _assert_same(made, usual, node)


def test_stages_take_smaller_chunks_where_memory_is_short(usual, tmp_path, monkeypatch):
    made, sizes = every_stage.plan(tmp_path), []
    shutil.copytree(usual.config.results / "artifacts", tmp_path / "artifacts", copy_function=os.link)
    of = {node.stage: node for node in made.nodes.values() if node.spec.get("alignment") != "weights"}
    forward = torch.nn.Conv2d.forward

    def short(self: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", short)
    for stage in ("similarity", "align", "class_means"):
        node = of[stage]
        shutil.rmtree(tmp_path / node.folder)
        sizes.clear()
        _make(made, node)
        assert max(sizes) > 20, "as many as usual at first"
        for name in (name for name in declared.STAGES[stage].files if name.endswith(".parquet")):
            found, whole = (tabulation.read(each.config.results / node.folder / name) for each in (made, usual))
            pd.testing.assert_frame_equal(found, whole, rtol=1e-4, obj=f"{stage}/{name}")


@pytest.mark.usefixtures("second")
def test_a_cohort_is_kept_on_the_cpu():
    """Copies of nine members would fill a card."""
    keeper = resumption.Keeper(Path("none"), {}, 1)
    state = algebra.moved(toys.scrambled(toys.norm_net()), SECOND)
    keeper.report(0, Progress(1, torch.zeros(()), torch.zeros(1), _Sums(CPU, None), lambda: state), list)
    kept = keeper.members[0].state
    assert {tensor.device for tensor in (*kept.params.values(), *kept.buffers.values())} == {CPU}
