"""State -> spectra of the training loss's curvature over the surviving weights, and where the gradient lies in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.analysis.curvature import OPERATORS
from pipeline_lib.analysis.lanczos import Krylov, Monitor, Ritz, Tridiagonal, ritz, side_by_side
from pipeline_lib.analysis.spectra import Estimate, Spectrum, gradient_overlap, negative_mass, rademacher, top_values, trace
from pipeline_lib.core import algebra
from pipeline_lib.core.pace import Pace
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import data, masks
from pipeline_lib.store import artifacts, resumption, specs
from pipeline_lib.store.job import Job, log
from pipeline_lib.training.evaluation import chunks, evaluate, subset

STAGE = {
    "hessian": {
        "group": "measurements",
        "needs": "state",
        "makes": "spectrum of the Hessian of the training loss",
        "cluster": {"minutes": 240, "megabytes": 16000},
        "rate": "evaluation",
        "size": [1.2e-3, "examples", "iterations", "probes", "operators", "seeds"],
        "tables": {
            "spectrum": {
                "of": ["the state"],
                "columns": [
                    "task", "seed", "kind", "k", "level", "step", "operator",
                    ["vector", "string", "-", "what the iteration starts from: rademacher (random signs) or gradient"],
                    ["probe", "int64", "-", "number of the random start; -1 is the gradient"],
                    ["index", "int64", "-", "iteration, from 0; node, weight and residual are of the Ritz value of that rank"],
                    ["node", "double", "1", "Ritz value: an eigenvalue of the iteration's small matrix, ascending"],
                    ["weight", "double", "1", "squared first component: share of the start vector in this direction"],
                    ["residual", "double", "1", "norm of the Ritz pair's residual"],
                    ["alpha", "double", "1", "the small matrix's diagonal"],
                    ["beta", "double", "1", "its coupling to the next vector; in the last row to all that is left"],
                    "dimension", "num_examples",
                    ["batchnorm", "string", "-", "eval (the state's statistics) or train (each batch's)"],
                    ["loss", "double", "nats", "mean cross-entropy over those images"],
                ],
            },
            "curvature": {
                "of": ["the state"],
                "columns": [
                    "task", "seed", "kind", "k", "level", "step",
                    ["top", "double", "1", "largest eigenvalue of the Hessian of the training loss"],
                    ["bottom", "double", "1", "smallest eigenvalue"],
                    ["negative_mass", "double", "1", "share of the eigenvalues' absolute sum that is negative"],
                    ["negative_mass_error", "double", "1", "its standard error over random starts; null for a single one"],
                    ["trace", "double", "1", "sum of the eigenvalues, estimated"],
                    ["trace_error", "double", "1", "its standard error over random starts; null for a single one"],
                    ["overlap", "double", "1", "share of the gradient's square in the top subspace; null if not converged"],
                    ["subspace", "int64", "1", "dimension of the top subspace"],
                    ["num_probes", "int64", "1", "random start vectors"],
                    "dimension", "num_examples",
                    ["loss", "double", "nats", "mean cross-entropy over those images"],
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Solutions):
    """Spectra of a network a seed, by Lanczos' method.

    Args:
        kind: of the masks.
        step: of training at which they are taken.
        operators: matrices whose spectra are measured.
        iterations: of Lanczos' method, for each probe.
        probes: random vectors whose spectra are averaged.
        examples: training images.
        subspace: eigenvectors of the largest eigenvalues, whose share in the gradient is measured.
    """

    kind: str
    step: int
    operators: Sequence[str]
    iterations: int
    probes: int
    examples: int
    subspace: int


Rows = list[dict[str, Any]]
_CURVATURE = ("top", "bottom", "negative_mass", "negative_mass_error", "trace", "trace_error", "overlap", "loss")
GRADIENT = -1  # the gradient's number among the probes


@dataclass(frozen=True)
class _Member:
    """One network to look at, on the device of the data."""

    seed: int
    state: State
    mask: Mask


@dataclass(frozen=True)
class _Work:
    """What the measurements of a job share; the training split of its world is the examples that count."""

    spec: Spec
    world: data.World
    notes: resumption.Notes

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the examples; between two batches the job can stop."""
        for batch in chunks(self.world.dataset.train, self.world.dataset, self.world.numerics):
            self.notes.save()
            yield batch


