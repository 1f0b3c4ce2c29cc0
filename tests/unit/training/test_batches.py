from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.torchvision_import import torchvision_functional
from pipeline_lib.core.types import Dataset, Stream
from pipeline_lib.datasets.image_folders import image_folder
from pipeline_lib.training.batches import Normaliser, epoch_batches, steps_per_epoch, stream
from pipeline_lib.training.crops import CropAndFlip

DATA = toys.dataset()
PLAIN = {"pad": 0, "flip": False}
CROPPED = {"pad": 1, "flip": True}


def _at(batches: Stream, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    batches.load(step)
    return tuple(tensor.clone() for tensor in batches.draw())


def _equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@given(st.permutations(range(10)), st.sampled_from([PLAIN, CROPPED]))
def test_a_batch_depends_on_order_and_step_alone(steps, augmentation):
    straight = [_at(stream(DATA, (0, 1), 6, **augmentation), step) for step in range(10)]
    shared = stream(DATA, (0, 1), 6, **augmentation)
    assert all(_equal(_at(shared, step), straight[step]) for step in steps)


@pytest.mark.parametrize("other", [(0, 2), (1, 1), (1, 0)])
def test_two_orders_have_different_batches(other):
    first, second = (epoch_batches(order, 0, 20, 6) for order in ((0, 1), other))
    assert (first != second).any(1).all()


@pytest.mark.parametrize("other", [(0, 2), (1, 1)])
def test_two_orders_have_different_crops(other):
    same = toys.dataset(num_train=6)
    first, second = (stream(same, order, 6, pad=2) for order in ((0, 1), other))
    assert not torch.equal(_at(first, 0)[0].sort(0).values, _at(second, 0)[0].sort(0).values)


def test_the_global_generator_has_no_part():
    torch.manual_seed(0)
    first = _at(stream(DATA, (0, 1), 6, **CROPPED), 4)
    torch.manual_seed(1)
    assert _equal(_at(stream(DATA, (0, 1), 6, **CROPPED), 4), first)


@given(st.integers(1, 30), st.data())
def test_an_epoch_visits_an_example_at_most_once_and_drops_the_partial_batch(num, data):
    size = data.draw(st.integers(1, num))
    for epoch in range(2):
        seen = epoch_batches((0, 0), epoch, num, size).flatten().tolist()
        assert len(seen) == len(set(seen)) == num // size * size
        assert set(seen) <= set(range(num))


def test_two_epochs_differ():
    assert not torch.equal(epoch_batches((0, 0), 0, 20, 20), epoch_batches((0, 0), 1, 20, 20))


def test_inputs_and_labels_belong_together():
    x, y = _at(stream(DATA, (0, 0), 6), 4)
    chosen = epoch_batches((0, 0), 1, 20, 6)[1]
    assert torch.equal(x, Normaliser(DATA)(DATA.train.x[chosen]))
    assert torch.equal(y, DATA.train.y[chosen])


def test_the_paper_counts_390_steps_an_epoch_on_cifar():
    assert steps_per_epoch(50_000, 128) == 390


@pytest.mark.parametrize("size", [0, -1, 21])
def test_a_batch_size_outside_the_training_set_is_refused(size):
    with pytest.raises(ValueError, match=rf"batch_size must be in \[1, 20\], got {size}"):
        stream(DATA, (0, 0), size)


def test_normalise_in_closed_form_for_each_channel():
    x = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 1, 1)
    data = Dataset(DATA.train, DATA.test, 3, (0.5, 0.2), (0.25, 0.1))
    expected = torch.tensor([[-2.0, -2.0], [-1.2, 0.0], [2.0, 8.0]]).view(3, 2, 1, 1)
    torch.testing.assert_close(Normaliser(data)(x), expected, rtol=0, atol=1e-6)


def test_normalise_is_torchvisions():
    functional, x = torchvision_functional(), toys.split(5, "norm", (3, 4, 4)).x
    data = Dataset(DATA.train, DATA.test, 3, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    expected = functional.normalize(functional.to_dtype(x, torch.float32, scale=True), list(data.mean), list(data.std))
    torch.testing.assert_close(Normaliser(data)(x), expected, rtol=1e-6, atol=1e-6)


def test_normalise_leaves_the_bytes_alone():
    before = DATA.train.x.clone()
    Normaliser(DATA)(DATA.train.x)
    assert torch.equal(DATA.train.x, before)


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_crop_and_flip_is_torchvisions_for_fixed_parameters(pad):
    functional, x = torchvision_functional(), toys.split(12, "crop", (3, 6, 5)).x
    generator = torch.Generator().manual_seed(pad)
    top, left = torch.randint(0, 2 * pad + 1, (2, 12), generator=generator)
    mirrored = torch.arange(12) % 2
    crop = CropAndFlip(x.shape, pad, x.device)
    crop(255 - x, left, top, 1 - mirrored)  # another batch before leaves nothing
    found = crop(x, top, left, mirrored)
    for i, image in enumerate(x):
        expected = functional.crop(functional.pad(image, [pad]), int(top[i]), int(left[i]), 6, 5)
        assert torch.equal(found[i], functional.horizontal_flip(expected) if mirrored[i] else expected)


def test_augmentation_agrees_with_torchvisions_transforms_in_distribution():
    """Mean image over many draws of one image: torchvision's random transforms against ours, within five standard errors."""
    torchvision_functional()
    from torchvision.transforms import v2

    num, image = 4000, toys.split(1, "one", (1, 5, 5)).x
    torch.manual_seed(3)
    usual = v2.Compose([v2.RandomCrop(5, padding=2), v2.RandomHorizontalFlip()])
    theirs = torch.stack([usual(image[0]) for _ in range(num)]).double()
    one = toys.Split(image.expand(num, 1, 5, 5), torch.zeros(num, dtype=torch.int64))
    data = Dataset(one, one, 3, (0.0,), (1 / 255,))
    ours = _at(stream(data, (0, 0), num, pad=2, flip=True), 0)[0].double()
    error = ((ours.var(0) + theirs.var(0)) / num).sqrt()
    assert error.min() > 0
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 5 * error).all()


