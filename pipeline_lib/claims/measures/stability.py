"""Where networks become stable."""

from __future__ import annotations

from pipeline_lib.claims import evidence
from pipeline_lib.claims.evidence import Found, Frames, Measured, curve, cut, fewest


def drop_at_onset(frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, least: int = 3) -> Found:
    """Divide the fall on the way to the onset of stability by the mean fall a place of the grid."""
    points = cut(curve(of, frames, task, sparse_level, kind, "test", least), through)
    stable = stability_onset(frames, task, sparse_level, kind, through, "test", least)
    if not points or stable is None or not 0 < stable.value <= through or int(stable.value) not in points:
        return None
    values = [point.value for point in points.values()]
    place, fall = list(points).index(int(stable.value)), (values[0] - values[-1]) / (len(values) - 1)
    return Measured((values[place - 1] - values[place]) / fall, None, fewest(points)) if fall > 0 else None


def stability_onset(
    frames: Frames, task: str, sparse_level: int, kind: str, reach: int, split: str = "test", least: int = 3
) -> Found:
    """Find the smallest rewind step of the grid with a mean instability below two points (G-10)."""
    stable = evidence.stability(frames, task, sparse_level, kind, split, least)
    return evidence.onset(stable, lambda value: value < evidence.STABLE_BELOW, reach)


def onset_difference(frames: Frames, task: str, sparse_level: int, kind: str, other: str, reach: int, least: int = 3) -> Found:
    """Subtract the other kind's onset of stability, in steps; None if neither is on the grid."""
    first, second = (stability_onset(frames, task, sparse_level, each, reach, "test", least) for each in (kind, other))
    if evidence.places_apart(first, second) is None or first is None or second is None:
        return None
    return Measured(first.value - second.value, None, min(first.num, second.num))


def split_onset_places(frames: Frames, task: str, sparse_level: int, kind: str, reach: int, least: int = 3) -> Found:
    """Count the places of the grid by which the onset in train error lies after the one in test error."""
    train, test = (stability_onset(frames, task, sparse_level, kind, reach, split, least) for split in ("train", "test"))
    return evidence.places_apart(train, test)


def matching_onset_places(frames: Frames, task: str, sparse_level: int, kind: str, reach: int, least: int = 3) -> Found:
    """Count the places of the grid by which the first matching step lies after the onset of stability."""
    margin = curve("matching_margin", frames, task, sparse_level, kind, "test", least)
    matching = evidence.onset(margin, lambda value: value >= 0, reach)
    return evidence.places_apart(matching, stability_onset(frames, task, sparse_level, kind, reach, "test", least))


def unstable_matches(frames: Frames, task: str, sparse_level: int, kind: str, through: int, least: int = 3) -> Found:
    """Count the rewind steps from which networks match the dense one without being stable."""
    margin = cut(curve("matching_margin", frames, task, sparse_level, kind, "test", least), through)
    pairs = cut(evidence.stability(frames, task, sparse_level, kind, "test", least), through)
    if not margin or not pairs or list(margin) != list(pairs):
        return None
    found = [k for k in margin if margin[k].value >= 0 and pairs[k].value >= evidence.STABLE_BELOW]
    return Measured(float(len(found)), None, fewest(margin, pairs))
