"""How far Lanczos' runs of a job are: taken down for a later try, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.analysis.lanczos import Enough, Krylov, Monitor, Tridiagonal
from pipeline_lib.core.pace import Pace
from pipeline_lib.store import resumption
from pipeline_lib.store.job import log


def noting(notes: resumption.Notes, name: str, total: int) -> Monitor:
    """Make what takes down how far the runs of one operator are, and logs it every few seconds."""
    pace = Pace(total, max((len(run["diagonal"]) for run in notes.facts.get(name, [])), default=0))

    def monitor(runs: Sequence[Krylov]) -> None:
        notes.tensors = {f"{name}/{i}": run.basis for i, run in enumerate(runs) if len(run.basis)}
        notes.facts[name] = [
            {"diagonal": t.diagonal.tolist(), "off_diagonal": t.off_diagonal.tolist(), "residual": t.residual}
            for t in (run.found for run in runs)
        ]
        if pace.due(max(len(run.found.diagonal) for run in runs)):
            told = {"who": f"seed {name}", "pace": pace}
            log.info("seed %s iteration %d/%d, %.0f s left", name, pace.done, total, pace.left, extra=told)

    return monitor


def _krylov(basis: Tensor, run: dict[str, Any], dimension: int, total: int, stopped: bool) -> Krylov:
    """Put together how far a run was, and refuse what no run comes to; `stopped` if all were ended."""
    diagonal, beside, residual = (np.array(run[key], dtype=np.float64) for key in ("diagonal", "off_diagonal", "residual"))
    num = len(diagonal)
    if not 1 <= num <= total or beside.shape != (num - 1,) or residual.shape:
        raise ValueError(f"kept run must have at most {total} iterations, got {num} of another kind; it is left aside")
    fits = basis.shape in ((num + 1, dimension), (0, dimension)) and basis.dtype == torch.float32
    # A run without a basis is done: it was ended with all others, has all its iterations, or its space is invariant.
    coupled = [*beside.tolist(), float(residual)]
    smallest = 10 * torch.finfo(torch.float32).eps * max(abs(d) + r for d, r in zip(diagonal.tolist(), coupled, strict=True))
    fits &= len(basis) > 0 or stopped or num == total or residual <= smallest
    if not fits:
        raise ValueError(f"kept basis must be that of a run of {num} iterations, got {tuple(basis.shape)}; it is left aside")
    return Krylov(basis, Tridiagonal(diagonal, beside, float(residual)))


def so_far(notes: resumption.Notes, name: str, dimension: int, most: int, num_starts: int, enough: Enough | None) -> list[Krylov]:
    """Read how far an earlier try came with one operator; nothing if it had not begun."""
    bases, total = notes.tensors, min(most, dimension)

    def read() -> list[Krylov]:
        runs = notes.facts.get(name, [])
        if len(runs) not in (0, num_starts):
            raise ValueError(f"kept runs must be {num_starts}, got {len(runs)}; they are left aside")
        empty = torch.empty(0, dimension)
        found = [bases.get(f"{name}/{i}", empty) for i in range(len(runs))]
        ended = bool(runs) and not any(map(len, found))
        stopped = ended and enough is not None and enough([_krylov(empty, run, dimension, total, True).found for run in runs])
        return [_krylov(basis, run, dimension, total, stopped) for basis, run in zip(found, runs, strict=True)]

    return notes.recall(read, [])
