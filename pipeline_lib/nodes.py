"""Nodes of the plan: what an artifact is, how its key comes about, which files and tables there are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline_lib import registry
from pipeline_lib.experiment import Config
from pipeline_lib.fingerprint import fingerprint
from pipeline_lib.verify import RECORD

_LABEL = re.compile(r"[A-Za-z0-9_-]+")

# The files that each stage makes; the first is what later stages read unless they say otherwise.
OUTPUTS: dict[str, tuple[str, ...]] = {
    "prepare": ("data.safetensors",),
    "pretrain": ("state.safetensors",),
    "teach": ("state.safetensors",),
    "prune": ("mask.safetensors",),
    "adapt": ("mask.safetensors", "ratios.parquet"),
    "rewind": ("state.safetensors",),
    "perturb": ("state.safetensors", "perturbations.parquet"),
    "train": ("state.safetensors", "runs.parquet", "curves.parquet"),
    "trace": ("state.safetensors", "runs.parquet", "curves.parquet", "kept.txt"),
    "interpolate": ("interpolation.parquet", "instability.parquet", "distances.parquet"),
    "follow": ("throughout.parquet",),
    "layers": ("layers.parquet",),
    "telemetry": ("telemetry.parquet",),
    "signs": ("signs.parquet",),
    "hessian": ("spectrum.parquet", "curvature.parquet"),
    "connect": ("paths.parquet", "barriers.parquet"),
    "slice": ("planes.parquet", "marks.parquet"),
    "cut": ("cuts.parquet",),
    "describe": ("magnitudes.parquet", "geometry.parquet"),
    "wells": ("wells.parquet",),
    "tabulate": ("table.parquet",),
    "derive": ("table.parquet",),
    "judge": ("table.parquet",),
    "plot": ("figure.svg", "figure.png"),
}
# The stage that measures each table, and the tables that are computed from others.
TABLES = {
    "runs": "train", "curves": "train", "interpolation": "interpolate", "instability": "interpolate", "distances": "interpolate",
    "throughout": "follow", "layers": "layers", "perturbations": "perturb", "telemetry": "telemetry", "signs": "signs",
    "spectrum": "hessian", "curvature": "hessian", "paths": "connect", "barriers": "connect", "planes": "slice", "marks": "slice",
    "cuts": "cut", "magnitudes": "describe", "geometry": "describe", "ratios": "adapt", "wells": "wells",
}  # fmt: skip
# The tables that each derived one takes, and those that it uses where they are there; in the order in which they are made.
DERIVED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "means": (("instability",), ()),
    "onsets": (("instability", "runs"), ()),
    "networks": (("runs",), ()),
    "correlations": (("perturbations", "runs"), ()),
    "timeline": (("telemetry",), ("onsets", "curvature")),
    "fits": (("cuts", "runs"), ()),
    "limits": (("spectrum", "cuts", "fits"), ()),
    "sets": (("planes", "marks", "runs"), ()),
}


@dataclass(frozen=True)
class Node:
    """One artifact: a stage's job and the folder that it fills.

    Args:
        stage: which stage makes it.
        label: readable part of the folder's name; nodes of one key have one label, whichever config asks for them.
        spec: all that the stage needs to know, as JSON.
        parents: keys of the artifacts it reads, by role.
        key: hash of all that its content depends on.
        num_steps: training steps in it, over all members.
        num_runs: full training runs in it.
    """

    stage: str
    label: str
    spec: dict[str, Any]
    parents: dict[str, tuple[str, ...]]
    key: str
    num_steps: int = 0
    num_runs: int = 0

    @property
    def folder(self) -> str:
        """Path under the results folder."""
        return f"artifacts/{self.stage}/{self.label}-{self.key}"

    def files(self) -> list[str]:
        """Paths of its files under the results folder, its record included."""
        return [f"{self.folder}/{name}" for name in (*OUTPUTS[self.stage], RECORD)]


def node_key(stage: str, spec: dict[str, Any], code: str, parents: dict[str, tuple[str, ...]]) -> str:
    """Hash all that an artifact's content depends on."""
    text = json.dumps([stage, spec, code, parents], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stage_modules(stage: str, spec: dict[str, Any]) -> tuple[str, ...]:
    """List the modules whose code decides an artifact: the stage's own and the registered functions that its spec names."""
    modules = [f"pipeline_lib.stages.{stage}"]
    if "task" in spec:
        modules.append(registry.entries("networks")[spec["task"]["network"]["name"]].module)
    if stage == "pretrain":
        modules.append("pipeline_lib.initialise")
    if stage == "adapt":
        modules.append(registry.entries("adaptive")[spec["rule"]["name"]].module)
    if stage == "perturb":
        modules += [registry.entries("perturbations")[step["name"]].module for step in spec["steps"]]
    if stage == "teach":
        modules += ["pipeline_lib.initialise"]
        modules += [registry.entries("pretexts")[pretext["name"]].module for pretext in spec["pretexts"]]
    if stage == "prepare":
        modules.append(registry.entries("datasets")[spec["dataset"]["name"]].module)
    if stage == "derive":
        modules.append(registry.entries("summaries")[spec["table"]].module)
    if stage == "judge":
        modules += sorted({registry.entries("measures")[claim["measure"]["name"]].module for claim in spec["claims"]})
    if stage == "plot":
        modules.append(registry.entries("figures")[spec["figure"]].module)
    return tuple(modules)


def stage_code(stage: str, spec: dict[str, Any], pinned: dict[str, str]) -> str:
    """Fingerprint a node's code, unless the config pins the stage."""
    return pinned.get(stage) or fingerprint(*stage_modules(stage, spec))


@dataclass
class Plan:
    """All nodes by key, and for each experiment its tables and figures."""

    config: Config
    nodes: dict[str, Node] = field(default_factory=dict)
    tables: dict[str, dict[str, Node]] = field(default_factory=dict)
    figures: dict[str, dict[str, Node]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=lambda: {"runs": 0, "steps": 0})

    def add(self, stage: str, label: str, spec: dict[str, Any], parents: Mapping[str, Sequence[Node]], **counts: int) -> Node:
        """Add a node, or return the equal one that is already there.

        Raises:
            ValueError: the label could leave the results folder, or mean something to a shell.
        """
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label must be letters, digits, _ and -, got {label!r}; rename what it comes from")
        keys = {role: tuple(node.key for node in nodes) for role, nodes in parents.items() if nodes}
        key = node_key(stage, spec, stage_code(stage, spec, self.config.fingerprints), keys)
        return self.nodes.setdefault(key, Node(stage, label, spec, keys, key, **counts))

    def parents(self, node: Node) -> dict[str, list[Node]]:
        """Look up the nodes that a node reads, by role."""
        return {role: [self.nodes[key] for key in keys] for role, keys in node.parents.items()}

    @cached_property
    def by_folder(self) -> dict[str, Node]:
        """All nodes by the name of their folder."""
        return {f"{node.stage}/{node.label}-{node.key}": node for node in self.nodes.values()}

    def identity(self) -> str:
        """Hash the whole plan: any change of config or code that matters changes it."""
        return hashlib.sha256("\n".join(sorted(self.nodes)).encode()).hexdigest()[:12]
