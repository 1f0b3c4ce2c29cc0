"""State -> spectra of the training loss's curvature over the surviving weights, and where the gradient lies in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline_lib.analysis.curvature import OPERATORS
from pipeline_lib.analysis.lanczos import Enough, Ritz, Tridiagonal, ritz, side_by_side
from pipeline_lib.analysis.resolution import SEMIDEFINITE, enough_examples, settled
from pipeline_lib.analysis.spectra import Estimate, Spectrum, gradient_overlap, negative_mass, rademacher, top_values, trace
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Mask, State
from pipeline_lib.pruning.masks import num_kept
from pipeline_lib.stages.support import data, krylov, masks
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
        "size": "spectra",
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
                    "dimension",
                    ["num_examples", "int64", "1", "training images; besides all, fewer to tell what more would change"],
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
        iterations: of Lanczos' method, for each probe, at most.
        probes: random vectors whose spectra are averaged.
        examples: training images, at most.
        subspace: eigenvectors of the largest eigenvalues, whose share in the gradient is measured.
        tolerance: by how much a pruning limit may still move where iterations end, and between an eighth, a quarter, a half and
            all of the examples; null for all iterations and all examples.
        resolution: the smallest c, as a share of the largest eigenvalue, at which that counts.
    """

    kind: str
    step: int
    operators: Sequence[str]
    iterations: int
    probes: int
    examples: int
    subspace: int
    tolerance: float | None
    resolution: float


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

    def on(self, num: int) -> _Work:
        """The same on so many examples, which are the same images for all seeds and steps."""
        train = subset(self.world.dataset.train, num, "curvature")
        return replace(self, world=replace(self.world, dataset=replace(self.world.dataset, train=train)))

    def enough(self, operator: str, dimension: int) -> Enough | None:
        """When the iterations may end."""
        tolerance, resolution = self.spec["tolerance"], self.spec["resolution"]
        if tolerance is None:
            return None
        return settled(dimension, self.spec["probes"], tolerance, resolution, operator in SEMIDEFINITE)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the examples; between two batches the job can stop."""
        for batch in chunks(self.world.dataset.train, self.world.dataset, self.world.numerics):
            self.notes.save()
            yield batch


def _runs(work: _Work, member: _Member, operator: str) -> list[Tridiagonal]:
    """Run Lanczos from each probe, and for the Hessian from the gradient, which comes last if it is not zero."""
    spec, dimension = work.spec, num_kept(member.mask)
    name, enough = f"{member.seed} {operator} {len(work.world.dataset.train.y)}", work.enough(operator, dimension)
    probes, flat = spec["probes"], f"{name} without gradient"  # a collapsed network's gradient is zero: no run begins there
    follows = operator == "hessian" and flat not in work.notes.facts
    so_far = krylov.so_far(work.notes, name, dimension, spec["iterations"], probes + follows, enough)
    if so_far and not any(len(run.basis) for run in so_far):
        return [run.found for run in so_far]
    make = OPERATORS[operator]
    product, gradient = make(work.world.network, member.state, work.batches, list(member.mask), member.mask)
    starts = rademacher(gradient, [torch_generator("probe", member.seed, i) for i in range(probes)])
    if operator == "hessian" and gradient.any():
        starts = torch.cat([starts, gradient[None]])
    elif operator == "hessian":
        work.notes.facts[flat] = True
    monitor = krylov.noting(work.notes, name, min(spec["iterations"], dimension))
    resume = so_far if len(so_far) == len(starts) else []
    return side_by_side(product, starts, spec["iterations"], resume=resume, monitor=monitor, enough=enough)


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


def _spectra(work: _Work, member: _Member) -> dict[tuple[str, int], list[Tridiagonal]]:
    """Find the spectra of one member, by operator and number of examples; the last number is what was enough.

    Enough for one operator is for the other: it is the examples that both have in common.
    """
    spec, found = work.spec, dict[tuple[str, int], list[Tridiagonal]]()
    most = min(spec["examples"], len(work.world.dataset.train.y))

    def measure(operator: str, num: int) -> Spectrum:
        found[operator, num] = _runs(work.on(num), member, operator)
        return Spectrum(num_kept(member.mask), found[operator, num][: spec["probes"]])

    first = next((name for name in SEMIDEFINITE if name in spec["operators"]), None)
    if first and spec["tolerance"] is not None:
        most = enough_examples(partial(measure, first), most, spec["tolerance"], spec["resolution"])
    for operator in spec["operators"]:
        if (operator, most) not in found:
            measure(operator, most)
    return found


def _measure(work: _Work, member: _Member) -> tuple[Rows, dict[str, Any]]:
    """Find one member's spectra, a row an iteration, and what is read off that of the Hessian."""
    spec, dimension, found = work.spec, num_kept(member.mask), _spectra(work, member)
    losses, rows = dict[int, float](), Rows()
    for (operator, num), runs in found.items():
        if num not in losses:
            own = work.on(num).world
            losses[num] = evaluate(own.network, member.state, own.dataset.train, own.dataset, own.numerics).loss
        same = {"operator": operator, "batchnorm": "eval", "dimension": dimension, "num_examples": num, "loss": losses[num]}
        rows += [same | row for row in _rows(runs, spec["probes"])]
    most = max(losses)
    hessian = found.get(("hessian", most))
    read = _read_off(hessian, spec["probes"], dimension, spec["subspace"]) if hessian else dict.fromkeys(_CURVATURE)
    return rows, read | {"loss": losses[most], "num_examples": most}


def run(job: Job[Spec]) -> None:
    """Measure a chunk of seeds at one state each; of a diverged one all is null."""
    spec = job.spec
    world = data.world(job)
    nothing = dict.fromkeys(_CURVATURE) | {"num_examples": min(spec["examples"], len(world.dataset.train.y))}
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
            rows, read = ([], nothing) if lost else _measure(work, member)
            spectrum += [who | row for row in rows]
            sizes = {"subspace": spec["subspace"], "num_probes": spec["probes"]}
            curvature.append(who | read | sizes | {"dimension": num_kept(mask)})
            text = "seed %d level %d step %d: top %s, negative mass %s, overlap %s"
            log.info(text, seed, spec["level"], spec["step"], *(read[c] for c in ("top", "negative_mass", "overlap")))
        artifacts.write_rows(job.folder / "spectrum.parquet", spectrum)
        artifacts.write_rows(job.folder / "curvature.parquet", curvature)
