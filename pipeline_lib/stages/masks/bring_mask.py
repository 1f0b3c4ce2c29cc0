"""A mask's file -> the mask, for a chunk of seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Mask
from pipeline_lib.pruning import masks
from pipeline_lib.stages.support import brought, data
from pipeline_lib.store import artifacts, foreign, specs
from pipeline_lib.store.job import Job, log

STAGE = {
    "bring_mask": {
        "needs": "a mask's file",
        "makes": "the mask",
        "files": ["mask.safetensors"],
        "seconds": 2.0,
    }
}  # fmt: skip


class Spec(specs.Measured, specs.Seeds, brought.File):
    """A mask that was made elsewhere.

    Args:
        criterion: its name in the config, which tables have in place of a criterion's.
    """

    criterion: str


def _mask(network: nn.Module, file: Path) -> Mask:
    """Read a mask of a network; a tensor that it does not name is kept whole.

    Raises:
        ValueError: it names tensors that are not pruned, has other shapes, or keeps nothing.
    """
    weights = {name: network.get_parameter(name) for name in prunable(network)}
    found = foreign.mask(file)
    odd = [f"{name}, which is none of its prunable weights" for name in found if name not in weights]
    odd += foreign.misfits({name: keep for name, keep in found.items() if name in weights}, weights)
    if odd:
        rule = f"mask {file} must fit the network, whose prunable weights are {', '.join(weights)}"
        raise ValueError(f"{rule}, got {foreign.listed(odd)}; name each by its parameter")
    whole = {name: found.get(name, np.ones(tuple(weight.shape), dtype=bool)) for name, weight in weights.items()}
    if not masks.num_kept(whole):
        raise ValueError(f"mask {file} must keep a weight, got none; true, or 1, is what is kept")
    return whole


def run(job: Job[Spec]) -> None:
    """Read a mask and hold it against the network."""
    dataset = data.read(job)
    mask, num = _mask(data.build(job.spec["task"], dataset), brought.path(job, "mask")), len(job.spec["seeds"])
    log.info("%s: %.3g%% of the weights are kept", job.spec["criterion"], 100 * masks.density(mask))
    stacked: dict[str, Any] = {name: np.stack([keep] * num) for name, keep in mask.items()}
    artifacts.write_arrays(job.folder / "mask.safetensors", stacked, job.meta(**masks.ended([mask] * num, [False] * num)))
