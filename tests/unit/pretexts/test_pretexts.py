from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.core import registry
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.pretexts.blurs import blur
from pipeline_lib.pretexts.labels import random_labels
from pipeline_lib.pretexts.rotations import rotation
from pipeline_lib.pretexts.support.lessons import Lesson
from pipeline_lib.training.batches import Normaliser

ENTRIES = registry.entries("pretexts")
OPTIONS = [{"name": name} for name in ENTRIES] + [{"name": "rotation", "fixed": True}, {"name": "blur", "antialias": True}]
ZEROS = torch.zeros(6, dtype=torch.int64)
IMAGES = toys.split(6, "pretext", (3, 8, 8)).x.float() / 64 - 2


def _many(num: int = 20_000, num_classes: int = 10) -> Dataset:
    """Classes that are far from equally frequent."""
    y = torch.arange(num) % 100 // 11 % num_classes
    return Dataset(Split(torch.zeros(num, 1, 1, 1, dtype=torch.uint8), y), toys.split(1), num_classes, (0.4,), (0.3,))


MANY = _many()
TRUE = MANY.train.y


def _change(lesson: Lesson, x: torch.Tensor, y: torch.Tensor = ZEROS, drawn: torch.Tensor = ZEROS):
    assert lesson.change
    return lesson.change(x, y, drawn)


def _is_uniform(counts: torch.Tensor) -> bool:
    """Whether counts of equally likely outcomes lie within five standard deviations."""
    total, share = int(counts.sum()), 1 / len(counts)
    return bool(((counts - total * share).abs() < 5 * (total * share * (1 - share)) ** 0.5).all())


def test_the_papers_pretexts_can_be_named_alone():
    assert set(ENTRIES) >= {"random_labels", "rotation", "blur"}
    assert all(not entry.required for entry in ENTRIES.values())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_a_pretext_does_to_a_batch_has_shapes_known_beforehand_and_asks_for_no_value(options):
    """On the meta device there are no values, and no tensor of another device may join."""
    lesson = registry.call("pretexts", registry.bind("pretexts", options, (), "pretext"))
    if lesson.change:
        x, numbers = torch.empty((6, 3, 8, 8), device="meta"), torch.zeros(6, dtype=torch.int64, device="meta")
        images, labels = lesson.change(x, numbers, numbers)
        assert (images.shape, images.dtype, images.device.type) == ((6, 3, 8, 8), torch.float32, "meta")
        assert (labels.shape, labels.dtype, labels.device.type) == ((6,), torch.int64, "meta")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_pretext_leaves_the_batch_it_is_given_alone(options):
    lesson = registry.call("pretexts", registry.bind("pretexts", options, (), "pretext"))
    x, y, drawn = IMAGES.clone(), torch.arange(6) % 4, torch.arange(6) % lesson.choices
    before = tuple(tensor.clone() for tensor in (x, y, drawn))
    if lesson.change:
        lesson.change(x, y, drawn)
    assert all(torch.equal(a, b) for a, b in zip((x, y, drawn), before, strict=True))


@pytest.mark.parametrize("lesson", [random_labels(), random_labels(0.3), rotation(fixed=True)])
def test_fixed_labels_are_a_function_of_the_seed_alone(lesson):
    torch.manual_seed(0)
    first = lesson.labels(MANY, 0)
    torch.manual_seed(1)
    assert torch.equal(lesson.labels(MANY, 0), first)
    assert first.dtype == torch.int64 and first.shape == TRUE.shape
    assert not torch.equal(lesson.labels(MANY, 1), first)


def test_drawing_labels_leaves_the_true_ones_alone():
    data = _many(100)
    random_labels(0.5).labels(data, 0)
    assert torch.equal(data.train.y, _many(100).train.y)


def test_random_labels_are_uniform_whatever_the_true_label():
    labels = random_labels().labels(MANY, 0)
    assert _is_uniform(torch.bincount(labels, minlength=10))
    assert all(_is_uniform(torch.bincount(labels[c == TRUE], minlength=10)) for c in range(10))
    assert not _is_uniform(torch.bincount(TRUE, minlength=10))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_a_share_of_the_images_gets_a_random_label_and_one_in_ten_of_those_is_true(share, seed):
    changed = float((random_labels(share).labels(MANY, seed) != TRUE).double().mean())
    assert changed == pytest.approx(share * 0.9, abs=5 * (share * 0.09 / len(TRUE)) ** 0.5)


def test_a_share_touches_images_anywhere():
    wrong = (random_labels(0.3).labels(MANY, 0) != TRUE).double()
    assert all(float(part.mean()) == pytest.approx(0.27, abs=0.05) for part in wrong.chunk(10))


