"""Solution + mask -> next mask, as sparse as the training loss allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.analysis.paths import alphas, paths
from pipeline_lib.core import algebra, registry
from pipeline_lib.core.types import Dataset, Mask, Split, State
from pipeline_lib.pretexts.support.streams import stream
from pipeline_lib.pruning import masks, selection
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.masks import read
from pipeline_lib.stages.support.training import numerics
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.batches import steps_per_epoch
from pipeline_lib.training.evaluation import chunks, subset
from pipeline_lib.training.loop import Member, Recipe, train
from pipeline_lib.training.optimisers.sgd import sgd
from pipeline_lib.training.schedules.steps import constant

STAGE = {
    "adapt": {
        "needs": "solution + mask",
        "makes": "next mask, as sparse as the training loss allows",
        "files": ["mask.safetensors"],
        "cluster": {"minutes": 60, "megabytes": 8000},
        "rate": "evaluation",
        "size": [55, "seeds"],
        "tables": {
            "ratios": {
                "of": ["the solution"],
                "columns": [
                    "task", "seed", "k", "start", "level",
                    ["fraction", "double", "1", "share of the survivors that is pruned on the way to this level"],
                    ["highest_loss", "double", "nats", "highest training loss between the solution and its projection"],
                    ["threshold", "double", "nats", "training loss that it may not exceed"],
                    ["chosen", "bool", "-", "whether this is the ratio that the mask was made with"],
                    ["density", "double", "1", "share of prunable weights that the ratio leaves"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Training, specs.Seeds):
    """Next masks, by ratios that a rule chooses.

    Args:
        k: rewind step of the ladder.
        level: that the masks are for.
        start: what the ladder's dense network starts from, in words.
        rule: how a ratio is chosen.
        floor: least ratio, share of survivors.
        scope: within which scores are compared.
        criterion: whose scores decide.
        order: of the batches that the networks were trained on.
    """

    k: int
    level: int
    start: str
    rule: specs.Bound
    floor: float
    scope: str
    criterion: str
    order: int


POINTS = 11  # looked at between a solution and its projection, ends included
Tries = dict[float, Mask]


@dataclass(frozen=True)
class _Setting:
    """What the members of a chunk share; `subset` is the part of the training images that losses are measured on."""

    spec: Spec
    world: data.World
    subset: Split


def batch_losses(
    network: nn.Sequential, state: State, task: specs.Task, dataset: Dataset, order: tuple[int, int]
) -> Float[Tensor, " num_batches"]:
    """Compute the losses of a trained state on the mini-batches of the last epoch of its own training.

    These are the losses that training would have seen, BatchNorm with each batch's own statistics, augmentation included: it is
    the training loop itself, at a learning rate of 0.

    Differs: paper C takes the losses from the last epoch itself, in which weights still move a little, at the final rate.
    """
    losses: list[Tensor] = []
    batches = stream(dataset, order, task["batch_size"], task["pad"], task["flip"], task["channels_last"])
    first = max(task["steps"] - steps_per_epoch(len(dataset.train.y), task["batch_size"]), 0)
    start = State(state.params, state.buffers, first)
    member = Member(start, None, batches, lambda progress: losses.append(progress.loss.clone()))
    train(network, [member], Recipe(lambda vector: sgd(vector, lr=0.0), constant(), numerics(task)), task["steps"])
    return torch.stack(losses)


@torch.no_grad()
def example_losses(
    network: nn.Sequential, state: State, task: specs.Task, dataset: Dataset, split: Split
) -> Float[Tensor, " num_images"]:
    """Compute the loss of a state on each image of a split, in eval mode and without augmentation."""
    network.eval()
    how = numerics(task)
    tensors = how.lay_all({**state.params, **state.buffers})
    with how.autocast(split.y.device):
        found = [
            F.cross_entropy(functional_call(network, tensors, (x,)).float(), y, reduction="none")
            for x, y in chunks(split, dataset, how)
        ]
    return torch.cat(found)


def _array(losses: Tensor) -> np.ndarray:
    return artifacts.array(losses.double())


def _highest_loss(setting: _Setting, state: State, prune_by: Callable[[float], Mask]) -> Callable[[float], float]:
    """Make the function from a ratio to the highest loss on the way from a state to its projection; only weights move."""

    def highest(fraction: float) -> float:
        ends, world = [state, algebra.masked(state, prune_by(fraction))], setting.world
        found = paths(world.network, ends, [(1, 0)], alphas(POINTS), setting.subset, world.dataset, world.numerics)
        return float(np.max([score.loss for score in found[1, 0]]))

    return highest


def _choose(
    setting: _Setting, seed: int, state: State, dense: State, mask: Mask, diverged: bool
) -> tuple[Mask, list[dict[str, Any]]]:
    """Choose one member's next mask, and tell of each ratio that was tried; of a diverged run there is the floor alone."""
    spec, world, made = setting.spec, setting.world, Tries()
    known = {"weights": {name: artifacts.array(state.params[name]) for name in mask}}

    def prune_by(fraction: float) -> Mask:
        made[fraction] = selection.prune("magnitude", known, mask, fraction, spec["scope"])
        return made[fraction]

    if diverged:
        kept = prune_by(spec["floor"])
        row = {"fraction": spec["floor"], "highest_loss": None, "threshold": None, "chosen": True}
        return kept, [row | {"density": masks.density(kept)}]
    whole, about = algebra.moved(dense, world.device), (spec["task"], world.dataset)
    tried = registry.call(
        "ratios",
        spec["rule"],
        dense_batches=_array(batch_losses(world.network, whole, *about, (seed, spec["order"]))),
        dense_examples=_array(example_losses(world.network, whole, *about, setting.subset)),
        highest_loss=_highest_loss(setting, algebra.moved(state, world.device), prune_by),
        floor=spec["floor"],
    )
    (chosen,) = [each for each in tried if each.chosen]
    log.info("seed %d: prune %g, loss %.4f of at most %.4f", seed, chosen.fraction, chosen.highest_loss, chosen.threshold)
    return made[chosen.fraction], [asdict(each) | {"density": masks.density(made[each.fraction])} for each in tried]


