from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Progress, State
from pipeline_lib.training.batches import stream
from pipeline_lib.training.cuda_graphs import Replay
from pipeline_lib.training.loop import CHECK_EVERY, Member, Recipe, _counts, _Run, _Sums, train
from pipeline_lib.training.optimisers.adam import adam
from pipeline_lib.training.optimisers.sgd import sgd
from pipeline_lib.training.precision import Numerics
from pipeline_lib.training.schedules.steps import constant, step_drops

STEPS = 7
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(sgd, lr=0.1, momentum=0.9, weight_decay=0.05),
    "adam": partial(adam, lr=0.05),
}
SETTINGS = [(n, o, m) for n in toys.NETWORKS for o in OPTIMISERS for m in (False, True)]


def _go(
    network: str, optimiser: str, masked: bool, until: int, begin: State | None = None, order: int = 0, monitor=None
) -> State:
    net = toys.NETWORKS[network]()
    mask = toys.random_mask(net) if masked else None
    begin = begin or toys.double(toys.start(net))
    begin = toys.masked(begin, mask) if mask else begin
    stream = toys.DoubleStream(order=order)
    return toys.train_one(net, begin, mask, stream, OPTIMISERS[optimiser], step_drops([3, 5]), until, monitor)


@pytest.mark.parametrize(("network", "optimiser", "masked"), SETTINGS)
@given(stop=st.integers(0, STEPS))
def test_stopping_anywhere_and_going_on_gives_the_bits_of_a_straight_run(network, optimiser, masked, stop):
    straight = _go(network, optimiser, masked, STEPS)
    halfway = _go(network, optimiser, masked, stop)
    assert halfway.step == stop
    assert toys.same_state(_go(network, optimiser, masked, STEPS, halfway), straight)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_resuming_without_slots_is_another_run(optimiser):
    straight = _go("norm", optimiser, False, STEPS)
    halfway = _go("norm", optimiser, False, 3)
    fresh = _go("norm", optimiser, False, STEPS, State(halfway.params, halfway.buffers, halfway.step))
    assert not toys.same(fresh.params, straight.params)


@pytest.mark.parametrize(("network", "optimiser"), [(n, o) for n in toys.NETWORKS for o in OPTIMISERS])
def test_pruned_entries_and_their_slots_are_exactly_zero_after_every_step(network, optimiser):
    mask = toys.random_mask(toys.NETWORKS[network]())
    steps = []

    def check(progress: Progress) -> None:
        state = progress.state()
        slots = [algebra.views(s, state.params) for s in state.slots.values() if s.dim()]
        assert slots, "the optimiser keeps no slots, so this test shows nothing"
        for name, keep in mask.items():
            pruned = torch.from_numpy(~keep)
            assert pruned.any()
            for tensors in (state.params, *slots):
                assert torch.count_nonzero(tensors[name][pruned]) == 0
                assert torch.count_nonzero(tensors[name][~pruned]) > 0
        steps.append(progress.step)

    _go(network, optimiser, True, STEPS, monitor=check)
    assert steps == list(range(1, STEPS + 1))


@pytest.mark.parametrize("network", toys.NETWORKS)
def test_the_mask_leaves_biases_and_norms_free(network):
    begin, end = _go(network, "sgd", True, 0), _go(network, "sgd", True, STEPS)
    mask = toys.random_mask(toys.NETWORKS[network]())
    assert all(not torch.equal(begin.params[n], end.params[n]) for n in begin.params if n not in mask)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_start_is_not_changed(optimiser):
    begin = _go("norm", optimiser, False, 2)
    before = State(*({n: t.clone() for n, t in p.items()} for p in (begin.params, begin.buffers)), 2, dict(begin.slots))
    slots = {n: t.clone() for n, t in begin.slots.items()}
    _go("norm", optimiser, False, STEPS, begin)
    assert toys.same_state(begin, before)
    assert toys.same(begin.slots, slots)


def test_the_template_is_not_changed():
    net = toys.norm_net()
    before = {n: t.clone() for n, t in net.state_dict().items()}
    toys.train_one(net, toys.double(toys.start(net)), None, toys.DoubleStream(), OPTIMISERS["sgd"], constant(), STEPS)
    assert toys.same(net.state_dict(), before)


def test_the_end_state_shares_no_memory_with_earlier_snapshots():
    kept: list[State] = []
    end = _go("norm", "sgd", False, STEPS, monitor=lambda progress: kept.append(progress.state()))
    assert [state.step for state in kept] == list(range(1, STEPS + 1))
    assert not toys.same(kept[0].params, end.params)
    assert toys.same_state(kept[2], _go("norm", "sgd", False, 3))


def test_going_backwards_is_refused():
    with pytest.raises(ValueError, match="until must be at least the start's step 5, got 4; train only goes forward"):
        _go("dense", "sgd", False, 4, State(toys.double(toys.start(toys.dense_net())).params, {}, 5))


