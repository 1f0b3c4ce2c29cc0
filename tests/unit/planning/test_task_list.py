from __future__ import annotations

import re

import pytest

from pipeline_lib.experiments import config
from pipeline_lib.planning import task_list

# Parameters of each task's network, from the papers' tables and torchvision's.
_LAYER = 4 * 32 + 4 * (32 * 32 + 32) + (32 * 128 + 128) + (128 * 32 + 32)  # norms, attention, and what follows it
PARAMETERS = {
    "characters": 96 * 32 + 16 * 32 + 2 * _LAYER + 2 * 32 + (32 * 96 + 96),
    "digits_mlp": 64 * 100 + 100 + 100 * 50 + 50 + 50 * 10 + 10,
    "digits_resnet": 19_810,
    "digits_vit": (4 * 32 + 32) + 16 * 32 + 2 * _LAYER + 2 * 32 + (32 * 10 + 10),
    "inception_imagenet": 27_161_264,
    "lenet_fashionmnist": 266_610,
    "lenet_mnist": 266_610,
    "lenet_mnist_lth": 266_610,
    "resnet18": 11_181_642,
    "resnet18_cifar100": 11_220_132,
    "resnet20": 272_474,
    "resnet20_early": 272_474,
    "resnet20_long": 272_474,
    "resnet20_low": 272_474,
    "resnet20_short": 272_474,
    "resnet20_tenth": 272_474,
    "resnet20_warmup": 272_474,
    "resnet8_cifar": 78_378,
    "resnet50_imagenet": 25_557_032,
    "resnet50_imagenet_short": 25_557_032,
    "resnet56": 855_770,
    "vgg13": 9_416_010,
    "vgg16": 14_728_266,
    "vgg16_low": 14_728_266,
    "vgg16_warmup": 14_728_266,
    "wrn16_8": 11_093_130,
    "wrn16_8_original": 10_961_370,
}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return task_list.report().splitlines()


def _cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_every_task_file_is_listed_once(lines):
    assert [_cells(line)[0] for line in lines[1:]] == list(config.task_files()) == sorted(PARAMETERS)


def test_the_parameters_are_the_known_numbers(lines):
    found = {_cells(line)[0]: int(_cells(line)[2].replace(",", "")) for line in lines[1:]}
    assert found == PARAMETERS


def test_the_table_has_a_head_and_straight_columns(lines):
    head = ["task", "network", "parameters", "data set", "training images", "batch", "optimiser", "lr", "schedule", "steps"]
    assert _cells(lines[0]) == head
    begins = [lines[0].index(f"{name}") for name in head]
    for line in lines:
        assert len(_cells(line)) == len(head)
        assert line == line.rstrip()
        assert all(line[begin] != " " and line[begin - 2 : begin] in ("", "  ") for begin in begins)


@pytest.mark.parametrize(
    ("task", "rest"),
    [
        ("resnet20", ["cifar10", "50,000", "128", "sgd", "0.1", "step_drops", "62,400"]),
        ("lenet_mnist", ["mnist", "60,000", "60", "adam", "0.0012", "constant", "24,000"]),
        ("resnet50_imagenet_short", ["image_folder", "1,281,167", "2048", "decoupled_sgd", "2.048", "cosine_decay", "15,970"]),
    ],
)
def test_a_row_is_the_tasks_recipe(lines, task, rest):
    row = next(_cells(line) for line in lines if _cells(line)[0] == task)
    assert row[3:] == rest


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ({"name": "mnist"}, ((1, 28, 28), 10)),
        ({"name": "fashionmnist"}, ((1, 28, 28), 10)),
        ({"name": "cifar10"}, ((3, 32, 32), 10)),
        ({"name": "cifar100"}, ((3, 32, 32), 100)),
        ({"name": "digits", "size": 16}, ((1, 16, 16), 10)),
        ({"name": "image_folder", "size": 299, "num_classes": 1000}, ((3, 299, 299), 1000)),
        ({"name": "image_folder", "num_classes": 10}, ((3, 224, 224), 10)),
    ],
)
def test_examples_have_the_shape_and_classes_of_the_data_set(dataset, expected):
    assert task_list.examples(dataset) == expected