def _setting(job: Job[Spec]) -> _Setting:
    """Read what a job works on.

    Raises:
        ValueError: the rule is to look at fewer than two images.
    """
    world = data.world(job)
    num = job.spec["rule"].get("examples", len(world.dataset.train.y))
    if num < 2:
        raise ValueError(f"examples must be at least 2, got {num}; the rule needs the mean loss over many training images")
    # The same images for all seeds and levels.
    return _Setting(job.spec, world, subset(world.dataset.train, num, "adapt"))


def run(job: Job[Spec]) -> None:
    """Make the next masks of a chunk of seeds by magnitude, each by the ratio that the rule chooses.

    Where the solution or the dense network has diverged, the least ratio is taken and the mask says that it has.

    Source: paper C, appendix F; ambiguity C-X11.
    """
    spec = job.spec
    setting = _setting(job)
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    dense, dense_head = artifacts.read_states(job.file("dense", "state.safetensors"))
    diverged = [one or other for one, other in zip(head["diverged"], dense_head["diverged"], strict=True)]
    kept = read(job, {name: states[0].params[name].shape for name in head["prunable"]})
    diverged = [before or now for before, now in zip(kept.diverged, diverged, strict=True)]
    members: list[Mask] = []
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(spec["seeds"]):
        chosen, tried = _choose(setting, seed, states[i], dense[i], kept.members[i], diverged[i])
        who = {key: spec[key] for key in ("start", "k", "level")} | {"task": spec["task"]["name"], "seed": seed}
        who |= {"key": head["key"]}
        rows += [who | row for row in tried]
        members.append(chosen)
    stacked = {name: np.stack([member[name] for member in members]) for name in members[0]}
    artifacts.write_arrays(job.folder / "mask.safetensors", stacked, job.meta(**masks.ended(members, diverged, kept.empty)))
    artifacts.write_rows(job.folder / "ratios.parquet", rows)
