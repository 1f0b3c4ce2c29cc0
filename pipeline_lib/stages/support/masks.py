"""The masks that a job reads, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.core.types import Mask
from pipeline_lib.pruning.masks import ones
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job


@dataclass(frozen=True)
class Masks:
    """What a chunk of seeds is masked by.

    Args:
        members: a mask a seed; all ones where nothing is pruned.
        diverged: of each seed, whether its ladder had ended before the mask was made.
        empty: whether that was because no weight was left.
        dense: whether nothing is pruned: the job reads no mask.
    """

    members: list[Mask]
    diverged: list[bool]
    empty: list[bool]
    dense: bool = False


def read(job: Job[specs.Seeds], shapes: Mapping[str, Sequence[int]], role: str = "mask") -> Masks:
    """Read a mask a seed; all ones where there is none.

    Args:
        job: whose spec lists the seeds.
        shapes: of the prunable tensors, in the order that each mask is to have them.
        role: of the artifact that has the masks.

    Raises:
        ValueError: the file is missing, damaged or another node's.
    """
    num = len(job.spec["seeds"])
    if role not in job.reads:
        return Masks([ones(shapes)] * num, [False] * num, [False] * num, dense=True)
    found, head = artifacts.read_masks(job.file(role, "mask.safetensors"))
    return Masks([{name: mask[name] for name in shapes} for mask in found], head["diverged"], head["empty"])
