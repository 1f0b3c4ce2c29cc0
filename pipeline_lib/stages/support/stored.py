"""From a row of a table to what lies in the results folder: a network's template, weights, mask and record."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_lib.core import registry
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Mask, State
from pipeline_lib.experiments.runs import FRESH
from pipeline_lib.pruning import masks
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import kept_file, numerics
from pipeline_lib.store import artifacts, device, seals, verification
from pipeline_lib.store.job import Job


@dataclass(frozen=True)
class Inputs:
    """What a network takes: examples of a shape, normalised by channel as `(x / 255 - mean) / std`, of so many classes."""

    shape: list[int]
    num_classes: int
    mean: list[float]
    std: list[float]


@dataclass(frozen=True)
class Stored:
    """An artifact of a results folder, by its key.

    Args:
        results: the folder that holds `artifacts`.
        key: twelve hexadecimal digits, or the first of them.
    """

    results: Path
    key: str

    @cached_property
    def folder(self) -> Path:
        """Where its files are.

        Raises:
            ValueError: nothing of this key is there, or of a beginning of a key several things are.
        """
        begins = glob.escape(self.key)
        found = [path for path in (self.results / "artifacts").glob(f"*/*-{begins}*") if seals.key_of(path).startswith(self.key)]
        if len(found) != 1:
            rule = f"key must be that of one artifact in {self.results / 'artifacts'}"
            raise ValueError(f"{rule}, got {self.key!r} of {len(found)}; check the folder, or run the experiment again")
        return found[0]

    @cached_property
    def record(self) -> dict[str, Any]:
        """What its job wrote down, see `verification.record`.

        Raises:
            ValueError: it has not ended, or the record is damaged.
        """
        try:
            return verification.record(self.folder)
        except FileNotFoundError:
            rule = f"artifact {self.folder} must have its record, got none, as its job has not ended"
            raise ValueError(f"{rule}; run the experiment again") from None

    def file(self, name: str) -> Path:
        """Say where one of its files is.

        Raises:
            ValueError: a run let it go.
        """
        path = self.folder / name
        if not path.is_file() and name in verification.gone(self.folder):
            rule = f"{name} of {self.folder.name} must be there, got one that a run let go once all was measured (keep: measured)"
            raise ValueError(f"{rule}; make it again with: {verification.remade_by(self.folder)}")
        return path

    def parents(self, *roles: str) -> list[Stored]:
        """List what it reads, in some roles or in all."""
        found: Mapping[str, list[str]] = self.record["parents"]
        return [Stored(self.results, key) for role in roles or found for key in found.get(role, ())]

    def lineage(self) -> Iterator[Stored]:
        """Walk it and all that it comes from, each once, the nearest first."""
        todo, seen = [self], {self.key}
        for each in todo:
            yield each
            new = [parent for parent in each.parents() if parent.key not in seen]
            seen |= {parent.key for parent in new}
            todo += new

    @cached_property
    def members(self) -> list[tuple[int, int | None]]:
        """List the seed of each member, and of a run its order."""
        for each in self.lineage():
            spec = each.record["spec"]
            if "members" in spec:
                return [(seed, order) for seed, order in spec["members"]]
            if "seeds" in spec:
                return [(seed, None) for seed in spec["seeds"]]
        raise self.foreign()

    def listed(self) -> str:
        """Word its members."""
        who = (Member(self, number).who for number in range(len(self.members)))
        return ", ".join(" ".join([f"{name} {value}" for name, value in each.items() if value is not None]) for each in who)

    def foreign(self) -> ValueError:
        """Word the error of a key that leads to no network."""
        return ValueError(f"row must be of a network, got the key of a {self.record['stage']}; take one of a table of networks")

    @cached_property
    def task(self) -> Any:
        """The task of its networks, as far as it decides what they compute."""
        for each in self.lineage():
            task = each.record["spec"].get("task")
            if isinstance(task, dict) and "network" in task:
                return task
        raise self.foreign()

    @cached_property
    def inputs(self) -> Inputs:
        """What its networks were trained on, by the header of the data set that was prepared for them."""
        from safetensors import safe_open

        path = self._prepared / "data.safetensors"
        meta = artifacts.read_meta(path)
        with safe_open(str(path), framework="numpy") as file:
            size = meta["files"].get("size")
            shape = [len(meta["mean"]), size, size] if size else list(file.get_slice("train_x").get_shape())[1:]
        return Inputs(shape, meta["num_classes"], meta["mean"], meta["std"])

    @property
    def _prepared(self) -> Path:
        return next(read.folder for each in self.lineage() for read in each.parents("data"))

    def world(self, data_root: Path | None = None) -> data.World:
        """Read the data set that its networks were trained on, onto the device to work on, with their task and template."""
        job: Job[Any] = Job("", {}, self.folder, {"data": [self._prepared]}, data_root)
        return data.World(self.task, data.read(job, device.pick(numerics(self.task))), self.template())

    def template(self) -> nn.Sequential:
        """Build the network for its inputs, without its weights."""
        network, inputs = self.task["network"], self.inputs
        return registry.call("networks", network, input_shape=inputs.shape, num_classes=inputs.num_classes)


@dataclass(frozen=True)
class Member:
    """One network of an artifact, and its number there.

    Args:
        home: the artifact.
        number: place along the first axis of its tensors.
        step: of training, where that is not the artifact's own: of a state that was kept on the way.
    """

    home: Stored
    number: int
    step: int | None = None

    @property
    def who(self) -> dict[str, int | None]:
        """Its seed, and of a run its order as tables count it."""
        seed, order = self.home.members[self.number]
        return {"seed": seed, "order": None if order is None else order % FRESH}

    @property
    def test_error(self) -> float | None:
        """The share of wrong predictions on the test split, of a run at its end."""
        head = artifacts.read_meta(self.home.file("state.safetensors"))
        return head["errors"]["test"][self.number] if "errors" in head and self.step in (None, head["step"]) else None

    def network(self) -> nn.Module:
        """Build it, with its weights and in eval mode."""
        state, network = self.state(), self.home.template()
        network.load_state_dict({**state.params, **state.buffers}, strict=True)
        return network.eval()

    def state(self) -> State:
        """Read its state.

        Raises:
            ValueError: it has none, none of this step was kept, or a run let it go.
        """
        path, (seed, order) = self.home.file("state.safetensors"), self.home.members[self.number]
        if not path.is_file():
            raise self.home.foreign()
        if self.step in (None, artifacts.read_meta(path)["step"]):
            return artifacts.read_states(path)[0][self.number]
        path = kept_file(self.home.folder, (seed, order or 0), self.step or 0)
        if not path.is_file():
            raise ValueError(f"row must be of a step whose state was kept, got step {self.step}; take one of the last step")
        return artifacts.read_states(path)[0][0]

    def mask(self) -> Mask:
        """Read the mask that it was trained under, or that it is; of a dense network all of it."""
        own = self.home.file("mask.safetensors")
        for each in [self.home] if own.is_file() else self.home.parents("mask"):
            seeds = [seed for seed, _ in each.members]
            return artifacts.read_masks(each.file("mask.safetensors"))[0][seeds.index(self.home.members[self.number][0])]
        network = self.home.template()
        return masks.ones({name: network.get_parameter(name).shape for name in prunable(network)})
