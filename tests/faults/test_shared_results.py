"""Two checkouts, at different commits, that share a results folder: one works there at a time, and nothing is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import checkout as co
import pytest
from checkout import Checkout

from pipeline_lib.store import lease


@pytest.fixture
def shared(single: Checkout, tmp_path: Path) -> tuple[Checkout, Checkout, Path]:
    """Two checkouts, the second with other code for figures, and the finished results that both use."""
    second, results = co.copy(single, tmp_path / "second"), tmp_path / "shared"
    shutil.rmtree(second.results)
    shutil.move(single.results, results)
    second.edit(*co.OTHER_FIGURE)
    for checkout in (single, second):
        checkout.configure({**co.SINGLE, "results": str(results)})
    return single, second, results


def _targets(results: Path) -> list[str]:
    return ["--", str(results / "single" / "runs.parquet")]


def _start(checkout: Checkout, results: Path) -> subprocess.Popen[bytes]:
    """Start a run and wait until it works in the folder; it hears Ctrl-C although the tests may run in the background."""
    command = [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"]
    command[-1] += "import runpy, sys; sys.argv[0] = 'snakemake'; runpy.run_module('snakemake', run_name='__main__')"
    command += [*co.snakemake_command(checkout)[2:], *_targets(results)]
    process = subprocess.Popen(
        command, cwd=checkout.root, env=co.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while lease.holder(results) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def _run(checkout: Checkout, results: Path) -> co.Outcome:
    return co.call(checkout.root, *co.snakemake_command(checkout), *_targets(results))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_second_is_told_who_works_there_and_goes_on_when_it_has_ended(
    shared: tuple[Checkout, Checkout, Path], how: signal.Signals
) -> None:
    first, second, results = shared
    before = (results / "single" / "runs.parquet").read_bytes()
    for folder in (*results.glob("artifacts/train/*-L1-*"), results / "artifacts" / "tabulate", results / "single"):
        shutil.rmtree(folder)
    process = _start(first, results)
    refused = _run(second, results)
    assert refused.code == 1
    assert f"must be worked in by one run at a time, got process {process.pid} on" in refused.text
    assert f"started from {first.root} at" in refused.text
    assert "Traceback" not in refused.text
    assert process.poll() is None, "the first goes on"
    process.send_signal(how)
    process.wait()
    assert _run(second, results).code == 0
    assert (results / "single" / "runs.parquet").read_bytes() == before
    if how == signal.SIGKILL:  # Snakemake's own lock, in the first checkout
        co.succeed(first, "--unlock")
    assert _run(first, results).code == 0
    assert (results / "single" / "runs.parquet").read_bytes() == before
    assert lease.holder(results) is None
