"""What a stopped job kept, whole but not what a try of it could have kept: it is left aside, and the results are the same."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toys

from pipeline_lib.planning import driver, nodes
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Preempted
from pipeline_lib.tables import tabulation

Tensors = dict[str, Any]
Change = Callable[[Tensors, dict[str, Any]], None]


class Stopped:
    """A job that was stopped when it had something to keep, and what it comes to when it is not."""

    def __init__(self, root: Path, stage: str) -> None:
        limits = {"levels": [0], "iterations": 4, "probes": 2, "examples": 64, "fit_level": 0, "operators": ["hessian"]}
        options: dict[str, Any] = {"limits": limits, "planes": {"levels": [0], "points": 3}, "rewind": [2], "levels": 1}
        raw = toys.raw_config(root, seeds=2, orders=1, figures=["spectra", "pruning_planes"], **options)
        raw["tasks"]["toy"]["optimiser"] = {"name": "adam", "lr": 0.01}
        self.made = toys.make_plan(raw | {"per_job": {"seeds": 2, "orders": 1}})
        self.plan = driver.write_plan(self.made, [])
        self.stage, self.node = stage, next(node for node in self.made.nodes.values() if node.stage == stage)
        self.folder = root / self.node.folder
        self.of, self.name, self.at = (resumption.Keeper, "report", 5) if stage == "train" else (resumption.Notes, "save", 4)
        for node in self.made.nodes.values():
            if node.stage in ("prepare", "pretrain", "rewind", "prune", "train", stage):
                self.run(node)
        self.whole = self.content()
        self._stop()
        self.kept = root / "kept"
        shutil.copy(self.folder / resumption.NAME, self.kept)

    def run(self, node: nodes.Node | None = None) -> None:
        node = node or self.node
        driver.run_node(node.stage, self.made.config.results / node.folder, self.plan)

    def _stop(self) -> None:
        shutil.rmtree(self.folder)
        real, seen = getattr(self.of, self.name), []

        def stopping(own: Any, *arguments: Any) -> None:
            if self.stage != "slice" or own.facts:  # before that it looks for borders, and keeps nothing
                seen.append(1)
            if len(seen) == self.at:
                os.kill(os.getpid(), signal.SIGTERM)
            real(own, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.of, self.name, stopping)
            with pytest.raises(Preempted):
                self.run()

    def content(self) -> dict[str, Any]:
        frames = {p.name: tabulation.read(p).to_dict("list") for p in self.folder.glob("*.parquet")}
        arrays = {p.name: artifacts.read_arrays(p)[0] for p in self.folder.glob("*.safetensors")}
        return {"tables": repr(frames)} | {f"{p}/{n}": a.tobytes() for p, each in arrays.items() for n, a in each.items()}

    def goes_on(self, change: Change) -> None:
        """Change what was kept, with digests that fit, and go on."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        shutil.copy(self.kept, self.folder / resumption.NAME)
        tensors, meta = artifacts.read_tensors(self.folder / resumption.NAME)
        change(tensors, meta)
        artifacts.write_tensors(self.folder / resumption.NAME, tensors, meta)
        self.run()
        assert self.content() == self.whole
        assert not (self.folder / resumption.NAME).exists()


def _member(change: Callable[[dict[str, Any]], None]) -> Change:
    return lambda tensors, meta: change(meta["members"]["0"])


def _shorter(tensors: Tensors, pattern: str) -> None:
    name = next(name for name in tensors if pattern in name)
    tensors[name] = tensors[name].reshape(-1)[:-1]


def _renamed(tensors: Tensors, pattern: str) -> None:
    name = next(name for name in tensors if pattern in name)
    tensors[f"{name}_other"] = tensors.pop(name)


def _without(tensors: Tensors, pattern: str) -> None:
    del tensors[next(name for name in tensors if pattern in name)]


def _doubled(tensors: Tensors, pattern: str) -> None:
    name = next(name for name in tensors if pattern in name)
    tensors[name] = tensors[name].double()


def _another_member(tensors: Tensors, meta: dict[str, Any]) -> None:
    meta["members"]["7"] = meta["members"]["0"]
    tensors |= {name.replace("0/", "7/", 1): tensor.clone() for name, tensor in tensors.items() if name.startswith("0/")}


