"""What the benchmarks ask about the machine that they run on."""

from __future__ import annotations

import platform
from pathlib import Path

_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is Arm's


def _cpu_info(*keys: str) -> str:
    """Read the first entry of one of these keys, or nothing where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = (value.strip() for key, _, value in (line.partition(":") for line in text.splitlines()) if key.strip() in keys)
    return next(found, "")


def cpu_model() -> str:
    """Name the processor."""
    return _cpu_info("model name") or platform.processor()


def has_bf16() -> bool:
    """Tell whether the processor is known to multiply bfloat16 itself; without, torch converts and is slower than in float32."""
    return not _BF16.isdisjoint(_cpu_info("flags", "Features").split())
