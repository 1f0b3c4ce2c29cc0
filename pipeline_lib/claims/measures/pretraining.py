"""What pretraining on altered data brings, by how many epochs it lasts: starts `k0 | pretext for 40ep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured
from pipeline_lib.claims.measures import _paired


def _ladders(frames: Frames, task: str, pretext: str, durations: Sequence[int | float]) -> list[_paired.ByLevel]:
    return [_paired.accuracies(frames, task, "imp", f"k0 | {pretext} for {epochs:g}ep") for epochs in durations]


def duration_margin(
    frames: Frames, task: str, sparse_level: int, pretext: str, against: str, from_level: int, to_level: int,
    take: Literal["lowest", "highest"], durations: Sequence[int | float] = (2, 5, 10, 20, 40), in_errors: bool = False,
    least: int = 3,
) -> Found:  # fmt: skip
    """Subtract another start's accuracy, averaged over levels, at the duration where that is lowest or highest."""
    second = _paired.accuracies(frames, task, "imp", against)
    ladders = _ladders(frames, task, pretext, durations)
    found = [_paired.paired(first, second, from_level, to_level, least) for first in ladders]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    return _paired.choose([_paired.over_levels(each) for each in known], take, in_errors)


def duration_trend(
    frames: Frames, task: str, sparse_level: int, pretext: str, from_level: int, to_level: int,
    durations: Sequence[int | float] = (2, 5, 10, 20, 40), least: int = 3,
) -> Found:  # fmt: skip
    """Give Spearman's correlation of the duration with accuracy averaged over levels."""
    found = _paired.common(_ladders(frames, task, pretext, durations), from_level, to_level, least)
    if found is None:
        return None
    means = [_paired.over_levels(part) for part in found]
    return evidence.spearman(list(durations), [point.value for point in means], means[0].num)


def sufficient_duration(
    frames: Frames, task: str, sparse_level: int, pretext: str, k: int, from_level: int, to_level: int,
    durations: Sequence[int | float] = (2, 5, 10, 20, 40), least: int = 3,
) -> Found:  # fmt: skip
    """Find the shortest pretraining, in epochs, after which networks are as accurate as from step k less max(sd, 0.2 points)."""
    ladders = [_paired.accuracies(frames, task, "imp", f"k{k}"), *_ladders(frames, task, pretext, durations)]
    found = _paired.common(ladders, from_level, to_level, least)
    if found is None:
        return None
    whole, *means = (_paired.over_levels(part) for part in found)
    enough = whole.value - max(whole.spread or 0.0, evidence.MATCHING_WITHIN)
    good = (float(epochs) for epochs, point in zip(durations, means, strict=True) if point.value >= enough)
    return Measured(min(good, default=evidence.NOWHERE), None, whole.num, tuple(float(epochs) for epochs in durations))