def test_a_batchs_crops_and_mirrorings_are_those_of_its_epochs_draws():
    """Shifts from the top, then from the left, then mirrorings, for all of an epoch's batches at once."""
    functional, data, order, epoch = torchvision_functional(), toys.dataset(num_train=20), (2, 1), 1
    generator = torch_generator("augment", *order, "epoch", epoch)
    tops, lefts = torch.randint(0, 5, (2, 3, 6), generator=generator)
    mirrored = torch.randint(0, 2, (3, 6), generator=generator)
    chosen = epoch_batches(order, epoch, 20, 6)
    for i in range(3):
        x, _ = _at(stream(data, order, 6, pad=2, flip=True), 3 * epoch + i)
        for j in range(6):
            padded = functional.pad(data.train.x[chosen[i, j]], [2])
            expected = functional.crop(padded, int(tops[i, j]), int(lefts[i, j]), *data.train.x.shape[2:])
            expected = functional.horizontal_flip(expected) if mirrored[i, j] else expected
            assert torch.equal(x[j], Normaliser(data)(expected[None])[0])


def test_all_25_crops_and_both_mirrorings_occur():
    x = torch.zeros(2000, 1, 5, 5, dtype=torch.uint8)
    x[:, :, 2, 2], x[:, :, 2, 3] = 200, 100
    data = Dataset(toys.Split(x, torch.zeros(2000, dtype=torch.int64)), DATA.test, 3, (0.0,), (1 / 255,))
    drawn = _at(stream(data, (0, 0), 2000, pad=2, flip=True), 0)[0]
    assert len(torch.unique(drawn.flatten(1).round(), dim=0)) == 2 * 25


def test_channels_last_changes_the_layout_alone():
    plain, last = (_at(stream(toys.dataset(shape=(3, 4, 4)), (0, 0), 6, **CROPPED, channels_last=c), 3) for c in (False, True))
    assert _equal(plain, last)
    assert plain[0].is_contiguous()
    assert last[0].is_contiguous(memory_format=torch.channels_last)
    assert _at(stream(toys.dataset(shape=(3, 4, 4)), (0, 0), 6), 3)[0].is_contiguous(), "plain unless it is asked for"


def test_one_channel_is_the_innermost_where_images_are_cropped():
    """What convolutions take for their layout decides their rounding."""
    x, _ = _at(stream(DATA, (0, 0), 6, **CROPPED), 3)
    assert x.stride() == (16, 1, 4, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for part, num in (("train", 7), ("val", 3)):
        for label in ("cat", "dog"):
            place = root / "pets" / part / label
            place.mkdir(parents=True)
            for i in range(num):
                Image.fromarray(rng.integers(0, 256, (20 + i, 24, 3), dtype=np.uint8)).save(place / f"{i}.jpg")
    return root


def _pets(root: Path) -> Dataset:
    return image_folder(root, num_train=14, num_classes=2, folder="pets", size=8, resize=10)


@given(st.permutations(range(5)))
def test_streamed_batches_depend_on_order_and_step_alone(folder, steps):
    data = _pets(folder)
    straight = [_at(stream(data, (0, 1), 4, flip=True), step) for step in range(5)]
    shared = stream(data, (0, 1), 4, flip=True)
    assert all(_equal(_at(shared, step), straight[step]) for step in steps)
    assert straight[0][0].shape == (4, 3, 8, 8)


def test_of_steps_in_order_each_is_decoded_once_and_one_ahead(folder, monkeypatch):
    data, decoded = _pets(folder), []
    files, crops = type(data.train.x), type(data.train.x).random_crops
    monkeypatch.setattr(files, "random_crops", lambda images, *more: decoded.append(images) or crops(images, *more))
    batches = stream(data, (0, 0), 4)
    for step in range(4):
        _at(batches, step)
    batches._pool.shutdown()
    assert sum(images is data.train.x for images in decoded) == 4 + 1, "other streams may still be at work"


def test_streamed_labels_belong_to_their_images(folder):
    data = _pets(folder)
    _, y = _at(stream(data, (0, 0), 5), 3)
    assert torch.equal(y, data.train.y[epoch_batches((0, 0), 1, 14, 5)[1]])


def test_two_visits_of_an_image_have_different_crops(folder):
    batches = stream(_pets(folder), (0, 0), 14)
    first, second = _at(batches, 0)[0], _at(batches, 1)[0]
    assert not torch.equal(first.sum((1, 2, 3)).sort().values, second.sum((1, 2, 3)).sort().values)


def test_padding_of_files_is_refused(folder):
    with pytest.raises(ValueError, match="pad must be 0 for a data set of files, got 2"):
        stream(_pets(folder), (0, 0), 4, pad=2)
