"""What a plan takes on disk: bytes by the sizes of its networks, and files; and what of it may go once all is measured.

With `keep: measured`, a run that has ended well removes the tensors of states and masks whose readers are all made. Their records
stay and say so. A later run makes what is missing of its tables and figures, and of what that reads what is missing, and so on;
what is there needs nothing (`to_make`), so states that are made again bring no work to those that had read them before.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.store import artifacts, verification

BLOCK = 4096  # bytes that a file takes at least
_RECORDS = 2  # a job's log and benchmark record
_TABLE = 30_000  # bytes of a measurement, or of a figure in two formats, give or take
_STATES = ("pretrain", "teach", "rewind", "perturb", "train", "trace", "align", "bring")
_MASKS = ("prune", "adapt", "align", "bring_mask")
_BROUGHT = ("bring", "bring_mask")  # what is the user's own stays
_PASSING = {*_STATES, *_MASKS, "score"}.difference(_BROUGHT)  # stages whose tensors only others read
_TENSORS = ".safetensors"


@dataclass(frozen=True)
class Size:
    """Entries of a network.

    Args:
        state: parameters and buffers, four bytes each.
        mask: prunable parameters, a byte each.
    """

    state: int
    mask: int


Sizes = Callable[[dict[str, Any]], Size]


def size(task: dict[str, Any]) -> Size:
    """Count the entries of a task's network, without its data and without memory for it.

    Raises:
        ValueError: its function fails, or gives something else than a network with weights that can be pruned.
    """
    import torch

    from pipeline_lib.core import registry
    from pipeline_lib.core.parameters import prunable
    from pipeline_lib.planning.task_list import examples

    shape, num_classes = examples(task["dataset"])
    try:
        with torch.device("meta"):
            network = registry.call("networks", task["network"], input_shape=shape, num_classes=num_classes)
        entries = [*network.parameters(), *network.buffers()]
        pruned = [network.get_parameter(name).numel() for name in prunable(network)]
        found = "" if pruned else "none whose weights can be pruned"
    except Exception as error:  # whatever a function of one's own may raise
        found = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if found:
        home = registry.entries("networks")[task["network"]["name"]].module
        rule = (
            f"function {task['network']['name']} of {home} must give a network for examples of {shape} and {num_classes} classes"
        )
        raise ValueError(f"{rule}, got {found}; mend it")
    return Size(sum(t.numel() for t in entries), sum(pruned))


def _with_task(plan: Plan, node: Node) -> Node:
    """Find the node that says which network a state or mask is of: itself, or what it was made from."""
    while "task" not in node.spec:
        parents = [each for role in ("state", "start", "mask") for each in plan.parents(node).get(role, [])]
        node = parents[0]
    return node


def _kept(plan: Plan, node: Node) -> int:
    """Count the states that a run keeps on its way, over its members."""
    return len(node.spec["keep"]) * _members(plan, node) if node.stage == "trace" else 0


def _members(plan: Plan, node: Node) -> int:
    spec = node.spec if {"members", "seeds"} & node.spec.keys() else _with_task(plan, node).spec
    return len(spec["members"] if "members" in spec else spec["seeds"])


def _bytes(plan: Plan, node: Node, sizes: dict[str, Size], sized: Sizes) -> int:
    """Estimate what one artifact takes."""
    if node.stage not in (*_STATES, *_MASKS, "score"):
        return _TABLE
    task = _with_task(plan, node).spec["task"]
    if task["name"] not in sizes:
        sizes[task["name"]] = sized(task)
    network, members = sizes[task["name"]], _members(plan, node)
    states = 4 * network.state * (members + _kept(plan, node)) if node.stage in _STATES else 0
    masks = network.mask * members if node.stage in _MASKS else 0
    return states + masks + (8 * network.mask * members if node.stage == "score" else 0)


def of(plan: Plan, nodes: Iterable[Node], sized: Sizes = size) -> tuple[int, int]:
    """Add up what artifacts of a plan take, with their records and logs.

    Args:
        plan: the plan.
        nodes: the artifacts.
        sized: counts the entries of a task's network.

    Returns:
        Bytes, and the number of files. Data sets are not counted: they are prepared once.
    """
    sizes: dict[str, Size] = {}
    counts: Counter[str] = Counter()
    for node in nodes:
        if node.stage != "prepare":
            files = len(node.files()) + _kept(plan, node) + _RECORDS
            counts["files"] += files
            counts["bytes"] += _bytes(plan, node, sizes, sized) + files * BLOCK
    return counts["bytes"], counts["files"]


def passing(plan: Plan, sized: Sizes = size) -> int:
    """Add up the bytes of what may go once all is measured."""
    sizes: dict[str, Size] = {}
    return sum(_bytes(plan, node, sizes, sized) for node in plan.nodes.values() if node.stage in _PASSING)


def _is_there(results: Path, node: Node, tensors: bool) -> bool:
    return all((results / name).is_file() for name in node.files() if tensors or not name.endswith(_TENSORS))


def to_make(nodes: Mapping[str, Node], wanted: Iterable[str], results: Path) -> set[str]:
    """Find the keys of what a run has to make: what is wanted and missing, what that reads and is missing, and so on.

    Args:
        nodes: those of the plan, by key.
        wanted: keys of those that are published.
        results: the results folder.
    """
    found: set[str] = set()
    left, seen = {(key, True) for key in wanted}, set[tuple[str, bool]]()
    while left:
        key, tensors = asked = left.pop()
        seen.add(asked)
        if key not in found and not _is_there(results, nodes[key], tensors):
            found.add(key)
            reads = nodes[key].stage != "tabulate"  # which takes parts of tables alone
            left |= {(parent, reads) for parents in nodes[key].parents.values() for parent in parents} - seen
    return found


def missing(nodes: Mapping[str, Node], wanted: Iterable[str], results: Path, keep: str) -> set[str]:
    """Find the keys of what a run would make: with `keep: measured` what `to_make` finds, else all that is not there.

    To that belongs what it has to read and what was let go, when the config said otherwise.

    Args:
        nodes: those of the plan, by key.
        wanted: keys of those that are published.
        results: the results folder.
        keep: as in the config.
    """
    if keep == "measured":
        return to_make(nodes, wanted, results)
    found = {key for key, node in nodes.items() if not verification.is_whole(results / node.folder, STAGES[node.stage].files)}
    return found | to_make(nodes, found, results)


def was_let_go(results: Path, folder: str, name: str) -> bool:
    """Tell whether a file of an artifact was let go."""
    record, file = (results / folder / each for each in (verification.RECORD, name))
    return record.is_file() and not file.is_file() and bool(verification.gone(results / folder))


def let_go(nodes: Mapping[str, Node], results: Path, kept: Collection[str] = ()) -> tuple[int, int]:
    """Remove the tensors of states and masks that nothing of the plan has to read any more.

    Args:
        nodes: those of the plan, by key.
        results: the results folder.
        kept: folders of artifacts, under the results folder, that stay whole.

    Returns:
        How many files are removed, and their bytes.
    """
    waiting: dict[str, bool] = defaultdict(bool)
    for node in nodes.values():
        if node.stage != "tabulate" and not _is_there(results, node, tensors=False):
            waiting |= dict.fromkeys((parent for parents in node.parents.values() for parent in parents), True)
    going = [node for key, node in nodes.items() if node.stage in _PASSING and node.folder not in kept and not waiting[key]]
    gone = [size for node in going if _is_there(results, node, tensors=False) for size in _without_tensors(results / node.folder)]
    return len(gone), sum(gone)


def _without_tensors(folder: Path) -> list[int]:
    """Remove an artifact's tensors, after its record says that they are gone on purpose; give the sizes of their files.

    The record looks as old as it did, so that nothing seems to be older than what it was made from. What a killed run left of
    them goes, too.
    """
    record, path = verification.record(folder), folder / verification.RECORD
    names = [name for name in record["sha256"] if name.endswith(_TENSORS)]
    gone = record.get(verification.LET_GO, {}) | {name: record["sha256"].pop(name) for name in names}
    if names:
        times = path.stat()
        record[verification.LET_GO] = gone
        artifacts.write_text(path, json.dumps(record, indent=1) + "\n")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    left = [folder / name for name in gone if (folder / name).is_file()]
    sizes = [each.stat().st_size for each in left]
    for each in left:
        each.unlink()
    return sizes
