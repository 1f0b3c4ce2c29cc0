"""Nodes of the plan: what an artifact is, and how its key comes about."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from pipeline_lib.experiments.experiment import Config
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.keys.fingerprint import CODE, Named, asked, fingerprint, reached
from pipeline_lib.planning.keys.reach import Code
from pipeline_lib.planning.named_stages import Named as NamedStage
from pipeline_lib.planning.named_stages import SpecT
from pipeline_lib.store import environment
from pipeline_lib.store.environment import Environment
from pipeline_lib.store.verification import RECORD

_LABEL = re.compile(r"[A-Za-z0-9_-]+")


Parents = Mapping[str, Sequence["Node"]]


@dataclass(frozen=True)
class Node:
    """One artifact: a stage's job and the folder that it fills.

    Args:
        stage: which stage makes it.
        label: readable part of the folder's name; nodes of one key have one label, whichever config asks for them.
        spec: all that the stage needs to know, as JSON.
        parents: keys of the artifacts it reads, by role.
        key: hash of all that its content depends on.
        code: hash of the code among that.
        num_steps: training steps in it, over all members.
        num_runs: full training runs in it.
    """

    stage: str
    label: str
    spec: Mapping[str, Any]
    parents: dict[str, tuple[str, ...]]
    key: str
    code: str = ""
    num_steps: int = 0
    num_runs: int = 0

    @property
    def folder(self) -> str:
        """Path under the results folder."""
        return f"artifacts/{self.stage}/{self.label}-{self.key}"

    @property
    def benchmark(self) -> str:
        """Path of Snakemake's record of its job under the results folder."""
        return f"benchmarks/{self.stage}/{self.label}-{self.key}.tsv"

    def files(self) -> list[str]:
        """Paths of its files under the results folder, its record included."""
        return [f"{self.folder}/{name}" for name in (*STAGES[self.stage].files, RECORD)]


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def node_key(stage: str, spec: Mapping[str, Any], code: str, parents: dict[str, tuple[str, ...]], place: str = "") -> str:
    """Hash all that an artifact's content depends on; `place` words the environment where that is to count."""
    hashed = [stage, spec, code, parents, *([place] if place else [])]
    return hashlib.sha256(_encode(hashed).encode()).hexdigest()[:12]


@cache
def on_device(stage: str) -> bool:
    """Tell whether a stage computes on the GPU where there is one."""
    return any(at.module.endswith(".store.device") for at in reached(stage))


# Where a spec names the registered functions of each kind that its stage may ask for. Others have no part in its key.
_NAMES: dict[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "networks": lambda spec: [spec["task"]["network"]["name"]],
    "symmetries": lambda spec: [spec["task"]["network"]["name"]],
    "datasets": lambda spec: [spec["dataset"]["name"]],
    "optimisers": lambda spec: [spec["task"]["optimiser"]["name"]],
    "schedules": lambda spec: [spec["task"]["schedule"]["name"], *(["constant"] if spec.get("restart") else [])],
    "initialisers": lambda spec: [spec["task"]["initialisation"]["name"]],
    "criteria": lambda spec: (
        [name for name in [spec["criterion"]] if name != "shuffled"] if "criterion" in spec else list(spec["fractions"])
    ),
    "derivatives": lambda spec: [spec["derivative"]],
    "ratios": lambda spec: [spec["rule"]["name"]],
    "perturbations": lambda spec: [step["name"] for step in spec["steps"]],
    "pretexts": lambda spec: [pretext["name"] for pretext in spec["pretexts"]],
    "derived": lambda spec: [spec["table"]],
    "measures": lambda spec: [claim["measure"]["name"] for claim in spec["claims"]],
    "figures": lambda spec: [spec["figure"]],
}


def named_functions(stage: str, spec: Mapping[str, Any], code: Code = CODE) -> Named:
    """List the registered functions that decide an artifact: those that its spec names, of the kinds that its stage asks for."""
    asks, before = asked(stage, (), code), None
    while asks != before:  # functions may ask for others
        if unknown := [kind for kind in asks if kind not in _NAMES]:
            rule = f"kind {unknown[0]}, which stage {stage} asks for, must have its names in nodes._NAMES"
            raise ValueError(f"{rule}, got none; say there where a spec names them")
        named = tuple([(kind, name) for kind in asks for name in _NAMES[kind](spec)])
        asks, before = asked(stage, named, code), asks
    return named


def stage_code(stage: str, spec: Mapping[str, Any]) -> str:
    """Fingerprint a node's code."""
    return fingerprint(stage, named_functions(stage, spec))


@dataclass
class Plan:
    """All nodes by key, and for each experiment its tables and figures.

    `kept` has the keys of nodes that other code made, each with the key that this code gives it.
    """

    config: Config
    nodes: dict[str, Node] = field(default_factory=dict)
    tables: dict[str, dict[str, Node]] = field(default_factory=dict)
    figures: dict[str, dict[str, Node]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=lambda: {"runs": 0, "steps": 0})
    kept: dict[str, str] = field(default_factory=dict)

    def add(self, stage: NamedStage[SpecT], label: str, spec: SpecT, parents: Parents, **counts: int) -> Node:
        """Add a node of one of `named_stages`, with that stage's spec, or return the equal one that is already there.

        Raises:
            ValueError: the label could leave the results folder, or mean something to a shell.
        """
        return self.add_declared(str(stage), label, spec, parents, **counts)

    def add_declared(self, stage: str, label: str, spec: Mapping[str, Any], parents: Parents, **counts: int) -> Node:
        """Add, as `add` does, a node of a stage whose name, and part of whose spec, are read from what files declare."""
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label must be letters, digits, _ and -, got {label!r}; rename what it comes from")
        keys = {role: tuple(node.key for node in nodes) for role, nodes in parents.items() if nodes}
        code = stage_code(stage, spec)
        key = self.key(stage, spec, keys, code)
        kept = self.config.adopted.get(key)
        if kept:
            self.kept[kept], key = key, kept
        return self.nodes.setdefault(key, Node(stage, label, spec, keys, key, code, **counts))

    def parents(self, node: Node) -> dict[str, list[Node]]:
        """Look up the nodes that a node reads, by role."""
        return {role: [self.nodes[key] for key in keys] for role, keys in node.parents.items()}

    def key(self, stage: str, spec: Mapping[str, Any], parents: dict[str, tuple[str, ...]], code: str) -> str:
        """Give the key that code, and in strict plans the environment, gives to a spec and parents."""
        place = self.place.words(on_device(stage)) if self.place else ""
        return node_key(stage, spec, code, parents, place)

    @cached_property
    def place(self) -> Environment | None:
        """The environment that is part of keys, if the config asks for that."""
        return environment.planned() if self.config.environment == "strict" else None

    @cached_property
    def by_folder(self) -> dict[str, Node]:
        """All nodes by the name of their folder."""
        return {f"{node.stage}/{node.label}-{node.key}": node for node in self.nodes.values()}

    def identity(self) -> str:
        """Hash the whole plan: any change of config or code that matters changes it."""
        return hashlib.sha256("\n".join(sorted(self.nodes)).encode()).hexdigest()[:12]