TRAIN: dict[str, Change] = {
    "a step beyond the end": _member(lambda m: m.update(step=99)),
    "a step before the start": _member(lambda m: m.update(step=0)),
    "a step that is text": _member(lambda m: m.update(step="4")),
    "a step that is half": _member(lambda m: m.update(step=4.5)),
    "no step": _member(lambda m: m.pop("step")),
    "three sums": _member(lambda m: m["sums"].pop()),
    "sums that are text": _member(lambda m: m.update(sums=["a"] * 4)),
    "no curve": _member(lambda m: m.update(curve=None)),
    "a curve of numbers": _member(lambda m: m.update(curve=[1, 2])),
    "a curve without steps": _member(lambda m: m.update(curve=[{"split": "test"}])),
    "parameters in another order": _member(lambda m: m["params"].reverse()),
    "a parameter more": _member(lambda m: m["params"].append("more")),
    "a parameter of another shape": lambda tensors, meta: _shorter(tensors, "/params/"),
    "a parameter of another format": lambda tensors, meta: _doubled(tensors, "/params/"),
    "a parameter less": lambda tensors, meta: _without(tensors, "/params/"),
    "slots of another shape": lambda tensors, meta: _shorter(tensors, "/slots/exp_avg"),
    "slots of another optimiser": lambda tensors, meta: _renamed(tensors, "/slots/exp_avg"),
    "a slot less": lambda tensors, meta: _without(tensors, "/slots/"),
    "a tensor of no part": lambda tensors, meta: tensors.update(x=torch.zeros(1)),
    "a tensor of another part": lambda tensors, meta: tensors.update({"0/more/x": torch.zeros(1)}),
    "a member more": _another_member,
    "members that are a list": lambda tensors, meta: meta.update(members=[1]),
    "a member that is no number": lambda tensors, meta: meta["members"].update(x=meta["members"].pop("0")),
    "members that are nothing": lambda tensors, meta: meta.update(members=None),
    "facts": lambda tensors, meta: meta.update(facts=meta.pop("members")),
}


def _every(change: Callable[[dict[str, Any]], None]) -> Change:
    def changed(tensors: Tensors, meta: dict[str, Any]) -> None:
        for runs in meta["facts"].values():
            change(runs[0])

    return changed


HESSIAN: dict[str, Change] = {
    "a run less": lambda tensors, meta: [runs.pop() for runs in meta["facts"].values()] and None,
    "a basis of another dimension": lambda tensors, meta: _shorter(tensors, "/0"),
    "a basis of another format": lambda tensors, meta: _doubled(tensors, "/0"),
    "no basis": lambda tensors, meta: tensors.clear(),
    "a longer diagonal": _every(lambda run: run["diagonal"].append(1.0)),
    "no diagonal": _every(lambda run: run.pop("diagonal")),
    "a diagonal of text": _every(lambda run: run.update(diagonal=["a"])),
    "an empty diagonal": _every(lambda run: run.update(diagonal=[])),
    "a residual that is a list": _every(lambda run: run.update(residual=[1.0])),
    "runs that are a number": lambda tensors, meta: meta["facts"].update(dict.fromkeys(meta["facts"], 3)),
    "facts that are a list": lambda tensors, meta: meta.update(facts=[1]),
}
SLICE: dict[str, Change] = {
    "more evaluations than there are": lambda tensors, meta: meta["facts"].update(dict.fromkeys(meta["facts"], 10**6)),
    "fewer than none": lambda tensors, meta: meta["facts"].update(dict.fromkeys(meta["facts"], -1)),
    "evaluations that are text": lambda tensors, meta: meta["facts"].update(dict.fromkeys(meta["facts"], "3")),
    "sums of another shape": lambda tensors, meta: _shorter(tensors, "wrong"),
    "sums of another format": lambda tensors, meta: tensors.update({n: t.float() for n, t in tensors.items()}),
    "no sums": lambda tensors, meta: tensors.clear(),
    "facts that are nothing": lambda tensors, meta: meta.update(facts=None),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Callable[[str], Stopped]:
    made: dict[str, Stopped] = {}
    return lambda stage: made[stage] if stage in made else made.setdefault(stage, Stopped(tmp_path_factory.mktemp(stage), stage))


@pytest.mark.parametrize(
    ("stage", "name"), [(s, n) for s, facts in (("train", TRAIN), ("hessian", HESSIAN), ("slice", SLICE)) for n in facts]
)
def test_wrong_facts_are_left_aside(stopped, caplog, stage, name):
    stopped(stage).goes_on({"train": TRAIN, "hessian": HESSIAN, "slice": SLICE}[stage][name])
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.message.startswith("starting anew, what was kept cannot be used: ") for record in warnings] == [True]


@pytest.mark.parametrize("stage", ["train", "hessian", "slice"])
def test_right_facts_are_used(stopped, caplog, stage):
    caplog.set_level("INFO")
    stopped(stage).goes_on(lambda tensors, meta: None)
    assert "going on" in caplog.text
    assert "starting anew" not in caplog.text
