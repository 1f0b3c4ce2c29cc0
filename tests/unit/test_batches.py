from __future__ import annotations

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.batches import batches, indices, normalise, shift_crop, steps_per_epoch
from pipeline_lib.rng import torch_generator
from pipeline_lib.types import Dataset

DATA = toys.dataset()


def _equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@given(st.permutations(range(10)), st.sampled_from([0, 1]))
def test_a_batch_depends_on_order_and_step_alone(steps, pad):
    straight = [batches(DATA, (0, 1), 6, pad)(step) for step in range(10)]
    shared = batches(DATA, (0, 1), 6, pad)
    assert all(_equal(shared(step), straight[step]) for step in steps)


@pytest.mark.parametrize("other", [(0, 2), (1, 1), (1, 0)])
def test_two_orders_have_different_batches(other):
    first, second = (indices(order, 20, 6) for order in ((0, 1), other))
    assert all(not torch.equal(first(step), second(step)) for step in range(9))


def test_the_global_generator_has_no_part():
    torch.manual_seed(0)
    first = batches(DATA, (0, 1), 6, pad=1)(4)
    torch.manual_seed(1)
    assert _equal(batches(DATA, (0, 1), 6, pad=1)(4), first)


@given(st.integers(1, 30), st.data())
def test_an_epoch_visits_an_example_at_most_once_and_drops_the_partial_batch(num, data):
    size = data.draw(st.integers(1, num))
    at, per_epoch = indices((0, 0), num, size), steps_per_epoch(num, size)
    for epoch in range(2):
        seen = torch.cat([at(epoch * per_epoch + step) for step in range(per_epoch)]).tolist()
        assert len(seen) == len(set(seen)) == num // size * size
        assert set(seen) <= set(range(num))


def test_two_epochs_differ():
    at = indices((0, 0), 20, 20)
    assert not torch.equal(at(0), at(1))


def test_inputs_and_labels_belong_together():
    x, y = batches(DATA, (0, 0), 6)(3)
    chosen = indices((0, 0), 20, 6)(3)
    assert torch.equal(x, normalise(DATA.train.x[chosen], DATA))
    assert torch.equal(y, DATA.train.y[chosen])


def test_the_paper_counts_390_steps_an_epoch_on_cifar():
    assert steps_per_epoch(50_000, 128) == 390


@pytest.mark.parametrize("size", [0, -1, 21])
def test_a_batch_size_outside_the_training_set_is_refused(size):
    with pytest.raises(ValueError, match=rf"batch_size must be in \[1, 20\], got {size}"):
        batches(DATA, (0, 0), size)


def test_normalise_in_closed_form_for_each_channel():
    x = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 1, 1)
    data = Dataset(DATA.train, DATA.test, 3, (0.5, 0.2), (0.25, 0.1))
    expected = torch.tensor([[-2.0, -2.0], [-1.2, 0.0], [2.0, 8.0]]).view(3, 2, 1, 1)
    torch.testing.assert_close(normalise(x, data), expected, rtol=0, atol=1e-6)


def test_normalise_leaves_the_bytes_alone():
    before = DATA.train.x.clone()
    normalise(DATA.train.x, DATA)
    assert torch.equal(DATA.train.x, before)


@pytest.mark.parametrize("pad", [1, 2])
def test_shift_crop_is_padding_and_cropping_image_by_image(pad):
    x = toys.split(12, "crop", (2, 5, 4)).x
    cropped = shift_crop(x, pad, torch_generator("crop"))
    top, left = torch.randint(0, 2 * pad + 1, (2, 12), generator=torch_generator("crop")).tolist()
    for i, image in enumerate(x):
        padded = torch.zeros(2, 5 + 2 * pad, 4 + 2 * pad, dtype=torch.uint8)
        padded[:, pad : pad + 5, pad : pad + 4] = image
        assert torch.equal(cropped[i], padded[:, top[i] : top[i] + 5, left[i] : left[i] + 4])


def test_shift_crop_reaches_every_place():
    x = torch.zeros(400, 1, 3, 3, dtype=torch.uint8)
    x[:, :, 1, 1] = 1
    places = shift_crop(x, 1, torch_generator("places")).view(400, 9).argmax(1)
    assert set(places.tolist()) == set(range(9))
