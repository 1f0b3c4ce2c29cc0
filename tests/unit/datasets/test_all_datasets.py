"""What every registered data set tells of itself."""

from __future__ import annotations

import importlib

import pytest

from pipeline_lib.core import registry
from pipeline_lib.datasets.digits import digits
from pipeline_lib.planning import task_list

DATASETS = registry.entries("datasets")


def test_the_data_sets_are_these():
    shipped = {"digits", "mnist", "mnist_scaled", "fashionmnist", "cifar10", "cifar100", "image_folder"}
    assert set(DATASETS) == shipped | {"arrays", "small_image_folder", "torchvision_set", "hugging_face", "characters"}


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_an_example(name):
    (channels, height, width), num_classes = importlib.import_module(DATASETS[name].module).EXAMPLES[name]
    assert channels in (1, 3)
    assert min(height * width, num_classes) > 1


@pytest.mark.parametrize("module", sorted({entry.module for entry in DATASETS.values()}))
def test_examples_are_those_of_the_functions_beside_them(module):
    assert set(importlib.import_module(module).EXAMPLES) == {n for n, entry in DATASETS.items() if entry.module == module}


@pytest.mark.parametrize("name", DATASETS)
def test_the_number_of_training_images_is_an_option(name):
    assert "num_train" in {*DATASETS[name].required, *DATASETS[name].defaults}


@pytest.mark.parametrize("size", [8, 16])
def test_the_digits_are_like_their_example(size):
    data = digits(None, size)
    shape, num_classes = task_list.examples({"name": "digits", "size": size})
    assert (tuple(data.train.x.shape[1:]), data.num_classes) == (shape, num_classes)
