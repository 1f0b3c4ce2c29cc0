"""Steps as a CUDA device takes them, recorded once and replayed, by an emulation on the CPU; and what a step launches there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import toys
from recorded import Emulated

from pipeline_lib.core import registry
from pipeline_lib.core.types import Dataset, Progress, State
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.pretexts.support.streams import stream
from pipeline_lib.training import loop, optimiser_state
from pipeline_lib.training.loop import Member, Recipe, _Run
from pipeline_lib.training.optimisers.adam import adam, adamw
from pipeline_lib.training.optimisers.sgd import decoupled_sgd, sgd
from pipeline_lib.training.precision import PRECISIONS, Numerics
from pipeline_lib.training.schedules.steps import step_drops

STEPS = 20
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "plain": partial(sgd, lr=0.1),
    "momentum": partial(sgd, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "nesterov": partial(sgd, lr=0.1, momentum=0.9, nesterov=True),
    "decoupled": partial(decoupled_sgd, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adam": partial(adam, lr=0.01),
    "adamw": partial(adamw, lr=0.01, weight_decay=0.1),
}
PRETEXTS = [{"name": name} for name in registry.entries("pretexts")] + [{"name": "rotation", "fixed": True}]
WHOLE, CUT = toys.dataset(), {"pad": 1, "flip": True}


def _member(
    data: Dataset = WHOLE, masked: bool = True, channels_last: bool = False, crops: Any = CUT, pretext: Any = None
) -> Member:
    begin, mask = toys.scrambled(toys.norm_net()), toys.random_mask(toys.norm_net())
    lessons = (registry.call("pretexts", pretext),) if pretext else ()
    batches = stream(data, (0, 1), 6, **crops, channels_last=channels_last, lessons=lessons)
    return Member(toys.masked(begin, mask), mask, batches) if masked else Member(begin, None, batches)


def _steps(member: Member, optimiser: str, numerics: Numerics) -> tuple[State, list[object]]:
    """Take the steps, with the rate of a CUDA device, and look at what monitors see."""
    seen: list[object] = []

    def monitor(progress: Progress) -> None:
        seen.extend([float(progress.loss), progress.gradient.tolist(), progress.sums.get()])
        if progress.step % 7 == 0:
            seen.append(progress.sums.take())

    watched = Member(member.start, member.mask, member.stream, monitor)
    run = _Run(toys.norm_net().train(), watched, Recipe(OPTIMISERS[optimiser], step_drops([6, 12]), numerics))
    for _ in range(STEPS):
        run.advance()
    return run.state(run.step), seen


@pytest.fixture
def recorded_rate(monkeypatch):
    monkeypatch.setattr(optimiser_state, "rate_setter", optimiser_state.recorded_rate_setter)


def _assert_same(monkeypatch, make: Callable[[], Member], optimiser: str, numerics: Numerics) -> None:
    usual, seen = _steps(make(), optimiser, numerics)
    monkeypatch.setattr(loop, "Replay", Emulated)
    replayed, also_seen = _steps(make(), optimiser, numerics)
    assert toys.same_state(replayed, usual)
    assert also_seen == seen


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize(("precision", "channels_last"), list(zip(PRECISIONS, (False, True, True), strict=True)))
@pytest.mark.usefixtures("recorded_rate")
def test_replayed_steps_have_the_bits_of_called_ones(monkeypatch, optimiser, precision, channels_last):
    _assert_same(monkeypatch, lambda: _member(channels_last=channels_last), optimiser, Numerics(precision, channels_last))


@pytest.mark.parametrize("pretext", PRETEXTS, ids=str)
@pytest.mark.usefixtures("recorded_rate")
def test_replayed_steps_of_pretexts_have_the_bits_of_called_ones(monkeypatch, pretext):
    data = Dataset(WHOLE.train, WHOLE.test, 4, WHOLE.mean, WHOLE.std)
    monkeypatch.setattr(toys, "CLASSES", 4)
    _assert_same(monkeypatch, lambda: _member(data, pretext=pretext), "momentum", Numerics())


@pytest.mark.parametrize("crops", [{}, {"pad": 1}, {"flip": True}], ids=str)
@pytest.mark.usefixtures("recorded_rate")
def test_replayed_steps_without_a_mask_or_crops_have_the_bits_of_called_ones(monkeypatch, crops):
    _assert_same(monkeypatch, lambda: _member(masked=False, crops=crops), "adam", Numerics())


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.usefixtures("recorded_rate")
def test_an_optimiser_that_works_in_pieces_gives_the_same_bits(monkeypatch, optimiser):
    usual, _ = _steps(_member(), optimiser, Numerics())
    make, pieces = OPTIMISERS[optimiser], []

    def divided(vector: torch.Tensor) -> torch.optim.Optimizer:
        made = make(vector)
        monkeypatch.setattr(optimiser_state, "_ALIGNED", 16)
        optimiser_state.divide(made, vector)
        pieces.extend(map(len, made.param_groups[0]["params"]))
        return made

    monkeypatch.setitem(OPTIMISERS, optimiser, divided)
    found, _ = _steps(_member(), optimiser, Numerics())
    assert pieces == [16, 16, 16, 1]
    assert toys.same_state(found, usual)
    again = _Run(toys.norm_net(), Member(found, None, _member().stream), Recipe(divided, step_drops([])))
    assert toys.same(again.state(STEPS).slots, found.slots)


def test_a_work_that_keeps_a_number_of_the_host_is_found_out():
    """The emulation can fail: it does not see what the host does between replays."""
    x, host = torch.zeros(()), [0.0]
    emulated = Emulated(torch.device("cpu"))
    for _ in range(6):
        host[0] += 1
        emulated(lambda: x.add_(host[0]))
    assert float(x) == 1 + 2 + 3 + 4 + 4 + 4


# A step of ResNet-20: 21 convolutions, 21 norms and 19 rectifiers, each forwards and backwards, make 122.
@pytest.mark.parametrize(("precision", "num"), [("fp32", 171), ("tf32", 171), ("bf16", 177)])
def test_a_step_launches_so_many_kernels_and_no_more(monkeypatch, precision, num):
    monkeypatch.setattr(loop, "Replay", Emulated)
    network, data = resnet_cifar((3, 8, 8), toys.CLASSES), toys.dataset(shape=(3, 8, 8))
    mask, batches = toys.random_mask(network), stream(data, (0, 0), 6, pad=1, flip=True, channels_last=True)
    member = Member(toys.masked(toys.start(network), mask), mask, batches)
    run = _Run(network.train(), member, Recipe(OPTIMISERS["momentum"], step_drops([]), Numerics(precision, channels_last=True)))
    for _ in range(4):
        run.advance()
    launches = run._replay.recording.launches()
    assert launches.total() == num, launches
    assert launches["aten._fused_sgd_.default"] == 1
    casts = launches["aten._to_copy.default"]
    assert casts == (5 if precision == "bf16" else 1), (
        "images; and in bf16 batch, loss and all gradients together, forwards and back"
    )
