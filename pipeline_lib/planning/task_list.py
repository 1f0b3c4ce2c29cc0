"""The list of tasks: networks, data sets and recipes in one table."""

from __future__ import annotations

from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import config

_HEAD = ("task", "network", "parameters", "data set", "training images", "batch", "optimiser", "lr", "schedule", "steps")


def examples(dataset: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
    """Give the shape of a data set's examples and its number of classes, without its data."""
    (channels, height, width), num_classes = registry.stated("datasets", "EXAMPLES")[dataset["name"]]
    size = dataset.get("size")
    return (channels, size or height, size or width), dataset.get("num_classes", num_classes)


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    import torch

    from pipeline_lib.core.parameters import num_params

    shape, num_classes = examples(task["dataset"])
    with torch.device("meta"):
        network = registry.call("networks", task["network"], input_shape=shape, num_classes=num_classes)
    parts = {part: task[part]["name"] for part in ("network", "dataset", "optimiser", "schedule")}
    return (
        task["name"], parts["network"], f"{num_params(network):,}", parts["dataset"], f"{task['dataset']['num_train']:,}",
        str(task["batch_size"]), parts["optimiser"], f"{task['optimiser']['lr']:g}", parts["schedule"], f"{task['steps']:,}",
    )  # fmt: skip


def rows() -> list[dict[str, str]]:
    """Describe all tasks of `config/tasks`."""
    return [dict(zip(_HEAD, _row(config.load_task(name)), strict=True)) for name in config.task_files()]


def report() -> str:
    """Write the table, a line a task."""
    table = [_HEAD, *(tuple(row.values()) for row in rows())]
    widths = [max(len(row[i]) for row in table) for i in range(len(_HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
