"""What telemetry adds to ResNet-20's first 4,000 steps at the paper's logging density."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import torch

from benchmarks import cifar_shaped
from benchmarks.measure import Line, interleave
from benchmarks.resnet20_train import recipe, start
from pipeline_lib.analysis.early_steps import Portrait, evaluated_steps, flattened, gradient_size, logged_steps
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.store import artifacts
from pipeline_lib.training.batches import stream
from pipeline_lib.training.evaluation import evaluate
from pipeline_lib.training.loop import Member, train
from pipeline_lib.training.precision import Numerics

STEPS, EVERY = 4000, 200


def run(full: bool) -> list[Line]:
    """Time a step, a description and an evaluation in turn; weigh them by how often each happens in 4,000 steps."""
    num_test, num_steps, repeats = (10_000, 10, 7) if full else (1_000, 4, 3)
    dataset, numerics = cifar_shaped.dataset(5_000, num_test), Numerics(channels_last=True)
    network, state = cifar_shaped.network(), start(0)
    source = stream(dataset, (0, 0), cifar_shaped.BATCH, cifar_shaped.PAD, flip=True, channels_last=True)
    names, gradient = prunable(network), algebra.to_vector(state.params)
    portrait = Portrait(state.params, names, torch.arange(10))

    def describe() -> None:
        portrait.weights(state.params).tolist()
        gradient_size(gradient).tolist()
        with tempfile.TemporaryDirectory() as folder:
            weights = flattened(state.params, names).half()
            artifacts.write_tensors(Path(folder) / "snapshot.safetensors", {"weights": weights}, {"key": ""})

    ways = {
        "steps": lambda: train(network, [Member(start(0), None, source)], recipe(numerics), num_steps),
        "describe": describe,
        "evaluate": lambda: evaluate(network, state, dataset.test, dataset, numerics),
    }
    times = interleave(ways, repeats)
    per_step, described = [seconds / num_steps for seconds in times["steps"]], times["describe"]
    evaluated = [seconds * 10_000 / num_test for seconds in times["evaluate"]]
    counts = len(logged_steps(STEPS)), len(evaluated_steps(STEPS, EVERY))
    shares = [(counts[0] * d + counts[1] * e) / (STEPS * s) for s, d, e in zip(per_step, described, evaluated, strict=True)]
    step, look, score = map(statistics.median, (per_step, described, evaluated))
    note = f"{counts[0]} descriptions of {1000 * look:.1f} ms, {counts[1]} evaluations of {score:.1f} s, steps of {step:.2f} s"
    spread = (max(shares) - min(shares)) / statistics.median(shares)
    extra = counts[0] * look + counts[1] * score
    return [Line("telemetry_share", extra, STEPS * step, statistics.median(shares), repeats, spread, note)]
