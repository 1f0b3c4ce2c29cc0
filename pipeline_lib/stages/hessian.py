"""State -> the spectrum of the Hessian of the training loss, and where the gradient lies in it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from pipeline_lib import artifacts, tree
from pipeline_lib.anatomy import prunable
from pipeline_lib.curvature import hessian_product
from pipeline_lib.evaluate import chunks
from pipeline_lib.job import Job, log
from pipeline_lib.lanczos import Ritz, ritz, side_by_side
from pipeline_lib.rng import torch_generator
from pipeline_lib.spectra import Spectrum, gradient_overlap, negative_mass, rademacher, top_values, trace
from pipeline_lib.stages import data, device
from pipeline_lib.stages.training import numerics
from pipeline_lib.types import Dataset, State

_CURVATURE = ("top", "bottom", "negative_mass", "trace", "overlap")
GRADIENT = -1  # the gradient's number among the probes


def _subset(dataset: Dataset, num: int) -> Dataset:
    """Keep as many training images, drawn at random; the same ones for all seeds and steps."""
    chosen = torch.randperm(len(dataset.train.y), generator=torch_generator("curvature", num))[:num].sort().values
    chosen = chosen.to(dataset.train.y.device)
    return replace(dataset, train=replace(dataset.train, x=dataset.train.x[chosen], y=dataset.train.y[chosen]))


def _extreme(pairs: list[Ritz], lowest: bool) -> float | None:
    """Give the most extreme eigenvalue that has converged from one of the starts."""
    found = [value for each in pairs for value in top_values(each, 1, lowest=lowest) if value is not None]
    return (min if lowest else max)(found, default=None)


def _measure(job: Job, dataset: Dataset, state: State, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Find one member's Ritz pairs, a row each, and what is read off them."""
    spec, how = job.spec, numerics(job.spec["task"])
    network = data.build(spec["task"], dataset)
    batches = partial(chunks, dataset.train, dataset, how)
    product, gradient = hessian_product(network, state, batches, prunable(network), None)
    probes = rademacher(gradient, [torch_generator("probe", seed, i) for i in range(spec["probes"])])
    found = side_by_side(product, torch.cat([probes, gradient[None]]), spec["iterations"])
    random, of_gradient = Spectrum(len(gradient), found[:-1]), ritz(found[-1])
    pairs = [*random.full, of_gradient]
    numbers = [*range(spec["probes"]), GRADIENT]
    rows = [
        {"operator": "hessian", "probe": number, "node": node, "weight": weight, "residual": residual}
        for number, each in zip(numbers, pairs, strict=True)
        for node, weight, residual in zip(each.values.tolist(), each.weights.tolist(), each.residuals.tolist(), strict=True)
    ]
    read = {"top": _extreme(pairs, lowest=False), "bottom": _extreme(pairs, lowest=True)}
    read |= {"negative_mass": negative_mass(random).value, "trace": trace(random).value}
    return rows, read | {"overlap": gradient_overlap(of_gradient, spec["subspace"])}


def run(job: Job) -> None:
    """Measure a chunk of seeds at one step; of a diverged one all is null."""
    spec = job.spec
    place = device.pick(numerics(spec["task"]))
    dataset = _subset(data.read(job, place), spec["examples"])
    states, head = artifacts.read_states(job.file("state", "state.safetensors"))
    spectrum: list[dict[str, Any]] = []
    curvature: list[dict[str, Any]] = []
    for seed, state, diverged in zip(spec["seeds"], states, head["diverged"], strict=True):
        who = {"task": spec["task"]["name"], "seed": seed, "kind": "imp", "k": 0, "level": 0, "step": spec["step"]}
        rows, read = ([], dict.fromkeys(_CURVATURE)) if diverged else _measure(job, dataset, tree.moved(state, place), seed)
        spectrum += [who | row for row in rows]
        sizes = {"subspace": spec["subspace"], "num_probes": spec["probes"], "num_examples": len(dataset.train.y)}
        curvature.append(who | read | sizes)
        log.info("seed %d step %d: top %s, negative mass %s, overlap %s", seed, spec["step"], *(read[c] for c in _CURVATURE[::2]))
    artifacts.write_rows(job.folder / "spectrum.parquet", spectrum)
    artifacts.write_rows(job.folder / "curvature.parquet", curvature)
