"""The C library's memory of a job's process."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST = 32 * 2**20  # bytes; the most that glibc takes as a threshold for blocks of their own


def keep_freed_memory() -> None:
    """Keep what is freed for the next request, where the C library is glibc; nothing elsewhere.

    By itself glibc gives tensors of a few MB back to the system, and each training step asks for the same ones again: the system
    clears every page anew, about a tenth of ResNet-20's step on a CPU (`resnet20_train_fp32` in `benchmarks/README.md`).
    The process stays as large as it ever was until it ends.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, -1)