def test_until_the_start_returns_the_start():
    begin = toys.double(toys.start(toys.norm_net()))
    assert toys.same_state(_go("norm", "sgd", False, 0, begin), begin)


def test_the_network_learns():
    losses: list[float] = []
    net, same = toys.dense_net(), toys.DoubleStream(size=12)
    same.load(0)
    same.load = lambda step: None
    toys.train_one(net, toys.double(toys.start(net)), None, same, OPTIMISERS["adam"], constant(), 60,
          lambda progress: losses.append(float(progress.loss)))  # fmt: skip
    assert losses[-1] < 0.2 * losses[0]


def _member(seed: int, order: int) -> State:
    net = toys.norm_net()
    batches = stream(toys.dataset(), (seed, order), 6, pad=1)
    return toys.train_one(net, toys.start(net, seed), None, batches, OPTIMISERS["sgd"], constant(), STEPS)


def test_same_order_same_bits_and_two_orders_differ():
    assert toys.same_state(_member(0, 1), _member(0, 1))
    assert not toys.same(_member(0, 1).params, _member(0, 2).params)


def test_a_member_does_not_depend_on_the_members_trained_beside_it():
    members = [(seed, order) for seed in (0, 1) for order in (0, 1)]
    alone = {}
    for i, member in enumerate(members):
        torch.manual_seed(i)
        alone[member] = _member(*member)
    torch.manual_seed(99)
    for member in reversed(members):
        assert toys.same_state(_member(*member), alone[member])
        torch.rand(3)


def _cohort(members: list[Member], until: int = STEPS, **recipe):
    return train(toys.norm_net(), members, Recipe(OPTIMISERS["sgd"], constant(), **recipe), until)


def _new(seed: int, order: int, **more) -> Member:
    return Member(toys.start(toys.norm_net(), seed), None, stream(toys.dataset(), (seed, order), 6, pad=1), **more)


def test_a_cohorts_members_are_the_runs_alone():
    found = _cohort([_new(0, 1), _new(1, 0), _new(0, 2)])
    for trained, (seed, order) in zip(found, [(0, 1), (1, 0), (0, 2)], strict=True):
        assert toys.same_state(trained.state, _member(seed, order))
        assert trained.last_finite is None


def test_sums_are_means_since_they_were_last_taken():
    losses, found = [], []

    def monitor(progress: Progress) -> None:
        losses.append(float(progress.loss))
        if progress.step in (3, STEPS):
            found.append(progress.sums.take())

    _cohort([_new(0, 0, monitor=monitor)])
    assert found[0][0] == pytest.approx(sum(losses[:3]) / 3, rel=1e-6)
    assert found[1][0] == pytest.approx(sum(losses[3:]) / (STEPS - 3), rel=1e-6)
    assert all(0 <= error <= 1 and (error * 6 * 3).is_integer() for _, error in found[:1])


def test_a_prediction_is_wrong_if_it_is_another_class_above_or_below():
    sums = _Sums(torch.device("cpu"), None)
    predicted, y = torch.tensor([0, 2, 1, 1]), torch.tensor([1, 1, 1, 0])
    sums.add(torch.tensor(0.5), F.one_hot(predicted, 3).double(), y)
    sums.count()
    assert sums.take() == (0.5, 3 / 4)


def test_only_the_count_that_a_batchnorm_does_not_read_is_kept_by_the_host():
    plain, cumulative = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2, momentum=None)
    plain.register_buffer("after", torch.zeros(1))
    network = torch.nn.Sequential(plain, cumulative)
    counted = [name for name, _ in network.named_buffers() if _counts(network, name)]
    assert counted == ["0.num_batches_tracked"]


def test_sums_go_on_from_where_they_were_copied():
    def last(begin: Member, until: int) -> tuple[list[float], State]:
        kept = []
        member = replace(begin, monitor=lambda progress: kept.append((progress.sums.get(), progress.state())))
        _cohort([member], until)
        return kept[-1]

    whole, _ = last(_new(0, 0), STEPS)
    sums, state = last(_new(0, 0), 3)
    again, _ = last(replace(_new(0, 0), start=state, sums=sums), STEPS)
    assert again == whole


