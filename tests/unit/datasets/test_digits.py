from __future__ import annotations

import pytest
import torch

from pipeline_lib.datasets.digits import digits


def test_the_split_is_fixed_and_has_every_image_once():
    data, again = digits(None), digits(None)
    assert (len(data.train.y), len(data.test.y), data.num_classes) == (1440, 357, 10)
    assert torch.equal(data.train.x, again.train.x)
    from sklearn.datasets import load_digits

    ours = torch.cat([data.train.x, data.test.x]).view(-1, 64).double().mul(16 / 255).round()
    theirs = torch.from_numpy(load_digits().data)
    assert torch.equal(ours[_sorting(ours)], theirs[_sorting(theirs)])


def _sorting(rows: torch.Tensor) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.lexsort(rows.numpy().T))


def test_images_are_bytes_and_labels_whole_numbers():
    data = digits(None)
    assert (data.train.x.dtype, data.train.y.dtype) == (torch.uint8, torch.int64)
    assert data.train.x.shape == (1440, 1, 8, 8)
    assert (data.train.x.min(), data.train.x.max()) == (0, 255)
    assert set(data.test.y.tolist()) == set(range(10))


def test_the_training_split_is_normalised_to_mean_0_and_deviation_1():
    data = digits(None)
    scaled = (data.train.x.double() / 255 - data.mean[0]) / data.std[0]
    assert scaled.mean().item() == pytest.approx(0, abs=1e-9)
    assert scaled.std().item() == pytest.approx(1, abs=1e-9)


def test_size_16_repeats_every_pixel_twice():
    small, large = digits(None), digits(None, size=16)
    assert large.train.x.shape == (1440, 1, 16, 16)
    for row in (0, 1):
        for column in (0, 1):
            assert torch.equal(large.train.x[:, :, row::2, column::2], small.train.x)
    assert torch.equal(large.train.y, small.train.y)


@pytest.mark.parametrize("num_train", [1, 100, 1440])
def test_fewer_training_images_are_a_fixed_part(num_train):
    whole, some, again = digits(None), digits(None, num_train=num_train), digits(None, num_train=num_train)
    assert some.train.x.shape == (num_train, 1, 8, 8)
    assert torch.equal(some.train.x, whole.train.x[:num_train])
    assert torch.equal(some.train.y, whole.train.y[:num_train])
    assert torch.equal(some.train.x, again.train.x)


def test_fewer_training_images_change_neither_test_images_nor_normalisation():
    whole, some = digits(None), digits(None, num_train=10)
    assert torch.equal(some.test.x, whole.test.x)
    assert torch.equal(some.test.y, whole.test.y)
    assert (some.mean, some.std) == (whole.mean, whole.std)
