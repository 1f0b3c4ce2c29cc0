from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torchs

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.training.schedules.decays import cosine_decay, linear_decay
from pipeline_lib.training.schedules.steps import constant, step_drops

MAKERS: dict[str, Callable[..., Callable[[int], float]]] = {
    "constant": constant,
    "step_drops": lambda warmup=0: step_drops([40, 60], warmup=warmup),
    "cosine_decay": lambda warmup=0: cosine_decay(80, 0.1, warmup),
    "linear_decay": lambda warmup=0: linear_decay(80, 0.1, warmup),
}


def _torchs_rates(make: Callable[[torch.optim.Optimizer], torchs.LRScheduler], steps: int) -> list[float]:
    """The rate at each step, of a peak of 1."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def _rates(schedule: Callable[[int], float], steps: int) -> list[float]:
    return [schedule(step) for step in range(steps)]


def test_constant_is_one_at_every_step():
    assert {constant()(step) for step in (0, 1, 10**6)} == {1.0}


def test_the_update_at_the_step_of_a_drop_uses_the_lower_rate():
    schedule = step_drops([3, 5])
    assert [schedule(step) for step in range(7)] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-15)


def test_the_factor_is_an_option():
    assert step_drops([1], factor=4.0)(1) == 0.25


def test_no_drops_is_constant():
    assert step_drops([])(100) == 1


def test_two_drops_at_one_step_are_two_drops():
    assert step_drops([2, 2])(2) == pytest.approx(0.01, rel=1e-15)


@given(st.lists(st.integers(1, 30), unique=True, max_size=4), st.sampled_from([2.0, 5.0, 10.0]))
def test_step_drops_is_multi_step_lr(drops, factor):
    expected = _torchs_rates(lambda o: torchs.MultiStepLR(o, sorted(drops), gamma=1 / factor), 32)
    assert _rates(step_drops(sorted(drops), factor), 32) == pytest.approx(expected, rel=1e-12)


@given(st.integers(1, 40), st.floats(0, 1))
def test_cosine_decay_is_cosine_annealing_lr(length, final):
    expected = _torchs_rates(lambda o: torchs.CosineAnnealingLR(o, length, eta_min=final), length + 1)
    assert _rates(cosine_decay(length, final), length + 1) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.integers(1, 40), st.floats(0.001, 1))
def test_linear_decay_is_linear_lr(length, final):
    expected = _torchs_rates(lambda o: torchs.LinearLR(o, 1.0, final, length), length + 10)
    assert _rates(linear_decay(length, final), length + 10) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 20), st.integers(1, 40), st.floats(0, 1))
def test_cosine_decay_after_a_warm_up_is_torchs_sequence_of_both(warmup, rest, final):
    def sequence(optimiser: torch.optim.Optimizer) -> torchs.LRScheduler:
        parts = [torchs.LambdaLR(optimiser, lambda t: t / warmup), torchs.CosineAnnealingLR(optimiser, rest, eta_min=final)]
        return torchs.SequentialLR(optimiser, parts, [warmup])

    expected = _torchs_rates(sequence, warmup + rest + 1)
    assert _rates(cosine_decay(warmup + rest, final, warmup), warmup + rest + 1) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def _closed(step: int, warmup: int, rest: int, shape: Callable[[float], float]) -> float:
    return step / warmup if step < warmup else shape(min(1.0, (step - warmup) / rest))


@given(st.integers(0, 20), st.integers(1, 60), st.floats(0, 1), st.integers(0, 100))
def test_cosine_decay_is_half_a_cosine_from_one_to_the_final_factor(warmup, rest, final, step):
    def shape(share: float) -> float:
        return math.cos(math.pi * share / 2) ** 2 + final * math.sin(math.pi * share / 2) ** 2

    expected = _closed(step, warmup, rest, shape)
    assert cosine_decay(warmup + rest, final, warmup)(step) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(st.integers(0, 20), st.integers(1, 60), st.floats(0, 1), st.integers(0, 100))
def test_linear_decay_is_a_line_from_one_to_the_final_factor(warmup, rest, final, step):
    expected = _closed(step, warmup, rest, lambda share: (1 - share) + final * share)
    assert linear_decay(warmup + rest, final, warmup)(step) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("make", [cosine_decay, linear_decay])
def test_a_decay_ends_at_its_final_factor_and_stays_there(make):
    schedule = make(50, 0.25)
    assert schedule(0) == 1
    assert [schedule(step) for step in (50, 51, 10**6)] == [0.25] * 3
    assert make(50)(50) == 0


@pytest.mark.parametrize("name", MAKERS)
def test_a_warm_up_multiplies_by_a_line_from_zero(name):
    plain, warm = MAKERS[name](), MAKERS[name](warmup=20)
    assert warm(0) == 0
    assert [warm(step) for step in (1, 5, 10, 19)] == pytest.approx([0.05, 0.25, 0.5, 0.95], rel=1e-15)
    assert warm(20) == 1
    if "decay" not in name:
        assert [warm(step) for step in range(20, 100)] == [plain(step) for step in range(20, 100)]


def test_a_drop_within_the_warm_up_counts():
    assert [step_drops([2], warmup=4)(step) for step in range(6)] == pytest.approx([0, 0.25, 0.05, 0.075, 0.1, 0.1], rel=1e-15)


@pytest.mark.parametrize("name", MAKERS)
def test_no_warm_up_starts_at_the_peak(name):
    assert MAKERS[name](warmup=0)(0) == 1


@pytest.mark.parametrize("name", MAKERS)
@given(step=st.integers(0, 200), warmup=st.integers(0, 50))
def test_a_factor_is_between_zero_and_one(name, step, warmup):
    assert 0 <= MAKERS[name](warmup=warmup)(step) <= 1


def test_drops_out_of_order_are_refused():
    with pytest.raises(ValueError) as caught:
        step_drops([5, 3])
    assert str(caught.value) == "drops must be in ascending order, got [5, 3]; sort the steps"


@pytest.mark.parametrize("make", [cosine_decay, linear_decay])
@pytest.mark.parametrize("length", [0, 9, 10])
def test_a_decay_that_ends_before_it_begins_is_refused(make, length):
    with pytest.raises(ValueError) as caught:
        make(length, warmup=10)
    message = f"length must be above warmup = 10, got {length}; it is the step at which the decay ends"
    assert str(caught.value) == message


# Of each task the steps of training, and the rate of the update at telling steps: written out from the papers' tables.
_RESNET20 = [(0, 0.1), (31_199, 0.1), (31_200, 0.01), (46_799, 0.01), (46_800, 0.001), (62_399, 0.001)]
_LOW = [(0, 0.01), (31_199, 0.01), (31_200, 0.001), (46_799, 0.001), (46_800, 0.0001), (62_399, 0.0001)]
_LENET = [(0, 0.0012), (1, 0.0012), (12_000, 0.0012), (23_999, 0.0012)]
# Up over 60 steps, then a cosine over the other 540: a third of its way is step 240, a half 330, two thirds 420.
_TRANSFORMER = [(0, 0.0), (30, 0.0015), (60, 0.003), (240, 0.00225), (330, 0.0015), (420, 0.00075), (600, 0.0)]
TASKS: dict[str, tuple[int, list[tuple[int, float]]]] = {
    "resnet20": (62_400, _RESNET20),
    "resnet56": (62_400, _RESNET20),
    "resnet18": (62_400, _RESNET20),
    "vgg16": (62_400, _RESNET20),
    "wrn16_8": (62_400, _RESNET20),
    "wrn16_8_original": (62_400, _RESNET20),
    "resnet20_low": (62_400, _LOW),
    "vgg16_low": (62_400, _LOW),
    "resnet20_warmup": (
        62_400,
        [
            (0, 0.0),
            (1, 1e-6),
            (10_000, 0.01),
            (15_000, 0.015),
            (29_999, 0.029999),
            (30_000, 0.03),
            (31_199, 0.03),
            (31_200, 0.003),
            (46_799, 0.003),
            (46_800, 0.0003),
            (62_399, 0.0003),
        ],
    ),
    "vgg16_warmup": (
        62_400,
        [
            (0, 0.0),
            (3, 1e-5),
            (15_000, 0.05),
            (29_997, 0.09999),
            (30_000, 0.1),
            (31_199, 0.1),
            (31_200, 0.01),
            (46_799, 0.01),
            (46_800, 0.001),
            (62_399, 0.001),
        ],
    ),
    "resnet20_long": (63_000, [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (62_999, 0.001)]),
    "resnet20_early": (4000, [(0, 0.1), (3999, 0.1)]),
    "resnet20_short": (780, [(0, 0.1), (389, 0.1), (390, 0.01), (584, 0.01), (585, 0.001), (779, 0.001)]),
    "vgg13": (124_960, [(0, 0.1), (62_479, 0.1), (62_480, 0.01), (93_719, 0.01), (93_720, 0.001), (124_959, 0.001)]),
    "resnet18_cifar100": (
        78_125,
        [
            (0, 0.1),
            (23_437, 0.1),
            (23_438, 0.02),
            (46_874, 0.02),
            (46_875, 0.004),
            (62_499, 0.004),
            (62_500, 0.0008),
            (78_124, 0.0008),
        ],
    ),
    # 1,251 steps an epoch: warm-up to 6,255, drops at 37,530, 75,060 and 100,080.
    "resnet50_imagenet": (
        112_590,
        [
            (0, 0.0),
            (1_251, 0.08),
            (3_753, 0.24),
            (6_255, 0.4),
            (37_529, 0.4),
            (37_530, 0.04),
            (75_059, 0.04),
            (75_060, 0.004),
            (100_079, 0.004),
            (100_080, 0.0004),
            (112_589, 0.0004),
        ],
    ),
    "resnet20_tenth": (6_240, [(0, 0.1), (3_119, 0.1), (3_120, 0.01), (4_679, 0.01), (4_680, 0.001), (6_239, 0.001)]),
    # Warm-up over an epoch of 390 steps, then down over the other nine: a third of the way is step 1,560.
    "resnet8_cifar": (3_900, [(0, 0.0), (195, 0.05), (390, 0.1), (1_560, 0.2 / 3), (3_899, 0.1 / 3_510), (3_900, 0.0)]),
    # The cosine falls over 10,970 steps: a fifth of the way is 7,194, a half 10,485, four fifths 13,776.
    "resnet50_imagenet_short": (
        15_970,
        [
            (0, 0.0),
            (1_250, 0.512),
            (2_500, 1.024),
            (5_000, 2.048),
            (7_194, 2.048 * (5 + 5**0.5) / 8),
            (10_485, 1.024),
            (13_776, 2.048 * (3 - 5**0.5) / 8),
            (15_969, 2.048 * math.sin(math.pi / 21_940) ** 2),
            (15_970, 0.0),
        ],
    ),
    # 171 epochs of 1,251 steps: a third of the way is epoch 57, two thirds are epoch 114.
    "inception_imagenet": (
        213_921,
        [(0, 0.03), (71_307, 0.065 / 3), (142_614, 0.04 / 3), (213_920, 0.005 + 0.025 / 213_921), (213_921, 0.005)],
    ),
    "lenet_mnist": (24_000, _LENET),
    "lenet_fashionmnist": (24_000, _LENET),
    "lenet_mnist_lth": (24_000, _LENET),
    "digits_mlp": (600, [(0, 0.0012), (599, 0.0012)]),
    "digits_resnet": (400, [(0, 0.1), (199, 0.1), (200, 0.01), (299, 0.01), (300, 0.001), (399, 0.001)]),
    "digits_vit": (600, _TRANSFORMER),
    "characters": (600, _TRANSFORMER),
}


def test_every_task_file_is_tried_here():
    assert set(TASKS) == set(config.task_files())


@pytest.mark.parametrize("name", TASKS)
def test_a_task_trains_with_the_rates_of_its_paper(name):
    task = config.load_task(name)
    steps, rates = TASKS[name]
    schedule, peak = registry.call("schedules", task["schedule"]), task["optimiser"]["lr"]
    assert task["steps"] == steps
    assert [peak * schedule(step) for step, _ in rates] == pytest.approx([rate for _, rate in rates], rel=1e-9, abs=1e-15)
