"""Phases that tell whether the device does what it should."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from benchmarks import cifar_shaped
from benchmarks.gpu import alternatives, carrying
from benchmarks.gpu.bench import Asked, apart, numerics, rate, trained, wait, whole
from benchmarks.gpu.rows import Rows
from pipeline_lib.core.types import Dataset
from pipeline_lib.planning import plan_file
from pipeline_lib.planning.written import making
from pipeline_lib.store import resumption
from pipeline_lib.training import cuda_graphs
from pipeline_lib.training.precision import Numerics

# What rounding explains at most, relatively: of a loss, and of a gradient. Found at home, for random images: 7e-8, 4e-5 and 7e-4,
# and 1.6e-4, 9e-2 and 2.8e-1. The second step's loss has the first one's gradient in it; from the third on training is chaotic.
LOSS = {"fp32": 1e-5, "tf32": 1e-3, "bf16": 1e-2}
GRADIENT = {"fp32": 3e-3, "tf32": 0.3, "bf16": 0.6}
SECOND = 30  # times what the first step's loss may be off
ON_DEVICE = ("train", "interpolate", "teach", "telemetry", "hessian", "connect", "slice")  # stages of the plan `check`
SAVING = """
import sys
from pipeline_lib import __main__ as pipeline
from pipeline_lib.store import resumption
resumption.SAVE_SECONDS = 0.1
sys.exit(pipeline.main(sys.argv[1:]))
"""  # a job that keeps how far it is all the time
TABLES = "tabulate"  # its last stage that is made: figures take longer than all else


def place(rows: Rows, asked: Asked) -> None:
    """The machine, its ceilings, and the kernels of a step."""
    rows(python=platform.python_version(), torch=torch.__version__, cuda=torch.version.cuda, cpus=os.cpu_count())
    if asked.place.type == "cuda":
        card = torch.cuda.get_device_properties(asked.place)
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, stdout=subprocess.PIPE, text=True, check=False)
        rows(device=card.name, processors=card.multi_processor_count, mib=card.total_memory >> 20, driver=driver.stdout.strip())
    source = torch.randint(0, 255, (1 << (10 if asked.tiny else 31),), dtype=torch.uint8, device=asked.place)
    target = torch.empty_like(source)
    rows(what="copy, TB/s", value=rate(lambda: target.copy_(source), 2 * len(source), asked) / 1e12)
    side = 16 if asked.tiny else 8192
    for precision in asked.precisions:
        numerics(precision)
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        first, second = torch.randn(2, side, side, device=asked.place, dtype=kind)
        work = 2 * side**3
        rows(what="product, TFLOP/s", precision=precision, value=rate(partial(torch.matmul, first, second), work, asked) / 1e12)
    dataset = asked.dataset()
    for precision, channels_last in itertools.product(("fp32", "bf16")[asked.tiny :], (True, False)[asked.tiny :]):
        with rows.trying(precision=precision, channels_last=channels_last):
            _kernels(rows, asked, dataset, numerics(precision, channels_last))


def _kernels(rows: Rows, asked: Asked, dataset: Dataset, how: Numerics) -> None:
    """Count the kernels of a step: what two steps launch more than one."""
    found = list[tuple[int, float]]()
    kind = torch.profiler.ProfilerActivity
    for steps in (1, 2):
        with torch.profiler.profile(activities=[kind.CUDA if asked.place.type == "cuda" else kind.CPU]) as profile:
            trained(1, dataset, asked, how, steps)
            wait(asked.place)
        events = [event for event in profile.events() if asked.place.type == "cpu" or "CUDA" in str(event.device_type)]
        found.append((len(events), sum(float(getattr(event, "device_time", 0) or 0) for event in events)))
    (one, less), (two, more) = found
    rows(precision=how.precision, channels_last=how.channels_last, kernels_a_step=two - one, kernel_us=more - less)


@contextmanager
def _called() -> Iterator[None]:
    """Let steps be called one by one instead of recorded."""
    kept, cuda_graphs.WARM_UP = cuda_graphs.WARM_UP, 10**9
    try:
        yield
    finally:
        cuda_graphs.WARM_UP = kept


def correct(rows: Rows, asked: Asked) -> None:
    """The device = float64 within rounding; recorded = called, to the bit; beside others = alone; other ways within rounding.

    What tells most comes first, and what the compiler has to make last.
    """
    dataset, steps = asked.dataset(), 2 if asked.tiny else 24
    with rows.trying(check="gradient = float64"):
        _gradients(rows, asked)
    torch.backends.cudnn.deterministic = True
    for precision in asked.precisions:
        with rows.trying(check="recorded = called", precision=precision):
            _bits(rows, asked, dataset, precision, steps)
    truth = cache(lambda precision: alternatives.losses("called", dataset, asked, numerics(precision)))
    for way, precision in itertools.product(alternatives.WAYS if asked.place.type == "cuda" else ("vmap",), asked.precisions):
        with rows.trying(check=f"{way} = called", precision=precision):
            _way(rows, asked, dataset, way, precision, truth(precision))
    torch.backends.cudnn.deterministic = False
    again = [whole(trained(1, dataset, asked, numerics("fp32"), steps)[0]) for _ in range(2)]
    rows(check="twice the same without deterministic cuDNN, for information", apart=apart(*again))


def _bits(rows: Rows, asked: Asked, dataset: Dataset, precision: str, steps: int) -> None:
    """Hold recorded steps against called ones, and those of a member beside two others against those of it alone."""
    how = numerics(precision)
    with _called():
        called = whole(trained(1, dataset, asked, how, steps)[0])
    recorded, beside = (whole(trained(num, dataset, asked, how, steps)[0]) for num in (1, 3))
    for check, found, other in (("recorded = called", recorded, called), ("beside others = alone", beside, recorded)):
        rows(check=check, precision=precision, apart=apart(found, other), good=torch.equal(found, other))


def _way(rows: Rows, asked: Asked, dataset: Dataset, way: str, precision: str, truth: Tensor) -> None:
    """Hold the first two losses of another way against those of called steps."""
    how = numerics(precision)
    first, second = ((alternatives.losses(way, dataset, asked, how) - truth) / truth).abs().tolist()
    good = first < LOSS[precision] and second < SECOND * LOSS[precision]
    rows(check=f"{way} = called", precision=precision, first=first, second=second, good=good)


def _gradient(asked: Asked, place: torch.device, kind: torch.dtype, how: Numerics) -> tuple[float, Tensor]:
    generator, own, network = torch.Generator().manual_seed(0), asked.start(0), asked.network().train()
    num = 4 if asked.tiny else 32
    x, y = torch.randn(num, *cifar_shaped.SHAPE, generator=generator), torch.randint(0, 10, (num,), generator=generator).to(place)
    params = {name: how.lay(tensor.to(place, kind)).requires_grad_() for name, tensor in own.params.items()}
    buffers = {n: t.to(place, kind if t.is_floating_point() else t.dtype) for n, t in own.buffers.items()}
    with how.autocast(place):
        loss = F.cross_entropy(functional_call(network, {**params, **buffers}, (how.lay(x.to(place, kind)),)), y)
    return float(loss.detach()), torch.cat(
        [g.reshape(-1).double().cpu() for g in torch.autograd.grad(loss, list(params.values()))]
    )


def _gradients(rows: Rows, asked: Asked) -> None:
    loss, truth = _gradient(asked, torch.device("cpu"), torch.float64, Numerics())
    for precision, channels_last in itertools.product(asked.precisions, (True, False)):
        own, found = _gradient(asked, asked.place, torch.float32, numerics(precision, channels_last))
        off, far = abs(own - loss) / loss, apart(found, truth)
        good = off < LOSS[precision] and far < GRADIENT[precision]
        rows(check="gradient = float64", precision=precision, channels_last=channels_last, loss=off, apart=far, good=good)


def resume(rows: Rows, asked: Asked) -> None:
    """Every stage on the device; a job that is stopped while it trains goes on to the same tables."""
    plan = carrying.plan_of(asked.work, "check")
    folders = [asked.work / "check" / name for name in ("straight", "stopped")]
    straight, stopped = (Path(shutil.copy(plan, _plans(folder))) for folder in folders)
    for stage in (*ON_DEVICE, TABLES):
        with rows.trying(check=f"stage {stage}", good=False):
            making.make(straight, until=stage)
            rows(check=f"stage {stage}", good=True)
    command = [sys.executable, "-c", SAVING, "make", str(stopped), "--until", TABLES]

    def kept() -> int:
        return len(list(folders[1].glob(f"artifacts/train/*/{resumption.NAME}")))

    with subprocess.Popen(command) as job:
        while job.poll() is None and not kept():
            time.sleep(0.01)
        job.send_signal(signal.SIGTERM)
    left = kept()
    again = subprocess.run(command, check=False)
    tables = [f"{node['folder']}/table.parquet" for node in plan_file.nodes(plan) if node["stage"] == TABLES]
    same = [name for name in tables if _bytes(folders[0] / name) == _bytes(folders[1] / name) is not None]
    good = left > 0 and again.returncode == 0 and same == tables
    rows(check="stopped = straight", code=job.returncode, kept=left, same=len(same), of=len(tables), good=good)


def _plans(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plans").mkdir(parents=True)
    return folder / "plans"


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
