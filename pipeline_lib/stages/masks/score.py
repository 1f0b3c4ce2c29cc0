"""State + mask -> a derivative by weight, which a pruning criterion looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from pipeline_lib.core import algebra, registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import data, masks
from pipeline_lib.stages.support.data import World
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.batches import Normaliser

STAGE = {
    "score": {
        "group": "masks",
        "needs": "state + mask",
        "makes": "a derivative by weight, which a criterion looks at",
        "files": ["scores.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [12e-4, "examples", "seeds"],
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """A derivative of networks whose next masks, those of `level`, it is for.

    Args:
        derivative: which one.
        examples: training images that it is computed on.
        batch_size: images in a batch.
    """

    derivative: str
    examples: int
    batch_size: int


def _batches(world: World, num: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield as many training images, drawn at random, in mini-batches of a size or little less; the same ones for all seeds."""
    split = world.dataset.train
    normalise = Normaliser(world.dataset, world.device)
    chosen = torch.randperm(len(split.y), generator=torch_generator("score", num))[:num]
    # Of nearly one size: BatchNorm normalises with each one's own statistics.
    for part in chosen.tensor_split(math.ceil(len(chosen) / size)):
        at = part.to(world.device)
        yield world.numerics.lay(normalise(split.x[at].to(world.device))), split.y[at]


def derivative(world: World, name: str, state: State, mask: Mask, examples: int, batch_size: int) -> dict[str, Tensor]:
    """Compute a derivative by weight that criteria may look at.

    Args:
        world: of the task.
        name: a function of `analysis/derivatives`.
        state: the network.
        mask: what survives; the derivative is that at the masked state.
        examples: training images to take.
        batch_size: about how many at a time.

    Returns:
        By prunable tensor, on the world's device.
    """
    there = algebra.moved(algebra.masked(state, mask), world.device)
    batches = partial(_batches, world, examples, batch_size)
    return registry.entries("derivatives")[name].load()(network=world.network, state=there, batches=batches, mask=mask)


def run(job: Job[Spec]) -> None:
    """Compute a derivative for a chunk of seeds; zeros where a run has diverged or no weight is left."""
    spec, world = job.spec, data.world(job)
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    shapes = {name: states[0].params[name].shape for name in head["prunable"]}
    kept = masks.read(job, shapes)
    members: list[dict[str, Tensor]] = []
    for seed, state, mask, lost in zip(spec["seeds"], states, kept.members, head["diverged"], strict=True):
        if lost or not num_kept(mask):
            members.append({name: torch.zeros(shape, device=world.device) for name, shape in shapes.items()})
            continue
        members.append(derivative(world, spec["derivative"], state, mask, spec["examples"], spec["batch_size"]))
        log.info("seed %d level %d: %s of %d weights", seed, spec["level"], spec["derivative"], num_kept(mask))
    stacked = {name: torch.stack([member[name].double() for member in members]) for name in members[0]}
    artifacts.write_tensors(job.folder / "scores.safetensors", stacked, job.meta())
