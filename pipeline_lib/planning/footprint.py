"""What a plan takes on disk: bytes by the sizes of its networks, and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipeline_lib.planning.nodes import Node, Plan

BLOCK = 4096  # bytes that a file takes at least
_RECORDS = 2  # a job's log and benchmark record
_TABLE = 30_000  # bytes of a measurement, or of a figure in two formats, give or take
_STATES = ("pretrain", "teach", "rewind", "perturb", "train", "trace")
_MASKS = ("prune", "adapt")


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
    """Count the entries of a task's network, without its data and without memory for it."""
    import torch

    from pipeline_lib.core import registry
    from pipeline_lib.core.parameters import prunable
    from pipeline_lib.planning.task_list import examples

    shape, num_classes = examples(task["dataset"])
    with torch.device("meta"):
        network = registry.call("networks", task["network"], input_shape=shape, num_classes=num_classes)
    entries = [*network.parameters(), *network.buffers()]
    return Size(sum(t.numel() for t in entries), sum(network.get_parameter(name).numel() for name in prunable(network)))


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
    if node.stage in _MASKS:
        return members * network.mask
    if node.stage == "score":
        return members * network.mask * 8
    return 4 * network.state * (members + _kept(plan, node))


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