@pytest.mark.parametrize("bad", [1, 4, CHECK_EVERY + 2])
def test_a_diverged_run_ends_with_its_last_finite_step_and_its_start(bad):
    """At step `bad` the images are infinite; everything before is finite."""

    class Poisoned(toys.DoubleStream):
        def load(self, step: int) -> None:
            super().load(step)
            if step == bad:
                self._batch = (self._batch[0] * float("inf"), self._batch[1])

    seen: list[int] = []
    net = toys.norm_net()
    begin = toys.double(toys.start(net))
    poisoned = Member(begin, None, Poisoned(), lambda progress: seen.append(progress.step))
    sound = Member(begin, None, toys.DoubleStream())
    recipe, until = Recipe(OPTIMISERS["sgd"], constant()), 3 * CHECK_EVERY
    lost, kept = train(net, [poisoned, sound], recipe, until)
    assert (lost.last_finite, lost.state.step) == (bad, until)
    assert toys.same(lost.state.params, begin.params)
    assert seen[-1] == (bad // CHECK_EVERY + 1) * CHECK_EVERY
    assert kept.last_finite is None
    assert toys.same_state(kept.state, train(net, [sound], recipe, until)[0].state)


def test_channels_last_trains_the_same_network():
    plain, other = (_cohort([_new(0, 0)], numerics=Numerics(channels_last=last))[0].state for last in (False, True))
    assert all(tensor.is_contiguous() for tensor in other.params.values())
    for name, tensor in plain.params.items():
        torch.testing.assert_close(other.params[name], tensor, rtol=1e-5, atol=1e-6)


def test_bf16_keeps_weights_in_float32_and_stays_near():
    plain, rough = (_cohort([_new(0, 0)], numerics=Numerics(precision))[0].state for precision in ("fp32", "bf16"))
    assert {tensor.dtype for tensor in rough.params.values()} == {torch.float32}
    assert not toys.same(plain.params, rough.params)
    for name, tensor in plain.params.items():
        torch.testing.assert_close(rough.params[name], tensor, rtol=0, atol=0.05)


class _NoWaiting(TorchDispatchMode):
    """Refuses every operation that would make the host wait for the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(function), "a value was asked for in the middle of a step"
        assert "nonzero" not in str(function), "a shape that depends on values"
        return function(*args, **(kwargs or {}))


def test_a_step_never_waits_for_the_device(monkeypatch):
    """What a recording of a step needs: its work asks for no value."""
    calls = []

    def replay(self: Replay, work: Callable[[], None]) -> None:
        with _NoWaiting():
            work()
        calls.append(1)

    monkeypatch.setattr(Replay, "__call__", replay)
    mask = toys.random_mask(toys.norm_net())
    begin = toys.masked(toys.start(toys.norm_net()), mask)
    _cohort([Member(begin, mask, stream(toys.dataset(), (0, 0), 6, pad=1, flip=True, channels_last=True))])
    assert len(calls) == STEPS


def test_what_a_run_holds_is_freed_at_once(monkeypatch):
    """On a GPU it holds a recording, and in a cycle that would go when Python looks for cycles: in the middle of another one."""
    freed, prepare = list[int](), _Run.__init__

    def prepared(self: _Run, *given: Any) -> None:
        prepare(self, *given)
        weakref.finalize(self, freed.append, 1)

    monkeypatch.setattr(_Run, "__init__", prepared)
    gc.disable()
    try:
        _cohort([_new(0, 0, monitor=lambda progress: None), _new(1, 0)])
        assert len(freed) == 2
    finally:
        gc.enable()


def test_a_steps_tensors_stay_where_they_are():
    """What a recording of a step needs, too: every step works on the memory of the first."""
    places = []

    def monitor(progress: Progress) -> None:
        places.append((progress.loss.data_ptr(), progress.gradient.data_ptr()))

    _cohort([_new(0, 0, monitor=monitor)])
    assert len(places) == STEPS
    assert len(set(places)) == 1


class _TwoHeads(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main, self.second = torch.nn.Linear(16, toys.CLASSES), torch.nn.Linear(16, toys.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        x = x.flatten(1)
        return (self.main(x), self.second(x)) if self.training else self.main(x)


def test_a_second_head_adds_its_share_of_the_loss():
    net, losses, batches = _TwoHeads(), [], toys.DoubleStream()
    state = toys.double(State({name: p.detach().clone() for name, p in net.named_parameters()}))
    toys.train_one(net, state, None, batches, OPTIMISERS["sgd"], constant(), 1, lambda p: losses.append(float(p.loss)))
    x, y = batches.at(0)
    heads = [F.linear(x.flatten(1), state.params[f"{h}.weight"], state.params[f"{h}.bias"]) for h in ("main", "second")]
    assert losses[0] == pytest.approx(float(F.cross_entropy(heads[0], y) + 0.4 * F.cross_entropy(heads[1], y)))


def test_a_steps_tensors_are_all_on_one_device(monkeypatch):
    """A step on torch's meta device, which refuses to mix with another: no constant of it was left on the CPU."""
    monkeypatch.setattr(Numerics, "autocast", lambda self, device: nullcontext())
    net, data, meta = toys.norm_net(), toys.dataset(), torch.device("meta")
    mask, moved = toys.random_mask(net), replace(data, train=toys.Split(data.train.x.to(meta), data.train.y.to(meta)))
    member = Member(algebra.moved(toys.start(net), meta), mask, stream(moved, (0, 0), 6, pad=1, flip=True, channels_last=True))
    make = partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=False)
    run = _Run(net, member, Recipe(lambda vector: make([vector]), constant(), Numerics(channels_last=True)))
    run.advance()
    run.advance()
    assert (run.step, {tensor.device for tensor in run.state(2).params.values()}) == (2, {meta})
