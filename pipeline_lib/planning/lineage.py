"""One artifact in words, and why two differ: specs, definitions of code, and what they read, down to where it begins."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.planning import adopted, garbage, inventory
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.inventory import Artifact
from pipeline_lib.planning.keys import known_code
from pipeline_lib.planning.keys.fingerprint import FORMAT
from pipeline_lib.planning.keys.known_code import Sources
from pipeline_lib.planning.nodes import Node, Plan, named_functions
from pipeline_lib.store import verification

SHORTEST = 4  # digits of a key that are enough if no other begins so
_KEY = re.compile(rf"[0-9a-f]{{{SHORTEST},12}}")
_SIDES = ("in the first", "in the second")
# Of a record, told in other words.
_FACTS = ("key", "stage", "label", "spec", "parents", "code", "format", "sha256", verification.LET_GO)


def digits(word: str) -> str | None:
    """Read the key, or its beginning, off a word: the key itself, or an artifact's folder; None if it is neither."""
    last = word.rstrip("/").rpartition("/")[2].rpartition("-")[2]
    return last if _KEY.fullmatch(last) else None


class Lineage:
    """What is known of keys: by the plan, if there is one, and by the records of a results folder.

    Args:
        results: the folder.
        plan: what is asked for.
    """

    def __init__(self, results: Path, plan: Plan | None = None) -> None:
        self.results, self.plan = results, plan
        self._folders = {folder.name.rpartition("-")[2]: folder for folder in (results / "artifacts").glob("*/*-*/")}
        self._nodes: dict[str, Node] = dict(plan.nodes) if plan else {}
        self._stand_for = {own: key for key, own in plan.kept.items()} if plan else {}
        self._known: dict[str, Sources] | None = None

    def key(self, word: str) -> str:
        """Complete a key.

        Raises:
            ValueError: no artifact's key begins so, or several do.
        """
        begin = digits(word) or word
        found = sorted(key for key in {*self._folders, *self._nodes, *self._stand_for} if key.startswith(begin))
        if len(found) != 1:
            where = f"of {self.results}" + (
                " and of the plan" if self.plan else "; rewind explain CONFIG KEY looks in a plan, too"
            )
            many = f"{len(found)} that begin so: {', '.join(found[:5])}" if found else f"none {where}"
            raise ValueError(f"key must be that of one artifact, or its first {SHORTEST} digits or more, got {word}, {many}")
        return self._stand_for.get(found[0], found[0])

    def find(self, key: str) -> Artifact | None:
        """Look an artifact up: on disk, else in the plan."""
        made = inventory.read(self._folders[key]) if key in self._folders else None
        if made or key not in self._nodes:
            return made
        node = self._nodes[key]
        return Artifact(node.stage, node.label, key, node.spec, node.parents, node.code, FORMAT)

    def _sources(self, artifact: Artifact) -> Sources | None:
        """Give the definitions that made an artifact, or would make it."""
        if self._known is None:
            self._known = known_code.read(self.results)
        if artifact.code in self._known:
            return self._known[artifact.code]
        node = self._nodes.get(artifact.key)
        return known_code.of(node.stage, named_functions(node.stage, node.spec)) if node else None

    def report(self, key: str) -> str:
        """Say what an artifact is, what it reads, which code makes it, and what would make it run again.

        Raises:
            ValueError: nothing tells what it is.
        """
        artifact = self.find(key)
        if artifact is None:
            folder = self._folders.get(key, key)
            raise ValueError(f"artifact {folder} must have a whole record, got none; remove its folder and run again")
        lines = [artifact.folder, *self._state(artifact), "spec:"]
        lines += [f"  {at}: {_shown(value)}" for at, value in inventory.paths(artifact.spec).items()]
        lines += ["reads:"] if artifact.parents else ["reads nothing"]
        lines += [f"  {role}: {self._name(parent)}" for role, keys in artifact.parents.items() for parent in keys]
        return "\n".join([*lines, *self._code(artifact), *self._again(artifact)])

    def _name(self, key: str) -> str:
        found = self.find(key)
        return found.folder.partition("/")[2] if found else f"{key}, which is gone"

    def _state(self, artifact: Artifact) -> Iterator[str]:
        folder = self.results / artifact.folder
        if adopted.is_there(self.results, artifact.folder):
            number = 1 + sum((folder / name).is_file() for name in STAGES[artifact.stage].files)
            yield f"exists: {garbage.size(folder) / 2**20:.2f} MiB in {number} files"
            record = verification.record(folder)
            yield from (f"{name}: {_shown(record[name])}" for name in record if name not in _FACTS)
            if gone := verification.gone(folder):
                yield f"without {', '.join(gone)}, let go once all was measured; again with: {verification.remade_by(folder)}"
        else:
            yield "does not exist yet" if artifact.key in self._nodes else "is not whole"
        yield from (
            f"counts as {kept.key}, made by code {kept.counts_for}, since it was kept on {kept.since}"
            for kept in adopted.read(self.results)
            if kept.own_key == artifact.key
        )

    def _code(self, artifact: Artifact) -> Iterator[str]:
        found = self._sources(artifact)
        if found is None:
            yield f"code: {artifact.code}, of which nobody wrote down what it was" if artifact.code else "code: not recorded"
            return
        modules = Counter(each.module for each in found.definitions)
        listed = ", ".join(f"{name} {num}" for name, num in modules.most_common())
        yield f"code: {artifact.code}, {len(found.definitions)} definitions in {len(modules)} modules: {listed}"

    def _again(self, artifact: Artifact) -> Iterator[str]:
        """Say what would make it run again; of one that the plan does not have, why not."""
        if artifact.key in self._nodes:
            found = self._sources(artifact)
            above = Counter(each.stage for each in self._above(artifact))
            yield "it runs again when its files are removed, or when one of these becomes another:"
            yield f"  one of the {len(found.definitions) if found else 0} definitions that its stage reaches, or its spec"
            if above:
                listed = ", ".join(f"{stage} {above[stage]}" for stage in STAGES if above[stage])
                yield f"  definitions or spec of one of the {above.total()} artifacts that it comes from: {listed}"
        elif self.plan:
            like = [n for n in self._nodes.values() if (n.stage, n.label) == (artifact.stage, artifact.label)]
            yield f"the plan does not need it{'; it has instead:' if like else ', nor one of its stage and label'}"
            for node in like[:1]:
                yield from (f"  {line}" for line in self.difference(artifact.key, node.key).splitlines())

    def _above(self, artifact: Artifact) -> list[Artifact]:
        todo, found = [key for keys in artifact.parents.values() for key in keys], dict[str, Artifact | None]()
        while todo:
            key = todo.pop()
            if key not in found:
                found[key] = each = self.find(key)
                todo += [parent for keys in each.parents.values() for parent in keys] if each else []
        return [each for each in found.values() if each]

    def difference(self, first: str, second: str) -> str:
        """Say why two artifacts differ, each cause once, where it begins.

        Raises:
            ValueError: nothing tells what one of them is.
        """
        for key in (first, second):
            if self.find(key) is None:
                raise ValueError(f"artifact {key} must have a whole record, got none; name another")
        causes: dict[str, list[str]] = {}
        self._compare(first, second, causes, set())
        lines = [f"{self._name(first)} and {self._name(second)}"]
        if first == second:
            return f"{lines[0]} are one artifact"
        for cause, places in causes.items():
            more = f" and {len(places) - 2} more" if len(places) > 2 else ""
            lines += [f"differ in {', '.join(places[:2])}{more}:", *(f"  {line}" for line in cause.splitlines())]
        return "\n".join(lines if causes else [*lines, "differ in nothing that is written down of them"])

    def _compare(self, first: str, second: str, causes: dict[str, list[str]], seen: set[tuple[str, str]]) -> None:
        if first == second or (first, second) in seen:
            return
        seen.add((first, second))
        one, other = self.find(first), self.find(second)
        place = self._name(first)
        if one is None or other is None:
            gone = first if one is None else second
            causes.setdefault(f"{gone} is gone, and nothing tells what it was", []).append(place)
            return
        for cause in self._own_causes(one, other):
            causes.setdefault(cause, []).append(place)
        for role in one.parents if one.stage == other.stage else ():
            for pair in zip(one.parents[role], other.parents.get(role, ()), strict=False):
                self._compare(*pair, causes, seen)

    def _own_causes(self, one: Artifact, other: Artifact) -> Iterator[str]:
        """List what differs between two artifacts themselves."""
        if one.stage != other.stage:
            yield f"stage: {one.stage} {_SIDES[0]}, {other.stage} {_SIDES[1]}"
            return
        if spec := inventory.spec_differences(one.spec, other.spec, _SIDES):
            yield "\n".join(f"spec: {line}" for line in spec)
        numbers = [{role: len(keys) for role, keys in each.parents.items()} for each in (one, other)]
        if numbers[0] != numbers[1]:
            yield "\n".join(f"number of parents: {line}" for line in inventory.spec_differences(numbers[0], numbers[1], _SIDES))
        if one.format != other.format:
            yield f"format of files: {one.format} {_SIDES[0]}, {other.format} {_SIDES[1]}"
        if one.code != other.code:
            yield from self._code_causes(one, other)

    def _code_causes(self, one: Artifact, other: Artifact) -> Iterator[str]:
        """List the definitions that differ, each a cause of its own, since several stages may reach it."""
        before, after = self._sources(one) if one.code else None, self._sources(other) if other.code else None
        if before is None or after is None:
            codes = [each.code or "not recorded" for each in (one, other)]
            yield f"code: {codes[0]} {_SIDES[0]}, {codes[1]} {_SIDES[1]}; nobody wrote down what it was"
        elif found := known_code.differences(before, after, _SIDES):
            yield from (f"code: {place}\n{diff}" for place, diff in found.items())
        else:
            yield "code: the same definitions, which refer to each other otherwise"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
