"""Which jobs of a plan may be one job of a cluster's queue: those of one task of which none waits for another."""

from __future__ import annotations

from functools import cache

from pipeline_lib.planning.plan_file import Written


@cache
def _depth(plan: Written, name: str, stage: str) -> int:
    """Count the nodes of a stage on the longest way to a node, itself included."""
    line = plan.node(name)
    before = {folder.removeprefix("artifacts/") for folders in line["reads"].values() for folder in folders}
    return (line["stage"] == stage) + max((_depth(plan, each, stage) for each in before), default=0)


def name(plan: Written, node: str) -> str:
    """Name the group of a node that trains.

    Args:
        plan: where it is from.
        node: `<stage>/<label>-<key>`.

    Raises:
        ValueError: there is no such node.
    """
    line = plan.node(node)
    return f"{line['stage']}_{line['spec']['task']['name']}_{_depth(plan, node, line['stage'])}"
