"""Kills of Snakemake at random times, on the single-member experiment; for the soak."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import checkout as co


def _published(checkout: co.Checkout) -> dict[str, str]:
    return {name: digest for name, digest in co.contents(checkout.results / "single").items() if name.endswith(".parquet")}


def _kill_once(checkout: co.Checkout, rng: random.Random) -> str:
    """Remove a part of the results, kill the run that makes it again, and run to the end."""
    for stage in rng.sample(("train", "prune", "interpolate", "tabulate", "derive"), 2):
        shutil.rmtree(checkout.results / "artifacts" / stage)
    shutil.rmtree(checkout.results / "single")
    command = [sys.executable, *co.snakemake_command(checkout)]
    process = subprocess.Popen(
        command, cwd=checkout.root, env=co.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    time.sleep(rng.uniform(4, 25))
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = co.snakemake(checkout)
    refused = again.code == 1 and "unlock" in again.text
    if refused:
        co.succeed(checkout, "--unlock")
        again = co.snakemake(checkout)
    if again.code:
        return "lost"
    return "refused" if refused else "survived"


def kill_drivers(number: int, rng: random.Random) -> Counter[str]:
    """Kill so many runs; a stale lock is refused with the command that removes it."""
    counts: Counter[str] = Counter()
    if not number:
        return counts
    with tempfile.TemporaryDirectory() as folder:
        done = co.finished(Path(folder), "single")
        expected = _published(done)
        for i in range(number):
            checkout = co.copy(done, Path(folder) / f"run-{i}")
            how = _kill_once(checkout, rng)
            counts[how if _published(checkout) == expected else "lost"] += 1
            shutil.rmtree(checkout.root)
    return counts