def _noting(work: _Work, name: str, total: int) -> Monitor:
    """Make what takes down how far the runs of one operator are, and logs it every few seconds."""
    pace = Pace(total, max((len(run["diagonal"]) for run in work.notes.facts.get(name, [])), default=0))

    def monitor(runs: Sequence[Krylov]) -> None:
        work.notes.tensors = {f"{name}/{i}": run.basis for i, run in enumerate(runs) if len(run.basis)}
        work.notes.facts[name] = [
            {"diagonal": t.diagonal.tolist(), "off_diagonal": t.off_diagonal.tolist(), "residual": t.residual}
            for t in (run.found for run in runs)
        ]
        if pace.due(max(len(run.found.diagonal) for run in runs)):
            log.info("seed %s iteration %d/%d, %.0f s left", name, pace.done, total, pace.left)

    return monitor


def _krylov(basis: Tensor, run: dict[str, Any], dimension: int, total: int) -> Krylov:
    """Put together how far a run was, and refuse what no run comes to."""
    diagonal, beside, residual = (np.array(run[key], dtype=np.float64) for key in ("diagonal", "off_diagonal", "residual"))
    num = len(diagonal)
    if not 1 <= num <= total or beside.shape != (num - 1,) or residual.shape:
        raise ValueError(f"kept run must have at most {total} iterations, got {num} of another kind; it is left aside")
    fits = basis.shape in ((num + 1, dimension), (0, dimension)) and basis.dtype == torch.float32
    # A run without a basis is done: it has all its iterations, or its space is invariant.
    coupled = [*beside.tolist(), float(residual)]
    smallest = 10 * torch.finfo(torch.float32).eps * max(abs(d) + r for d, r in zip(diagonal.tolist(), coupled, strict=True))
    fits &= len(basis) > 0 or num == total or residual <= smallest
    if not fits:
        raise ValueError(f"kept basis must be that of a run of {num} iterations, got {tuple(basis.shape)}; it is left aside")
    return Krylov(basis, Tridiagonal(diagonal, beside, float(residual)))


def _so_far(work: _Work, name: str, dimension: int, num_starts: int) -> list[Krylov]:
    """Read how far an earlier try came with one operator; nothing if it had not begun."""
    bases, total = work.notes.tensors, min(work.spec["iterations"], dimension)

    def read() -> list[Krylov]:
        runs = work.notes.facts.get(name, [])
        if len(runs) not in (0, num_starts):
            raise ValueError(f"kept runs must be {num_starts}, got {len(runs)}; they are left aside")
        empty = torch.empty(0, dimension)
        return [_krylov(bases.get(f"{name}/{i}", empty), run, dimension, total) for i, run in enumerate(runs)]

    return work.notes.recall(read, [])


def _runs(work: _Work, member: _Member, operator: str) -> list[Tridiagonal]:
    """Run Lanczos from each probe, and for the Hessian from the gradient, which comes last if it is not zero."""
    spec, name, dimension = work.spec, f"{member.seed} {operator}", num_kept(member.mask)
    probes, flat = spec["probes"], f"{name} without gradient"  # a collapsed network's gradient is zero: no run begins there
    follows = operator == "hessian" and flat not in work.notes.facts
    so_far = _so_far(work, name, dimension, probes + follows)
    if so_far and not any(len(run.basis) for run in so_far):
        return [run.found for run in so_far]
    make = OPERATORS[operator]
    product, gradient = make(work.world.network, member.state, work.batches, list(member.mask), member.mask)
    starts = rademacher(gradient, [torch_generator("probe", member.seed, i) for i in range(probes)])
    if operator == "hessian" and gradient.any():
        starts = torch.cat([starts, gradient[None]])
    elif operator == "hessian":
        work.notes.facts[flat] = True
    monitor = _noting(work, name, min(spec["iterations"], dimension))
    return side_by_side(product, starts, spec["iterations"], resume=so_far if len(so_far) == len(starts) else [], monitor=monitor)


def _rows(found: Sequence[Tridiagonal], num_probes: int) -> Rows:
    """Write down each run, a row an iteration."""
    rows: Rows = []
    for i, run in enumerate(found):
        who = {"vector": "rademacher", "probe": i} if i < num_probes else {"vector": "gradient", "probe": GRADIENT}
        pairs, beta = ritz(run), [*run.off_diagonal.tolist(), run.residual]
        columns = {"node": pairs.values.tolist(), "weight": pairs.weights.tolist(), "residual": pairs.residuals.tolist()}
        columns |= {"alpha": run.diagonal.tolist(), "beta": beta}
        rows += [who | {"index": j} | {name: column[j] for name, column in columns.items()} for j in range(len(beta))]
    return rows


