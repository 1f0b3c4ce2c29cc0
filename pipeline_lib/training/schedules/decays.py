"""Rates that fall at every step."""

from __future__ import annotations

import math

from pipeline_lib.core.types import Schedule
from pipeline_lib.core.values import Length, Share
from pipeline_lib.training.schedules._parts import decay, warm


def cosine_decay(length: Length, final: Share = 0.0, warmup: Length = 0) -> Schedule:
    """Fall along half a cosine from 1, at the end of the warm-up, to `final`, at step `length`. Source: paper C, appendix B."""
    return warm(warmup, decay(length, warmup, lambda share: final + (1 - final) * (1 + math.cos(math.pi * share)) / 2))


def linear_decay(length: Length, final: Share = 0.0, warmup: Length = 0) -> Schedule:
    """Fall linearly from 1, at the end of the warm-up, to `final`, at step `length`. Source: paper B, Table 1 (Inception-v3)."""
    return warm(warmup, decay(length, warmup, lambda share: 1 + (final - 1) * share))
