from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib import optim, tree
from pipeline_lib.batches import batches
from pipeline_lib.schedules import constant, step_drops
from pipeline_lib.train import train
from pipeline_lib.types import Progress, State

STEPS = 7
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(optim.sgd, lr=0.1, momentum=0.9, weight_decay=0.05),
    "adam": partial(optim.adam, lr=0.05),
}
SETTINGS = [(n, o, m) for n in toys.NETWORKS for o in OPTIMISERS for m in (False, True)]


def _go(
    network: str, optimiser: str, masked: bool, until: int, begin: State | None = None, order: int = 0, monitor=None
) -> State:
    net = toys.NETWORKS[network]()
    mask = toys.random_mask(net) if masked else None
    begin = begin or toys.double(toys.start(net))
    begin = toys.masked(begin, mask) if mask else begin
    stream = toys.double_batches(order=order)
    return train(net, begin, mask, stream, OPTIMISERS[optimiser], step_drops([3, 5]), until, monitor)


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
        slots = [tree.views(s, state.params) for s in state.slots.values() if s.dim()]
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
    train(net, toys.double(toys.start(net)), None, toys.double_batches(), OPTIMISERS["sgd"], constant(), STEPS)
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
    net, x = toys.dense_net(), toys.double_batches(size=12)(0)
    train(net, toys.double(toys.start(net)), None, lambda step: x, OPTIMISERS["adam"], constant(), 60,
          lambda progress: losses.append(float(progress.loss)))  # fmt: skip
    assert losses[-1] < 0.2 * losses[0]


def _member(seed: int, order: int) -> State:
    net = toys.norm_net()
    stream = batches(toys.dataset(), (seed, order), 6, pad=1)
    return train(net, toys.start(net, seed), None, stream, OPTIMISERS["sgd"], constant(), STEPS)


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