def _extreme(pairs: list[Ritz], lowest: bool) -> float | None:
    """Give the most extreme eigenvalue that has converged from one of the starts."""
    found = [value for each in pairs for value in top_values(each, 1, lowest=lowest) if value is not None]
    return (min if lowest else max)(found, default=None)


def _agreed(found: Estimate) -> float | None:
    """Give an estimate's value, unless the quadrature still moves by much more than the probes' spread would have one think."""
    size = abs(found.value)
    allowed = 0.25 * size if math.isnan(found.standard_error) else max(5 * found.standard_error, 0.1 * size)
    return None if math.isnan(size) or abs(found.change) > allowed else found.value


def _read_off(found: list[Tridiagonal], num_probes: int, dimension: int, subspace: int) -> dict[str, Any]:
    """Read off what the Hessian is like from its runs: those of the probes, and one from the gradient where that is not zero."""
    random, of_gradient = Spectrum(dimension, found[:num_probes]), [ritz(run) for run in found[num_probes:]]
    pairs = [*random.full, *of_gradient]
    below, whole = negative_mass(random), trace(random)
    read = {"top": _extreme(pairs, lowest=False), "bottom": _extreme(pairs, lowest=True), "trace": whole.value}
    read |= {"negative_mass": _agreed(below), "overlap": gradient_overlap(of_gradient[0], subspace) if of_gradient else None}
    errors = {"negative_mass_error": below.standard_error, "trace_error": whole.standard_error}
    return read | {name: error if math.isfinite(error) else None for name, error in errors.items()}


def _measure(work: _Work, member: _Member) -> tuple[Rows, dict[str, Any]]:
    """Find one member's spectra, a row an iteration, and what is read off that of the Hessian."""
    spec, dimension, dataset = work.spec, num_kept(member.mask), work.world.dataset
    score = evaluate(work.world.network, member.state, dataset.train, dataset, work.world.numerics)
    found = {operator: _runs(work, member, operator) for operator in spec["operators"]}
    same = {"batchnorm": "eval", "dimension": dimension, "num_examples": len(dataset.train.y), "loss": score.loss}
    rows = [{"operator": operator} | same | row for operator, runs in found.items() for row in _rows(runs, spec["probes"])]
    return rows, _read_off(found["hessian"], spec["probes"], dimension, spec["subspace"]) | {"loss": score.loss}


def run(job: Job[Spec]) -> None:
    """Measure a chunk of seeds at one state each; of a diverged one all is null."""
    spec = job.spec
    if "hessian" not in spec["operators"]:
        raise ValueError(f"operators must have hessian among them, got {spec['operators']}; its curvature is a table of its own")
    world = data.world(job)
    train = subset(world.dataset.train, spec["examples"], "curvature")  # the same images for all seeds and steps
    world = replace(world, dataset=replace(world.dataset, train=train))
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    kept = masks.read(job, {name: world.network.get_parameter(name).shape for name in prunable(world.network)})
    spectrum: Rows = []
    curvature: Rows = []
    with resumption.noted(job) as notes:
        work = _Work(spec, world, notes)
        for seed, state, mask, lost in zip(spec["seeds"], states, kept.members, head["diverged"], strict=True):
            who = {"task": spec["task"]["name"], "seed": seed, "key": head["key"]}
            who |= {key: spec[key] for key in ("kind", "k", "level", "step")}
            member = _Member(seed, algebra.moved(state, world.device), mask)
            rows, read = ([], dict.fromkeys(_CURVATURE)) if lost else _measure(work, member)
            spectrum += [who | row for row in rows]
            sizes = {"subspace": spec["subspace"], "num_probes": spec["probes"]}
            curvature.append(who | read | sizes | {"dimension": num_kept(mask), "num_examples": len(train.y)})
            text = "seed %d level %d step %d: top %s, negative mass %s, overlap %s"
            log.info(text, seed, spec["level"], spec["step"], *(read[c] for c in ("top", "negative_mass", "overlap")))
        artifacts.write_rows(job.folder / "spectrum.parquet", spectrum)
        artifacts.write_rows(job.folder / "curvature.parquet", curvature)
