"""What a claim may measure: every public function is a name in `config/claims`, its last arguments are options.

All are given the tables by name, a task and the level of its sparse networks, and answer None where the tables lack what
it takes. Options that many share:

    of, to   what is measured: accuracy, matching_margin, instability, distance or path_peak (`measured.curve`)
    kind     dense, or which sparse networks: imp, random_prune, reinit; other: to compare with
    k        rewind step; through: all steps of the grid from 0 to this one; reach: the whole grid, which must extend so far
    split    train or test
    least    replicates (runs or pairs) that each mean needs
"""

from __future__ import annotations

import statistics

from pipeline_lib import measured
from pipeline_lib.measured import Found, Frames, Measured, curve, cut, fewest, minus, pearson, spearman

_CONTROLS = ("random_prune", "reinit")
_LEAST_STEPS = 10  # of a run that is followed throughout training


def _constant(frames: Frames, task: str, column: str) -> Found:
    """A number that all runs of a task share."""
    values = frames["runs"][frames["runs"]["task"] == task][column] if "runs" in frames else ()
    return Measured(float(max(values)), None, len(values)) if len(set(values)) == 1 else None


def num_params(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the trainable parameters of the dense network."""
    return _constant(frames, task, "num_params")


def training_steps(frames: Frames, task: str, sparse_level: int) -> Found:
    """Give the step at which training ends."""
    return _constant(frames, task, "steps")


def density(frames: Frames, task: str, sparse_level: int, level: int) -> Found:
    """Average the share of weights, in percent, that are left at a level of the ladder."""
    own = measured.ladder(frames, task, "imp")
    return None if own is None else measured.average(100 * own[own["level"] == level]["density"], 1)


def num_pairs(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the pairs of the setting of the instability table that has the fewest."""
    frame = frames.get("instability")
    if frame is None or not (frame["task"] == task).any():
        return None
    keys = ["kind", "k", "level", "split", *(["batchnorm"] if "batchnorm" in frame else [])]
    sizes = frame[frame["task"] == task].groupby(keys).size()
    return Measured(float(sizes.min()), None, len(sizes))


def num_points(frames: Frames, task: str, sparse_level: int) -> Found:
    """Count the points on the line of the pair that has the fewest."""
    frame = frames.get("interpolation")
    if frame is None or not (frame["task"] == task).any():
        return None
    keys = ["seed", "order_1", "order_2", "kind", "k", "level", "split"]
    points = frame[frame["task"] == task].groupby(keys)["alpha"].nunique()
    return Measured(float(points.min()), None, len(points))


def dense_accuracy(frames: Frames, task: str, sparse_level: int, least: int = 3) -> Found:
    """Average the test accuracy of the dense networks over seeds, from the first rewind step under the first order."""
    return measured.dense_accuracy(frames, task, least)


def at_step(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Give the mean over replicates at one rewind step."""
    return curve(of, frames, task, sparse_level, kind, split, least).get(k)


def lowest(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give the smallest mean over the rewind steps."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return min(points.values(), key=lambda point: point.value) if points else None


def highest(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give the largest mean over the rewind steps."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return max(points.values(), key=lambda point: point.value) if points else None


def variation(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the smallest mean over the rewind steps from the largest."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    values = [point.value for point in points.values()] if points else []
    return Measured(max(values) - min(values), None, fewest(points)) if points else None


def change(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the mean at step 0 from the one at step k."""
    points = curve(of, frames, task, sparse_level, kind, split, least)
    return minus(points.get(k), points.get(0))


def difference(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, other: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Subtract the other kind's mean at step k."""
    first, second = (curve(of, frames, task, sparse_level, each, split, least).get(k) for each in (kind, other))
    return minus(first, second)


def ratio(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, other: str, k: int, split: str = "test", least: int = 3
) -> Found:
    """Divide by the other kind's mean at step k."""
    first, second = (curve(of, frames, task, sparse_level, each, split, least).get(k) for each in (kind, other))
    if first is None or second is None or second.value == 0:
        return None
    return Measured(first.value / second.value, None, min(first.num, second.num))


def split_gap(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, size: bool = True, least: int = 3
) -> Found:
    """Average train minus test over the rewind steps; its size, or with its sign."""
    train, test = (cut(curve(of, frames, task, sparse_level, kind, split, least), through) for split in ("train", "test"))
    if not train or not test or list(train) != list(test):
        return None
    gaps = [train[k].value - test[k].value for k in train]
    return Measured(statistics.fmean(abs(gap) if size else gap for gap in gaps), None, fewest(train, test))


def rank_trend(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give Spearman's correlation of the means with the rewind step."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    return spearman(list(points), [point.value for point in points.values()], fewest(points)) if points else None


def linear_fall(
    frames: Frames, task: str, sparse_level: int, of: str, kind: str, through: int, split: str = "test", least: int = 3
) -> Found:
    """Give Pearson's correlation with the rewind step or with its place on the grid, whichever is lower (B-X9)."""
    points = cut(curve(of, frames, task, sparse_level, kind, split, least), through)
    if not points:
        return None
    values, num = [point.value for point in points.values()], fewest(points)
    both = [pearson(x, values, num) for x in (list(points), range(len(points)))]
    return min((each for each in both if each), key=lambda each: each.value, default=None)


def relation(
    frames: Frames, task: str, sparse_level: int, of: str, to: str, kind: str, through: int, ranks: bool = False, least: int = 3
) -> Found:
    """Give Pearson's (or Spearman's) correlation of two things over the rewind steps, on the test split."""
    x, y = (cut(curve(each, frames, task, sparse_level, kind, "test", least), through) for each in (of, to))
    if not x or not y or list(x) != list(y):
        return None
    first, second = ([point.value for point in points.values()] for points in (x, y))
    return (spearman if ranks else pearson)(first, second, fewest(x, y))


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
    stable = measured.stability(frames, task, sparse_level, kind, split, least)
    return measured.onset(stable, lambda value: value < measured.STABLE_BELOW, reach)


def onset_difference(frames: Frames, task: str, sparse_level: int, kind: str, other: str, reach: int, least: int = 3) -> Found:
    """Subtract the other kind's onset of stability, in steps; None if neither is on the grid."""
    first, second = (stability_onset(frames, task, sparse_level, each, reach, "test", least) for each in (kind, other))
    if measured.places_apart(first, second) is None or first is None or second is None:
        return None
    return Measured(first.value - second.value, None, min(first.num, second.num))


def split_onset_places(frames: Frames, task: str, sparse_level: int, kind: str, reach: int, least: int = 3) -> Found:
    """Count the places of the grid by which the onset in train error lies after the one in test error."""
    train, test = (stability_onset(frames, task, sparse_level, kind, reach, split, least) for split in ("train", "test"))
    return measured.places_apart(train, test)


def matching_onset_places(frames: Frames, task: str, sparse_level: int, kind: str, reach: int, least: int = 3) -> Found:
    """Count the places of the grid by which the first matching step lies after the onset of stability."""
    margin = curve("matching_margin", frames, task, sparse_level, kind, "test", least)
    matching = measured.onset(margin, lambda value: value >= 0, reach)
    return measured.places_apart(matching, stability_onset(frames, task, sparse_level, kind, reach, "test", least))


def unstable_matches(frames: Frames, task: str, sparse_level: int, kind: str, through: int, least: int = 3) -> Found:
    """Count the rewind steps from which networks match the dense one without being stable."""
    margin = cut(curve("matching_margin", frames, task, sparse_level, kind, "test", least), through)
    pairs = cut(measured.stability(frames, task, sparse_level, kind, "test", least), through)
    if not margin or not pairs or list(margin) != list(pairs):
        return None
    found = [k for k in margin if margin[k].value >= 0 and pairs[k].value >= measured.STABLE_BELOW]
    return Measured(float(len(found)), None, fewest(margin, pairs))


def peak_place(frames: Frames, task: str, sparse_level: int, kind: str, k: int, split: str = "test", least: int = 3) -> Found:
    """Average the positions on the line whose mean error is within a point of the highest."""
    points = measured.path(frames, task, sparse_level, kind, split, k, least)
    if not points:
        return None
    peak = max(point.value for point in points.values())
    return Measured(statistics.fmean(alpha for alpha, point in points.items() if point.value >= peak - 1), None, fewest(points))


def throughout_highest(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Give the largest mean test instability at any step of training of the dense networks from step k."""
    points = measured.followed(frames, task, "instability", k, least)
    return max(points.values(), key=lambda point: point.value) if len(points) >= _LEAST_STEPS else None


def throughout_mirrors_error(frames: Frames, task: str, sparse_level: int, k: int, least: int = 3) -> Found:
    """Correlate mean test instability with minus the mean test error over the steps of training."""
    x, y = (measured.followed(frames, task, column, k, least) for column in ("instability", "mean_end_error"))
    if min(len(x), len(y)) < _LEAST_STEPS:
        return None
    return pearson([point.value for point in x.values()], [-y[step].value for step in x], fewest(x, y))


def throughout_trend(frames: Frames, task: str, sparse_level: int, through: int, least: int = 3) -> Found:
    """Give Spearman's correlation of the rewind step with instability, averaged over the steps that all have in common."""
    rows = measured.select(frames, "throughout", task, 0, "dense", "test")
    steps = [] if rows is None else sorted(k for k in rows["k"].unique().tolist() if k <= through)
    found = [measured.followed(frames, task, "instability", k, least) for k in steps]
    common = set[int].intersection(*map(set, found)) if found else set()
    if not {0, through} <= set(steps) or len(common) < _LEAST_STEPS:
        return None
    means = [statistics.fmean(points[step].value for step in common) for points in found]
    return spearman(steps, means, fewest(*found))


def smallest_matching_density(
    frames: Frames, task: str, sparse_level: int, through: int, beyond: int = 2, least: int = 3
) -> Found:
    """Give the lowest density, in percent, at which IMP from some rewind step matches, on ladders `beyond` levels too deep.

    Source: paper B, appendix A.
    """
    own, enough = measured.ladder(frames, task, "imp"), measured.matching_accuracy(frames, task, least)
    best = measured.best_rungs(own, through, least)
    if own is None or enough is None or best is None or max(best) < sparse_level + beyond:
        return None
    deepest = max((level for level in best if best[level].value >= enough), default=0)
    return Measured(100 * float(own[own["level"] == deepest]["density"].mean()), None, fewest(best))


def levels_ahead(frames: Frames, task: str, sparse_level: int, k: int, ahead: int, least: int = 3) -> Found:
    """Count the levels from the controls' last matching one to IMP's, on ladders that go on for `ahead` levels at least."""
    enough = measured.matching_accuracy(frames, task, least)
    found = [measured.rungs(measured.ladder(frames, task, kind), k, least) for kind in ("imp", *_CONTROLS)]
    ladders = [points for points in found if points is not None]
    if enough is None or len(ladders) < 3 or len({len(points) for points in ladders}) > 1:
        return None
    imp, *controls = [max((level for level in points if points[level].value >= enough), default=0) for points in ladders]
    return Measured(float(imp - max(controls)), None, fewest(*ladders)) if max(ladders[0]) >= max(controls) + ahead else None


def best_k_lead(frames: Frames, task: str, sparse_level: int, through: int, everywhere: bool = False, least: int = 3) -> Found:
    """Subtract the better control from step 0 from IMP's best over rewind steps: at the sparse level, or its least lead."""
    best = measured.best_rungs(measured.ladder(frames, task, "imp"), through, least)
    others = [measured.rungs(measured.ladder(frames, task, kind), 0, least) for kind in _CONTROLS]
    if best is None or any(points is None or list(points) != list(best) for points in others) or sparse_level not in best:
        return None
    controls = [points for points in others if points is not None]
    levels = list(best) if everywhere else [sparse_level]
    lead = min(best[level].value - max(points[level].value for points in controls) for level in levels)
    return Measured(lead, None, fewest(best, *controls))
