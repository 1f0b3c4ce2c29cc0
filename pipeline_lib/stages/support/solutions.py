"""The solutions that a measurement looks at."""

from __future__ import annotations

import torch

from pipeline_lib.core import algebra
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import masks
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job


def sound(job: Job[specs.Seeds], place: torch.device) -> tuple[dict[int, tuple[State, Mask]], str]:
    """Read the states and masks, by seed, of the solutions that have not diverged and have a weight left.

    Args:
        job: which reads `state`, and `mask` if they are sparse.
        place: where states go.

    Returns:
        They, and the key of the states' artifact.

    Raises:
        ValueError: a file is missing, damaged or another node's.
    """
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    kept = masks.read(job, {name: states[0].params[name].shape for name in head["prunable"]})
    found = {
        seed: (algebra.moved(state, place), mask)
        for seed, state, mask, lost in zip(job.spec["seeds"], states, kept.members, head["diverged"], strict=True)
        if not lost and num_kept(mask)
    }
    return found, head["key"]
