"""What every experiment says of a task: replicates, rewind steps, the ladder, and the lines between its networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pipeline_lib.core import values
from pipeline_lib.core.values import Count, Examples, Fraction, Items, Length, Level, Points, PositiveShare
from pipeline_lib.experiments import criteria, starts
from pipeline_lib.experiments.brought import NONE, Own
from pipeline_lib.experiments.settings.keys import BeforeEnd, Shape, key, refuse_repetitions

_NUMBER = {"type": "integer", "minimum": 1, "maximum": 100000}
_NAMES = {"type": "integer", "minimum": 0, "maximum": 1000000000}
_REPLICATES = {"oneOf": [_NUMBER, {"type": "array", "minItems": 1, "uniqueItems": True, "items": _NAMES}]}
Replicates = Annotated[tuple[int, ...], Shape("a whole number, or a list of whole numbers", _REPLICATES)]
RewindSteps = Annotated[tuple[Length, ...], Items(1), BeforeEnd()]
Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class PerJob:
    """Replicates that one job trains side by side; more of them add jobs and change none."""

    seeds: Count = key(1, "replicates", "initialisations in a job")
    orders: Count = key(1, "replicates", "orders of SGD noise in a job; the ladder's own is always a job of its own")


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """How ladders prune."""

    criterion: str = key(
        "magnitude", "", "which weights go: magnitude, random, [snip, grasp, synflow, taylor](adding-a-criterion.md)"
    )
    examples: Examples = key(2000, "images", "training images that criteria look at which look at data, the same for all seeds")
    at: Literal["end", "start"] = key("end", "", "whether a mask is made of what the level before trained to, or of its start")
    scope: Literal["global", "layer"] = key("global", "", "whether weights compete over all layers, or within each")
    fraction: Fraction = key(0.2, "share of what is left", "what a level removes")
    densities: Annotated[tuple[PositiveShare, ...], Items(1, repeated=True)] | None = key(
        None, "share of all weights", "what is left at each level, instead of `fraction`; falling"
    )
    one_shot: bool = key(False, "", "prune the dense network for every level, instead of the level before")

    def checked(self, place: str, grid: Basics) -> Pruning:
        """Refuse an unknown criterion, and densities that do not fall."""
        criteria.derivatives(self.criterion, f"{place}.criterion")
        falls = self.densities is None or [1, *self.densities] == sorted({1, *self.densities}, reverse=True)
        if not falls or (self.densities and len(self.densities) < grid.levels):
            raise ValueError(
                f"{place}.densities must fall from level to level, one below 1 for each of {grid.levels} levels, "
                f"got {[values.as_number(each) for each in self.densities or ()]}; list them in order"
            )
        return self

    def density(self, level: int) -> float:
        """Give the nominal density of a level: the listed one, or `(1 - fraction) ** level`."""
        if level == 0:
            return 1.0
        return self.densities[level - 1] if self.densities else math.pow(1 - self.fraction, level)


@dataclass(frozen=True, kw_only=True)
class Basics:
    """One task's part of an experiment, checked and complete.

    Args:
        task: its full description; lengths are in steps.
        title: how figures call it.
        lineage: names of the descriptions that it is made of: its own, its base's and so on.
        per_job: replicates that one job trains.
        own: checkpoints of its network and masks that the config brings.
    """

    task: dict[str, Any]
    title: str
    lineage: tuple[str, ...]
    per_job: PerJob
    own: Own = NONE
    seeds: Replicates = key(3, "replicates", "a number, or a list; each has its own initialisation and data streams")
    orders: Replicates = key(3, "replicates", "orders of SGD noise from step k on; the first is the ladder's own")
    ladder_order: Literal["same", "fresh"] = key(
        "same",
        "",
        "whether all levels of a ladder train under the same order of SGD noise (paper C), or each under its own (paper B)",
    )
    rewind: RewindSteps = key((0,), "steps", "rewind steps k, or lengths in epochs such as `4ep`")
    levels: Level = key(0, "levels", "levels of iterative magnitude pruning")
    sparse_level: Level = key(lambda e: e.levels, "levels", "the level whose stability is measured", "as `levels`")
    pruning: Pruning = key({}, "", "how ladders prune")
    controls: Annotated[tuple[Literal["random_prune", "reinit"], ...], Items()] = key(
        (), "", "sparse networks to compare with: masks shuffled in layers, weights drawn anew"
    )
    alphas: Points = key(30, "points", "points on the line between two networks")
    splits: Annotated[tuple[Split, ...], Items(1)] = key(("train", "test"), "", "where the line is evaluated")
    batchnorm: Annotated[tuple[Literal["averaged", "recomputed", "repaired"], ...], Items(1)] = key(
        ("averaged",),
        "",
        "BatchNorm statistics on the line: averaged like weights, recomputed on training images, or all hidden units rescaled to "
        "what they do at the ends (REPAIR, also for networks without BatchNorm)",
    )
    layerwise: bool = key(False, "", "interpolate one layer or block at a time, too")
    perturbed: Annotated[tuple[Length, ...], Items(), BeforeEnd()] = key(
        (), "steps", "rewind steps whose sub-networks paper A's figures perturb"
    )
    starts: Annotated[tuple[str, ...], Items()] = key(
        (),
        "",
        "further starts in words, such as `k500 | shuffle(layer, same_sign)` or `k0 | blur for 10ep` "
        "([all words](papers/early_phase.md#starts), [of ladders](papers/unmasking.md))",
    )
    retraining: Annotated[tuple[str, ...], Items()] = key(
        (), "", "strategies besides weight rewinding: `lr_rewinding`, `fine_tuning(0.01)`"
    )

    def checked(self, place: str, grid: Basics) -> Any:
        """Put replicates in order and starts in canonical words; refuse a sparse level beyond the ladder."""
        if self.sparse_level > self.levels:
            raise ValueError(f"{place}.sparse_level must be at most levels = {self.levels}, got {self.sparse_level}; lower it")
        texts = tuple(starts.parse(text, self.task, f"{place}.starts", self.own).text for text in self.starts)
        refuse_repetitions(f"{place}.starts", self.starts, texts)
        parsed = (starts.parse(f"k0 | {text}", self.task, f"{place}.retraining") for text in self.retraining)
        strategies = tuple(start.text.partition(" | ")[2] for start in parsed)
        refuse_repetitions(f"{place}.retraining", self.retraining, strategies)
        seeds, orders = tuple(sorted(self.seeds)), tuple(sorted(self.orders))
        return replace(self, seeds=seeds, orders=orders, starts=texts, retraining=strategies)
