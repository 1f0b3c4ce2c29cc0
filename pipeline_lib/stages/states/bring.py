"""A checkpoint's file -> its state, for a chunk of seeds, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import State
from pipeline_lib.stages.support import brought, data
from pipeline_lib.store import artifacts, foreign, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import evaluate

STAGE = {
    "bring": {
        "needs": "a checkpoint's file",
        "makes": "its state, and its errors",
        "files": ["state.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [2],
        "tables": {
            "brought": {
                "of": ["the checkpoint"],
                "columns": [
                    "task", "seed",
                    ["checkpoint", "string", "-", "its name in the config"],
                    "step",
                    ["density", "double", "1", "share of prunable weights that are not zero"],
                    ["train_error", "double", "1", "share of wrong predictions on the training split"],
                    ["train_loss", "double", "nats", "mean cross-entropy on the training split"],
                    "test_error", "test_loss",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Measured, brought.File):
    """A network that was trained elsewhere.

    Args:
        checkpoint: its name in the config.
        step: of the task at which it is.
        members: seeds that it stands for, each with an order: as a run's artifact lists them.
    """

    checkpoint: str
    step: int
    members: list[list[int]]


def _state(network: nn.Module, file: Path, step: int) -> State:
    """Read a checkpoint as a state of a network, in its number formats.

    Raises:
        ValueError: it does not fit, or has a value that is not finite.
    """
    expected = network.state_dict()
    found = foreign.fitted(foreign.tensors(file), expected, file)
    own = {name: found[name].to(expected[name].dtype) for name in expected}
    odd = [name for name, tensor in own.items() if not bool(torch.isfinite(tensor).all())]
    if odd:
        raise ValueError(f"checkpoint {file} must be finite, got another value in {foreign.listed(odd)}; take an earlier one")
    params = {name: own[name] for name, _ in network.named_parameters()}
    return State(params, {name: own[name] for name, _ in network.named_buffers()}, step)


def run(job: Job[Spec]) -> None:
    """Read a checkpoint and evaluate it."""
    spec, file, world = job.spec, brought.path(job, "checkpoint"), data.world(job)
    state = _state(world.network, file, spec["step"])
    there, names = algebra.moved(state, world.device), prunable(world.network)
    kept = sum(int(state.params[name].count_nonzero()) for name in names)
    density = kept / sum(state.params[name].numel() for name in names)
    who: dict[str, Any] = {"task": spec["task"]["name"], "density": density}
    who |= {"checkpoint": spec["checkpoint"], "step": spec["step"]}
    for split in ("train", "test"):
        score = evaluate(world.network, there, world.split(split), world.dataset, world.numerics)
        who |= {f"{split}_error": score.error, f"{split}_loss": score.loss}
    log.info("%s: test error %.2f%%", spec["checkpoint"], 100 * who["test_error"])
    num = len(spec["members"])
    rows = [who | {"seed": seed, "key": job.key} for seed, _ in spec["members"]]
    artifacts.write_rows(job.folder / "brought.parquet", rows)
    errors = {split: [who[f"{split}_error"]] * num for split in ("train", "test")}
    each = {"diverged": [False] * num, "density": [density] * num, "errors": errors}
    meta = job.meta(prunable=names, params=list(state.params), **each)
    artifacts.write_states(job.folder / "state.safetensors", [state] * num, meta)
