"""The nodes of one task and one chunk of seeds: from a run that is wanted to all that leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline_lib import starts
from pipeline_lib.config import chunks, level_density
from pipeline_lib.demands import FIGURES, Run, rung
from pipeline_lib.experiment import Grid
from pipeline_lib.nodes import Node, Plan
from pipeline_lib.starts import Start, Teaching

_NUMERICS = ("precision", "channels_last")
# What a training step depends on, and what a measurement does.
_DYNAMICS = ("name", "network", "initialisation", "dataset", "optimiser", "schedule", "batch_size", "pad", "flip", *_NUMERICS)
_MEASURED = ("name", "network", "dataset", *_NUMERICS)


def label(*parts: object) -> str:
    """Join the parts of a readable name."""
    return "-".join(str(part) for part in parts if part != "")


def _span(prefix: str, values: Sequence[int]) -> str:
    return prefix + (f"{values[0]}" if len(values) == 1 else f"{values[0]}to{values[-1]}")


def _words(text: str) -> str:
    """Shorten a start to what a folder's name may hold."""
    return "".join(c if c.isalnum() else "_" for c in text.replace(" ", "")).strip("_")[:60]


class Walk:
    """Adds the nodes of one task and one chunk of seeds to a plan."""

    def __init__(self, plan: Plan, e: Grid, seeds: tuple[int, ...], figures: Sequence[str]) -> None:
        self.plan, self.e, self.task, self.seeds = plan, e, e.task, seeds
        self.followed = any(FIGURES[figure].option == "throughout" for figure in figures)
        self.by_block = "instability_by_layer" in figures
        self.who = f"{e.task['name']}-{_span('s', seeds)}"
        self.dynamics = {key: self.task[key] for key in _DYNAMICS}
        name = e.task["dataset"]["name"]
        self.data = plan.add("prepare", name, {"dataset": e.task["dataset"]}, {})
        self.sizes: dict[str, Node] = {}
        self._masks: dict[tuple[Run, bool], Node] = {}
        self._starts: dict[tuple[str, int, int, str], Node] = {}

    def pretrain(self, k: int, draw: str = "W0") -> Node:
        """W_k of the dense network."""
        spec = {"task": self.dynamics, "k": k, "seeds": list(self.seeds), "order": self.e.orders[0], "draw": draw}
        name = label(self.who, f"k{k}", "" if draw == "W0" else draw)
        return self.plan.add("pretrain", name, spec, {"data": [self.data]}, num_steps=k * len(self.seeds))

    def read(self, run: Run) -> Start:
        """What a run starts from."""
        return starts.parse(run.start or f"k{run.k}", self.task)

    def mask(self, run: Run) -> Node:
        """A run's mask: its ladder's, or that shuffled."""
        own, shuffled = rung(self.e, run, run.level), run.kind == "random_prune"
        if (own, shuffled) not in self._masks:
            self._masks[own, shuffled] = self._shuffled(own) if shuffled else self._pruned(own)
        return self._masks[own, shuffled]

    def _shuffled(self, run: Run) -> Node:
        spec = {"criterion": "shuffled", "k": run.k, "level": run.level, "seeds": list(self.seeds)}
        name = label(self.who, f"k{run.k}", f"L{run.level}", "shuffled")
        return self.plan.add("prune", name, spec, {"mask": [self.mask(run)]})

    def _pruned(self, run: Run) -> Node:
        pruning = self.e.pruning
        source = Run("imp", run.k, 0 if pruning.get("one_shot") else run.level - 1, self.e.orders[0], run.start)
        fraction = pruning["fraction"]
        if "densities" in pruning:
            kept = level_density(pruning, run.level) / level_density(pruning, source.level)
            fraction = round(1 - kept, 12)
        spec = {key: pruning[key] for key in ("criterion", "scope")}
        spec |= {"fraction": fraction, "k": run.k, "level": run.level, "seeds": list(self.seeds)}
        before = [self.mask(source)] if source.level else []
        parents = {"state": [self.train(source, (self.e.orders[0],))], "mask": before}
        name = label(self.who, f"k{run.k}", f"L{run.level}", _words(run.start))
        return self.plan.add("prune", name, spec, parents)

    def start(self, run: Run) -> Node:
        """The state that a run starts from."""
        at = (run.kind, run.k, run.level, run.start)
        if at not in self._starts:
            self._starts[at] = self._start(run)
        return self._starts[at]

    def _start(self, run: Run) -> Node:
        start = self.read(run)
        if run.kind == "reinit":
            state = self.pretrain(0, f"reinit-k{run.k}")
        else:
            state = self._change(run, self.pretrain(run.k), start.before, start, [])
        mask = [self.mask(run)] if run.level else []
        if mask:
            name = label(self.who, f"k{run.k}", f"L{run.level}", run.kind, _words("" if start.after else run.start))
            state = self.plan.add("rewind", name, {"step": start.step(masked=False)}, {"state": [state], "mask": mask})
        return self._change(run, state, start.after, start, mask)

    def _change(self, run: Run, state: Node, changes: Sequence[starts.Change], start: Start, mask: list[Node]) -> Node:
        """Lead a state through changes, one after the other."""
        for i, change in enumerate(changes):
            # A draw is one for all levels; it depends on what is changed and how, not on what follows.
            text = " | ".join([start.ladder if changes is start.after else f"k{run.k}", *(c.text for c in changes[: i + 1])])
            spec = {"kind": run.kind, "k": run.k, "level": run.level if mask else 0, "seeds": list(self.seeds), "start": text}
            name = label(self.who, f"L{spec['level']}", "" if run.kind == "imp" else run.kind, _words(text))
            if isinstance(change, Teaching):
                spec = {key: spec[key] for key in ("seeds", "start")}
                spec |= {"task": self.dynamics, "pretexts": list(change.pretexts), "order": self.e.orders[0]}
                spec |= {"until": change.until, "restart": change.restart}
                steps = (change.until - (0 if change.restart else start.k)) * len(self.seeds)
                parents = {"data": [self.data], "start": [state], "mask": mask}
                state = self.plan.add("teach", name, spec, parents, num_steps=steps)
            else:
                spec |= {"steps": list(change.steps), "name": self.task["name"]}
                spec |= {"initialisation": self.task["initialisation"]["name"]}
                around = {"initial": [self.pretrain(0)], "fresh": [self.pretrain(0, "fresh")]}
                state = self.plan.add("perturb", name, spec, {"start": [state], "mask": mask, **around})
                self.sizes[state.key] = state
        return state

    def train(self, run: Run, orders: tuple[int, ...], kept: Sequence[int] = ()) -> Node:
        """Runs of the given orders from one start; a run that keeps states is another artifact.

        Masks come from runs that keep none, so that a ladder is the same one whether or not its dense run is followed.
        """
        start = self.read(run)
        members = [[seed, order] for seed in self.seeds for order in orders]
        spec = {"task": self.task, "kind": run.kind, "k": run.k, "level": run.level, "start": start.text, "members": members}
        kind = "" if run.level == 0 else run.kind
        name = label(self.who, f"k{run.k}", f"L{run.level}", kind, _span("o", orders), _words(run.start))
        mask = [self.mask(run)] if run.level else []
        parents = {"data": [self.data], "start": [self.start(run)], "mask": mask}
        steps = (self.task["steps"] - start.step()) * len(members)
        if kept:
            spec["keep"] = list(kept)
        return self.plan.add("trace" if kept else "train", name, spec, parents, num_steps=steps, num_runs=len(members))

    def kept(self, run: Run) -> list[int]:
        """List the steps at which a run's states are kept: those of `throughout` after its start, and the last."""
        asked = self.e.throughout
        if not self.followed or asked is None or run.level or run.start or run.k not in asked["rewind"]:
            return []
        return sorted(
            {*range((run.k // asked["every"] + 1) * asked["every"], self.task["steps"], asked["every"]), self.task["steps"]}
        )

    def orders_apart(self, orders: Iterable[int]) -> list[tuple[int, ...]]:
        """Group orders into jobs; the ladder's own is always a job of its own."""
        first = self.e.orders[0]
        rest = sorted(set(orders) - {first})
        return [(first,), *chunks(rest, self.plan.config.per_job["orders"])]

    def compare(self, stage: str, run: Run, jobs: list[tuple[tuple[int, ...], Node]], **how: Any) -> list[Node]:
        """Compare each job's runs among themselves and with all earlier ones of the same seed."""
        made: list[Node] = []
        seen: list[int] = []
        nodes: list[Node] = []
        task = {key: self.task[key] for key in _MEASURED}
        for orders, node in jobs:
            pairs = [[s, i, j] for s in self.seeds for j in orders for i in [*seen, *orders] if i < j]
            seen, nodes = [*seen, *orders], [*nodes, node]
            if pairs:
                spec = {"task": task, "kind": run.kind, "k": run.k, "level": run.level, "pairs": pairs}
                spec |= how
                name = label(self.who, f"k{run.k}", f"L{run.level}", "" if run.level == 0 else run.kind, _span("o", orders))
                parents = {"data": [self.data], "states": list(nodes)}
                made.append(self.plan.add(stage, name, spec, parents))
        return made

    def measure(self, run: Run, orders: Iterable[int]) -> dict[str, list[Node]]:
        """Train the given orders from one start, and compare them; nodes by the stage that a table is measured by."""
        e, kept = self.e, self.kept(run)
        jobs = [(group, self.train(run, group, kept)) for group in self.orders_apart(orders)]
        how = {"alphas": e.alphas, "splits": list(e.splits), "batchnorm": list(e.batchnorm)}
        found = {"train": [node for _, node in jobs], "interpolate": self.compare("interpolate", run, jobs, **how)}
        if kept and e.throughout:
            found["follow"] = self.compare("follow", run, jobs, alphas=e.throughout["alphas"], keep=kept)
        if e.layerwise and self.by_block and not run.level:
            found["layers"] = self.compare("layers", run, jobs, alphas=e.alphas)
        return found

    def telemetry(self) -> Node:
        """The dense network from W_0, trained once more and looked at closely."""
        spec = {"task": self.task, "seeds": list(self.seeds), "order": self.e.orders[0], **(self.e.telemetry or {})}
        parents = {"data": [self.data], "start": [self.pretrain(0)]}
        return self.plan.add("telemetry", self.who, spec, parents, num_steps=self.task["steps"] * len(self.seeds))

    def signs(self) -> Node:
        """Signs of W_0 and every W_k, over all weights and over each ladder's survivors at the sparse level."""
        steps = sorted({0, *self.e.rewind})
        level, ks = self.e.sparse_level, list(self.e.rewind) if self.e.sparse_level else []
        spec = {"name": self.task["name"], "seeds": list(self.seeds), "steps": steps, "level": level, "scopes": ks}
        masks = [self.mask(Run("imp", k, level, self.e.orders[0])) for k in ks]
        return self.plan.add("signs", self.who, spec, {"states": [self.pretrain(k) for k in steps], "masks": masks})

    def curvature(self) -> list[Node]:
        """The Hessian's spectrum at the steps that are asked for."""
        asked, made = self.e.curvature or {"steps": []}, []
        for step in asked["steps"]:
            spec = {"task": {key: self.task[key] for key in _MEASURED}, "seeds": list(self.seeds), "step": step}
            spec |= {key: value for key, value in asked.items() if key != "steps"}
            parents = {"data": [self.data], "state": [self.pretrain(step)]}
            made.append(self.plan.add("hessian", label(self.who, f"k{step}"), spec, parents))
        return made
