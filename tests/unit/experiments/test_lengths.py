from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline_lib.experiments import lengths
from pipeline_lib.experiments.lengths import steps_per_epoch, to_steps

CIFAR = {"dataset": {"name": "cifar10", "num_train": 50_000}, "batch_size": 128}  # 390 whole batches


def _task(num_train: int, batch_size: int = 1) -> dict[str, object]:
    return {"dataset": {"num_train": num_train}, "batch_size": batch_size}


@pytest.mark.parametrize(
    ("num_train", "batch_size", "steps"),
    [
        (50_000, 128, 390),
        (50_000, 64, 781),
        (60_000, 60, 1000),
        (1_281_167, 1024, 1251),
        (1_281_167, 2048, 625),
        (5, 5, 1),
        (9, 5, 1),
    ],
)
def test_an_epoch_is_its_whole_batches(num_train, batch_size, steps):
    assert steps_per_epoch(_task(num_train, batch_size)) == steps


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError) as caught:
        steps_per_epoch(_task(10, 11))
    assert str(caught.value) == "batch_size must be at most num_train = 10, got 11; lower it"


@pytest.mark.parametrize(
    ("length", "steps"),
    [("160ep", 62_400), ("1ep", 390), ("0ep", 0), ("0.5ep", 195), ("1.5ep", 585), ("0.1ep", 39), ("2.0ep", 780)],
)
def test_epochs_become_steps(length, steps):
    assert to_steps(length, CIFAR) == steps


@pytest.mark.parametrize(("length", "steps"), [("62400it", 62_400), ("0it", 0), ("7.0it", 7)])
def test_iterations_are_steps(length, steps):
    found = to_steps(length, CIFAR)
    assert (found, type(found)) == (steps, int)


@given(st.integers(0, 10**9))
def test_iterations_need_no_data_set(steps):
    assert to_steps(f"{steps}it", {}) == steps


@given(st.integers(0, 1000), st.integers(1, 10**6), st.integers(1, 1000))
def test_whole_epochs_are_a_product(epochs, num_train, batch_size):
    assume(batch_size <= num_train)
    assert to_steps(f"{epochs}ep", _task(num_train, batch_size)) == epochs * (num_train // batch_size)


@pytest.mark.parametrize(
    ("length", "text"),
    [("0.33ep", "'0.33ep', which is 128.7"), ("2.5it", "'2.5it', which is 2.5"), ("0.001ep", "'0.001ep', which is 0.39")],
)
def test_a_part_of_a_step_is_refused(length, text):
    with pytest.raises(ValueError) as caught:
        to_steps(length, CIFAR)
    assert str(caught.value) == f"length must be a whole number of steps, got {text}; choose another"


@given(st.integers(1, 999), st.sampled_from([1, 3, 7, 24, 390, 781, 1251]))
def test_hundredths_of_an_epoch_that_are_no_whole_step_are_refused(hundredths, steps):
    assume((Fraction(hundredths, 100) * steps).denominator > 1)
    with pytest.raises(ValueError, match="must be a whole number of steps"):
        to_steps(f"{hundredths / 100}ep", _task(steps))


@pytest.mark.parametrize(
    "value", [3, 0.5, True, None, "magnitude", "ep", "10epochs", "10 ep", "-1ep", "1e3it", "", ".5ep", "10EP"]
)
def test_all_else_stays_as_it_is(value):
    assert to_steps(value, CIFAR) is value


def test_lengths_are_found_at_any_depth():
    schedule = {"name": "step_drops", "drops": ["80ep", 5, ("120ep", "7it")], "warmup": {"length": "1ep", "factor": 0.5}}
    expected = {"name": "step_drops", "drops": [31_200, 5, [46_800, 7]], "warmup": {"length": 390, "factor": 0.5}}
    assert to_steps(schedule, CIFAR) == expected


def test_the_given_value_is_not_changed():
    given_drops = ["80ep", "120ep"]
    to_steps({"drops": given_drops}, CIFAR)
    assert given_drops == ["80ep", "120ep"]


def test_keys_are_not_lengths():
    assert to_steps({"1ep": "1ep"}, CIFAR) == {"1ep": 390}


def test_turning_twice_is_turning_once():
    once = to_steps({"drops": ["80ep", "3it"], "name": "x"}, CIFAR)
    assert to_steps(once, CIFAR) == once


@given(st.integers(0, 999), st.sampled_from([100, 390, 1000, 1251]))
def test_hundredths_of_an_epoch_that_are_whole_steps_are_accepted(hundredths, steps):
    exact = Fraction(hundredths, 100) * steps
    assume(exact.denominator == 1)
    assert to_steps(f"{hundredths / 100}ep", _task(steps)) == exact


@pytest.mark.parametrize(("text", "steps"), [("500", 500), ("500it", 500), ("2ep", 20)])
def test_a_length_inside_a_text_may_be_a_plain_number(text, steps):
    assert lengths.read(text, {"batch_size": 64, "dataset": {"num_train": 640}}) == steps
