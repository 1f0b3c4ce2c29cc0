"""Steps a second of ResNet-20 on one GPU, for one run and for nine side by side, beside a bound by the memory's speed.

Wall-clock time, unlike the others: the device works while the host waits.
"""

from __future__ import annotations

import contextlib
import datetime
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import cifar_shaped
from benchmarks.measure import Line, left_out
from benchmarks.resnet20_train import recipe, start
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Dataset, Progress
from pipeline_lib.store import device
from pipeline_lib.training.batches import stream
from pipeline_lib.training.loop import Member, train
from pipeline_lib.training.precision import Numerics

NUM_IMAGES = 50_000
WARM_UP = 20  # steps of each member: choosing algorithms, recording kernels
GIB = 2**30
# How often memory has to move the output of a convolution in one step, with every other operation fused into a convolution:
# forward 2 (written; read by the next convolution), backward 7 (gradient written, and the output read beside it for BatchNorm's
# sums; both read for the gradient by the input; both read for the gradient by the weights; the output read for the next
# convolution's gradient by its weights). Weights, images and the sums of residual blocks are left out.
PASSES = 9
Interval = tuple[datetime.datetime, datetime.datetime]


@dataclass
class _Clock:
    """Monitor of the last member: reads the clock at two steps, with the device at rest."""

    begin: int
    end: int
    times: list[float] = field(default_factory=list)
    dates: list[datetime.datetime] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        if progress.step in (self.begin, self.end):
            torch.cuda.synchronize()
            self.times.append(time.perf_counter())
            self.dates.append(datetime.datetime.now())


def _activations(network: nn.Module) -> int:
    """Count the output elements of all convolutions, for one image."""
    counts: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(output.numel())

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, *cifar_shaped.SHAPE))
    for hook in hooks:
        hook.remove()
    return sum(counts)


def bytes_a_step(numerics: Numerics) -> int:
    """Estimate the bytes that memory has to move in one step of one member: batch x outputs x bytes of a number x PASSES."""
    width = 2 if numerics.precision == "bf16" else 4
    return cifar_shaped.BATCH * _activations(cifar_shaped.network()) * width * PASSES


def _bandwidth(place: torch.device, repeats: int = 20) -> float:
    """Measure bytes a second, read and written, of copying 2 GiB within the device's memory."""
    source = torch.zeros(2 * GIB, dtype=torch.uint8, device=place)
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(repeats):
        target.copy_(source)
    torch.cuda.synchronize()
    return repeats * 2 * source.numel() / (time.perf_counter() - begun)


def _samples(text: str, intervals: Sequence[Interval]) -> list[float]:
    """Take nvidia-smi's percentages that fall into the intervals; lines that are no numbers are skipped."""
    found = []
    for line in text.splitlines():
        date, _, percent = line.partition(",")
        with contextlib.suppress(ValueError):
            when, value = datetime.datetime.strptime(date.strip(), "%Y/%m/%d %H:%M:%S.%f"), float(percent)
            if any(begun <= when <= ended for begun, ended in intervals):
                found.append(value)
    return found


@contextlib.contextmanager
def _utilisation(place: torch.device) -> Iterator[Callable[[Sequence[Interval]], str]]:
    """Let nvidia-smi, a process of its own, sample the share of time in which a kernel runs; yields what sums it up."""
    command = shutil.which("nvidia-smi")
    if command is None:
        yield lambda intervals: "utilisation unknown (no nvidia-smi)"
        return
    uuid = str(torch.cuda.get_device_properties(place).uuid).removeprefix("GPU-")
    query = ["--query-gpu=timestamp,utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100", "-i", f"GPU-{uuid}"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w", encoding="utf-8") as file:
            sampler = subprocess.Popen([command, *query], stdout=file, stderr=subprocess.STDOUT)

            def summary(intervals: Sequence[Interval]) -> str:
                samples = _samples(log.read_text(encoding="utf-8"), intervals)
                return f"utilisation {statistics.mean(samples):.0f} %" if samples else "utilisation unknown (no samples)"

            try:
                yield summary
            finally:
                sampler.terminate()
                sampler.wait()


def _time(dataset: Dataset, num_members: int, numerics: Numerics, num_steps: int) -> _Clock:
    """Train `num_members` side by side by the pipeline's own loop, and time `num_steps` of each after the warm-up."""
    place, end = dataset.train.y.device, WARM_UP + num_steps
    clock = _Clock(WARM_UP, end)
    members = []
    for i in range(num_members):
        source = stream(dataset, (i, 0), cifar_shaped.BATCH, cifar_shaped.PAD, flip=True, channels_last=True)
        # The last member is the last to do a step: when it has, all have.
        members.append(Member(algebra.moved(start(i), place), None, source, clock if i == num_members - 1 else None))
    for trained in train(cifar_shaped.network(), members, recipe(numerics), end):
        if trained.last_finite is not None:
            raise RuntimeError(
                f"weights must stay finite, got steps up to {trained.last_finite} only; its speed would mean little"
            )
    return clock


def _measure(name: str, num_members: int, goals: Mapping[str, float], full: bool) -> list[Line]:
    """Make one line for each precision: steps a second of all members together, beside its goal."""
    if not torch.cuda.is_available():
        return left_out(name, "no CUDA device")
    repeats, epochs = (7, 10) if full else (3, 5)
    epoch = NUM_IMAGES // cifar_shaped.BATCH
    num_steps = epoch * max(1, round(epochs / num_members))  # whole epochs: drawing a permutation is part of the work
    dataset, lines = cifar_shaped.dataset(NUM_IMAGES, cifar_shaped.BATCH, torch.device("cuda")), []
    bandwidth, card = _bandwidth(dataset.train.y.device), torch.cuda.get_device_name()
    for precision, goal in goals.items():
        numerics = Numerics(precision, channels_last=True)
        device.pick(numerics)  # sets how the GPU multiplies float32
        with _utilisation(dataset.train.y.device) as summary:
            clocks = [_time(dataset, num_members, numerics, num_steps) for _ in range(repeats)]
            busy = summary([(clock.dates[0], clock.dates[1]) for clock in clocks])
        speeds = [num_members * num_steps / (clock.times[1] - clock.times[0]) for clock in clocks]
        speed, moved = statistics.median(speeds), bytes_a_step(numerics)
        roofline = f"{bandwidth / moved:.0f} steps/s ({moved / 1e6:.0f} MB a step at {bandwidth / 1e12:.2f} TB/s)"
        note = (
            f"steps/s, usual = the goal; {num_members} x {num_steps} steps a round on {card}; {busy}; memory roofline {roofline}"
        )
        spread = (max(speeds) - min(speeds)) / speed
        lines.append(Line(f"{name}/{precision}", speed, goal, speed / goal, repeats, spread, note))
    return lines


def single(full: bool) -> list[Line]:
    """Time one run."""
    return _measure("single_h200", 1, {"fp32": 500.0, "tf32": 1000.0, "bf16": 1200.0}, full)


def cohort9(full: bool) -> list[Line]:
    """Time nine runs side by side, as an instability job of three seeds has them."""
    return _measure("cohort9_h200", 9, {"fp32": 900.0, "tf32": 2500.0, "bf16": 4000.0}, full)