def test_a_smaller_share_touches_some_of_the_images_of_a_larger_one():
    small, large = (random_labels(share).labels(MANY, 0) for share in (0.2, 0.7))
    touched = small != TRUE
    assert torch.equal(small[touched], large[touched])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@given(n=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_rotation_turns_each_image_by_its_own_number_and_makes_it_the_label(layout, n):
    numbers = torch.tensor(n)
    x, y = _change(rotation(), IMAGES.contiguous(memory_format=layout), drawn=numbers)
    assert torch.equal(y, numbers)
    assert all(torch.equal(x[i], torch.rot90(IMAGES[i], k, (1, 2))) for i, k in enumerate(n))


@pytest.mark.parametrize("n", range(4))
def test_four_rotations_are_none(n):
    x = IMAGES
    for _ in range(4):
        x, _y = _change(rotation(), x, drawn=ZEROS + n)
    assert torch.equal(x, IMAGES)


def test_fixed_rotation_goes_by_the_label_and_not_by_what_is_drawn():
    y = torch.arange(6) % 4
    found = _change(rotation(fixed=True), IMAGES, y, (y + 1) % 4)
    expected = _change(rotation(), IMAGES, ZEROS, y)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_rotation_needs_four_outputs_and_draws_among_four_numbers():
    assert (rotation().num_classes, rotation().choices, rotation().labels) == (4, 4, None)
    assert (rotation(fixed=True).num_classes, rotation(fixed=True).choices) == (4, 1)
    assert _is_uniform(torch.bincount(rotation(fixed=True).labels(MANY, 0), minlength=4))


@pytest.mark.parametrize("fixed", [False, True])
def test_images_that_are_not_square_are_not_rotated(fixed):
    with pytest.raises(ValueError, match="height and width must be equal for quarter turns, got 8x4; use square images"):
        _change(rotation(fixed), IMAGES[:, :, :, :4])


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_blur_keeps_a_constant_image_and_every_label(factor, antialias):
    x, y = _change(blur(factor, antialias), torch.full((6, 3, 8, 16), -1.7), torch.arange(6))
    torch.testing.assert_close(x, torch.full((6, 3, 8, 16), -1.7))
    assert torch.equal(y, torch.arange(6))


def test_blur_by_four_in_closed_form():
    """A small pixel is the mean of the two by two in the middle of its four by four; between small ones it is linear."""
    x = _change(blur(4), IMAGES)[0]
    small = IMAGES.unfold(2, 4, 4).unfold(3, 4, 4)[..., 1:3, 1:3].mean((4, 5))
    right = torch.tensor([0, 0, 1, 3, 5, 7, 8, 8]) / 8
    across = small[..., :1] * (1 - right) + small[..., 1:] * right
    expected = across[:, :, :1] * (1 - right)[:, None] + across[:, :, 1:] * right[:, None]
    torch.testing.assert_close(x, expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_blurring_and_normalising_may_change_places(factor):
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.1, 0.3)
    raw = toys.split(6, "raw", (3, 8, 8)).x
    x = _change(blur(factor), Normaliser(Dataset(MANY.train, MANY.test, 10, mean, std))(raw))[0]
    small = F.interpolate(raw.double() / 255, scale_factor=1 / factor, mode="bilinear", align_corners=False)
    large = F.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)
    expected = (large - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(x.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
def test_antialiased_blur_is_pils(factor):
    x = _change(blur(factor, antialias=True), IMAGES)[0]
    for found, image in zip(x[:, 0], IMAGES[:, 0], strict=True):
        small = Image.fromarray(image.numpy()).resize((8 // factor, 8 // factor), Image.Resampling.BILINEAR)
        expected = np.asarray(small.resize((8, 8), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
def test_blur_makes_a_checkerboard_grey(antialias):
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    x = _change(blur(4, antialias), board.expand(6, 3, 8, 8))[0]
    # At the image's edge a triangle is cut off, and no longer weighs black and white quite alike.
    torch.testing.assert_close(x, torch.zeros(6, 3, 8, 8), rtol=0, atol=0.01 if antialias else 0)


def test_blur_is_the_same_in_both_memory_layouts():
    x = _change(blur(4), IMAGES.contiguous(memory_format=torch.channels_last))[0]
    torch.testing.assert_close(x, _change(blur(4), IMAGES)[0])


@pytest.mark.parametrize("shape", [(6, 3, 8, 6), (6, 3, 6, 8)])
def test_images_that_the_factor_does_not_divide_are_refused(shape):
    height, width = shape[2:]
    with pytest.raises(ValueError, match=f"must be divisible by the blur's factor 4, got {height}x{width}; change it"):
        _change(blur(4), torch.zeros(shape))
