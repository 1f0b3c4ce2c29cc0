"""Artifacts that differ from a plan's by code alone: found, told with what is another in the code, and kept as its own."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_lib.core import registry
from pipeline_lib.planning import adopted, inventory
from pipeline_lib.planning.adopted import Kept
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.inventory import Artifact
from pipeline_lib.planning.keys import known_code
from pipeline_lib.planning.keys.fingerprint import FORMAT
from pipeline_lib.planning.keys.known_code import Sources
from pipeline_lib.planning.nodes import Node, Plan, named_functions, on_device
from pipeline_lib.store.environment import Environment

_COMPARED = 50  # artifacts that a node without an alike one is compared with
_SHOWN = 12  # reasons why something cannot be kept


@dataclass(frozen=True)
class Twin:
    """A node of the plan, and the artifact that differs from it by code alone.

    Args:
        node: the node.
        key: what the code of today would name it, if it read what the artifact read.
        artifact: what is there.
    """

    node: Node
    key: str
    artifact: Artifact


@dataclass
class Outcome:
    """What becomes of a plan's nodes if some artifacts of other code count as made by this one.

    Args:
        at: the key under which each node would be found, by its key in the plan.
        kept: those that would count, by their node's key in the plan.
        follow: nodes of unchanged code that would be there again.
        run: nodes that would still have to be made.
    """

    at: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Twin] = field(default_factory=dict)
    follow: list[Node] = field(default_factory=list)
    run: list[Node] = field(default_factory=list)


class Shelf:
    """The finished artifacts of a results folder, looked up by what they are."""

    def __init__(self, results: Path) -> None:
        self.by_folder = {each.folder: each for each in inventory.artifacts(results) if adopted.is_there(results, each.folder)}
        self._alike: dict[str, list[Artifact]] = defaultdict(list)
        for each in sorted(self.by_folder.values(), key=lambda each: (each.time, each.key)):
            self._alike[each.what].append(each)

    def twin(self, node: Node, parents: inventory.Parents, place: Environment | None = None) -> Artifact | None:
        """Find the newest artifact of other, known code and of a node's stage, label, spec and parents.

        Args:
            node: the node.
            parents: keys of what it would read, by role.
            place: the environment that it must have been made in; None for any.
        """
        alike = self._alike.get(inventory.signature(node.stage, node.spec, parents), [])
        known = (each for each in reversed(alike) if each.label == node.label and is_known_other(each, node.code))
        return next((each for each in known if not place or is_made_in(place, each)), None)


def is_known_other(artifact: Artifact, code: str) -> bool:
    """Tell whether an artifact was made by other code that is known and that wrote files as this one does."""
    return artifact.code not in ("", code) and artifact.format == FORMAT


def is_made_in(place: Environment, artifact: Artifact) -> bool:
    """Tell whether an artifact was made in an environment, as far as that decides results."""
    return artifact.made is not None and not artifact.made.differences(place, on_device(artifact.stage))


def follow(plan: Plan, shelf: Shelf, may: Collection[str] | None = None) -> Outcome:
    """Follow the plan from its roots: what is there, what would be there if it counted, and what has to run.

    Args:
        plan: the plan, whose nodes come after their parents.
        shelf: what is there.
        may: keys in the plan of the nodes that may count as made; None for all.
    """
    found = Outcome()
    for node in plan.nodes.values():
        parents = {role: tuple(found.at[key] for key in keys) for role, keys in node.parents.items()}
        own = plan.key(node.stage, node.spec, parents, node.code)
        key = plan.config.adopted.get(own, own)
        twin = None
        if f"artifacts/{node.stage}/{node.label}-{key}" not in shelf.by_folder:
            twin = shelf.twin(node, parents, plan.place) if may is None or node.key in may else None
            if twin:
                found.kept[node.key] = Twin(node, own, twin)
            else:
                found.run.append(node)
        elif key != node.key:
            found.follow.append(node)
        found.at[node.key] = twin.key if twin else key
    return found


def chosen(plan: Plan, every: Outcome, stages: Collection[str]) -> set[str]:
    """List the nodes to keep: those of some stages, and what these were made from, without which none of them can be kept."""
    found: set[str] = set()
    todo = [key for key, twin in every.kept.items() if twin.node.stage in stages]
    seen: set[str] = set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            found |= {key} & every.kept.keys()
            todo += [parent for keys in plan.nodes[key].parents.values() for parent in keys]
    return found


def check_stages(every: Outcome, stages: Iterable[str]) -> None:
    """Refuse stages that do not exist, or of which there is nothing to keep.

    Raises:
        ValueError: naming the stage.
    """
    for stage in stages:
        if stage not in STAGES:
            raise registry.unknown("stage to keep", stage, list(STAGES))
        if stage not in {twin.node.stage for twin in every.kept.values()}:
            rule = "stage to keep must have artifacts that differ by code alone"
            raise ValueError(f"{rule}, got none of {stage}; leave it out")


def keep(plan: Plan, found: Outcome) -> None:
    """Record that artifacts count as made by the code of today; all or, if it is killed, none."""
    results, today = plan.config.results, time.strftime("%Y-%m-%d")
    new = [Kept(twin.key, twin.artifact.folder, twin.artifact.code, twin.node.code, today) for twin in found.kept.values()]
    adopted.write(results, [*adopted.read(results), *new])


def _counts(stages: Iterable[str]) -> str:
    found = Counter(stages)
    return ", ".join(f"{stage} {found[stage]}" for stage in STAGES if found[stage])


def _comparisons(plan: Plan, found: Outcome) -> dict[str, list[str]]:
    """Say what is another in the code: each diff, and whose it is."""
    known, now = known_code.read(plan.config.results), dict[str, Sources]()
    diffs: dict[str, set[str]] = defaultdict(set)
    pairs = {(twin.artifact.code, twin.node.code): twin.node for twin in found.kept.values()}
    for (before, code), node in pairs.items():
        now[code] = now.get(code) or known_code.of(node.stage, named_functions(node.stage, node.spec))
        told = known_code.differences(known[before], now[code]) if before in known else {}
        what = "the same definitions, which refer to each other otherwise" if before in known else "nobody wrote down what it was"
        for place, diff in (told or {f"code {before}": what}).items():
            diffs[f"{place}\n{diff}"].add(node.stage)
    return {diff: [stage for stage in STAGES if stage in stages] for diff, stages in diffs.items()}


def report(plan: Plan, shelf: Shelf, every: Outcome, command: str) -> str:
    """List what differs by code alone, what in the code differs, what would follow, and what could not be kept and why.

    Args:
        plan: the plan.
        shelf: what is there.
        every: what would come of keeping all of it.
        command: how to keep some, without the stages.
    """
    kept = [twin.node.stage for twin in every.kept.values()]
    lines = adopted.report(plan.config.results, plan.kept.values())
    for diff, stages in sorted(_comparisons(plan, every).items()):
        place, _, text = diff.partition("\n")
        lines += [f"changed: {place} (of {', '.join(stages)})", text]
    codes = Counter((twin.node.stage, twin.artifact.code, twin.node.code) for twin in every.kept.values())
    for (stage, before, now), num in sorted(codes.items(), key=lambda each: list(STAGES).index(each[0][0])):
        lines.append(f"{stage}: {num} made by code {before}, which is {now} now")
    if every.follow:
        lines.append(f"of unchanged code, made from these: {_counts(node.stage for node in every.follow)}")
    lines += _unadoptable(plan, shelf, every)
    many = "1 artifact differs" if len(kept) == 1 else f"{len(kept)} artifacts differ"
    lines.append(f"{many} from the plan by code alone{'; keep them with:' if kept else ''}")
    if kept:
        lines.append(f"    {command} " + " ".join(f"--keep {stage}" for stage in STAGES if stage in kept))
    return "\n".join(lines)


def _unadoptable(plan: Plan, shelf: Shelf, every: Outcome) -> list[str]:
    """Say of what has to run in any case why nothing that is there can stand for it."""
    used = {f"artifacts/{node.stage}/{node.label}-{every.at[key]}" for key, node in plan.nodes.items()}
    loose = [each for folder, each in shelf.by_folder.items() if folder not in used]
    running, reasons = {node.key for node in every.run}, Counter[tuple[str, str]]()
    for node in every.run:
        reasons[node.stage, _reason(node, running, loose)] += 1
    order = sorted(reasons.items(), key=lambda each: (list(STAGES).index(each[0][0]), each[0][1]))
    lines = [f"{stage}: {num} cannot be kept: {reason}" for (stage, reason), num in order if reason]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more reasons"]
    return lines + ([f"to run in any case: {_counts(node.stage for node in every.run)}"] if every.run else [])


def _reason(node: Node, running: Collection[str], loose: Iterable[Artifact]) -> str:
    alike = [each for each in loose if each.stage == node.stage and each.label == node.label]
    if any(each.spec == node.spec for each in alike):
        if any(each.spec == node.spec and not each.code for each in alike):
            return "made before code was recorded, so that nobody can tell what has changed"
        if any(each.spec == node.spec and each.format != FORMAT for each in alike):
            return "its files are of another format"
        return "made from what has to run" if any(key in running for keys in node.parents.values() for key in keys) else ""
    near = alike or [each for each in loose if each.stage == node.stage][-_COMPARED:]
    differences = [inventory.spec_differences(each.spec, node.spec) for each in near]
    nearest = min(differences, key=len, default=[])
    return f"its spec is another: {'; '.join(nearest)}" if nearest else ""


def outcome(found: Outcome) -> str:
    """Say what is kept, what is there again with it, and what a run still makes."""
    lines = [f"to be kept: {_counts(twin.node.stage for twin in found.kept.values())}"]
    if found.follow:
        lines.append(f"there again, of unchanged code: {_counts(node.stage for node in found.follow)}")
    return "\n".join([*lines, f"still to run: {_counts(node.stage for node in found.run) or 'nothing'}"])
