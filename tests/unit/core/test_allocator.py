"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Page faults of ten rounds of a few tensors' memory, after one round.
FAULTS = """
import resource
from pipeline_lib.core import allocator
{prepare}
def round_():
    for block in [bytearray(8 * 2**20) for _ in range(6)]:
        block[::4096] = bytes([1]) * 2048
round_()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    round_()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(prepare: str) -> int:
    command = [sys.executable, "-c", FAULTS.format(prepare=prepare)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again() -> None:
    kept, given_back = _faults("allocator.keep_freed_memory()"), _faults("")
    assert given_back > 10_000, "the rounds must be such that glibc by itself gives memory back"
    assert kept < 100
