"""Worlds in which a claim is true, false, or open: from the claim's own declaration to tables.

The data flow, for each claim:

    rule, paper's value ──▶ theta: what the measured quantity shall be (inside the rule's range, outside, or on its edge)
    measure's options, theta ──▶ WORLDS[measure]: rows without noise, of five seeds (planes: ten)
    rows + noise a column (sized so that the interval is a third of the distance to the edge, or as the world says) ──▶ verdict

A world is written once a measure, whatever claims ask of it; `@world(measure, ...)` also says how far inside is, which columns
vary and by how much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.claims import evidence, loading, rules, verdicts, wording
from pipeline_lib.claims.evidence import Evidence, Frames, Missing
from pipeline_lib.claims.loading import Claim
from pipeline_lib.experiments import comparisons

STEPS = (0, 250, 500, 1000, 2000)
DENSE = 80.0  # percent, on average
SPREAD = (-0.5, -0.25, 0.0, 0.25, 0.5)  # of the dense networks of the seeds
TOLERANCE = float(np.std(SPREAD, ddof=1))
Tables = dict[str, pd.DataFrame]
Make = Callable[[Mapping[str, Any], float, "Setting"], Tables]


@dataclass(frozen=True)
class Setting:
    """Rewind steps and levels of a world: those of the claim, where it names any."""

    steps: tuple[int, ...]
    levels: int
    sparse: int

    @property
    def words(self) -> dict[str, Any]:
        """What the words of claims stand for in it."""
        steps = wording.roles(self.steps, tuple(k for k in (500, 2000) if k in self.steps), self.levels, self.sparse)
        return steps | wording.lesson_roles(500, tuple(comparisons.PRETEXTS), ("2ep", "5ep", "10ep", "20ep", "40ep"))


@dataclass(frozen=True)
class World:
    """How to make tables in which a measure's quantity is theta.

    Args:
        make: options, theta and setting -> tables; a theta of NaN asks for the edge, at every place where something is decided.
        apart: how far inside, or outside, of a rule's range theta is.
        varies: columns with noise, by table, and its unit.
        sigma: deviation of the noise in that unit; None where it is found from the interval.
        counted: whether nothing in it can vary.
        decided: whether something is decided place by place, so that the edge is at every place.
        levels: of its ladders.
    """

    make: Make
    apart: float
    varies: Mapping[str, Mapping[str, float]]
    sigma: float | None = None
    counted: bool = False
    decided: bool = False
    levels: int = 5


WORLDS: dict[str, World] = {}


def world(
    *names: str, apart: float, varies: Mapping[str, Mapping[str, float]] | None = None, **more: Any
) -> Callable[[Make], Make]:
    """Register the world of some measures."""

    def register(make: Make) -> Make:
        for name in names:
            WORLDS[name] = World(make, apart, varies or {}, **more)
        return make

    return register


ERRORS = {"runs": {"test_error": 0.01, "train_error": 0.01}, "changed_runs": {"test_error": 0.01}}


def each_seed(rows: list[dict[str, Any]], num: int = 5) -> pd.DataFrame:
    """Repeat rows for every seed; what depends on the seed is a tuple, gone through again and again."""
    found: dict[str, Any] = {"task": "t", "seed": np.tile(np.arange(num), len(rows))}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        if any(isinstance(value, tuple) for value in values):
            found[name] = np.concatenate([np.resize(value, num) for value in values])
        else:
            found[name] = [value for value in values for _ in range(num)]
    return pd.DataFrame(found)


def run(accuracy: float, level: int, k: int, kind: str = "imp", change: str = "", **more: Any) -> dict[str, Any]:
    """One network, as accurate as is said on average, and with its seed's share of the dense spread."""
    errors = tuple(1 - (accuracy + by) / 100 for by in SPREAD)
    who = {
        "kind": kind if level else "dense",
        "k": k,
        "level": level,
        "start": f"k{k} | {change}" if change else f"k{k}",
        "noise_order": 0,
    }
    who |= {"num_params": 7.0, "steps": 9.0, "density": 0.8**level}
    return who | {"test_error": errors, "train_error": errors} | more


def runs(rows: list[dict[str, Any]], num: int = 5) -> Tables:
    """Runs from plain and from changed starts, apart."""
    found = {}
    for table, changed in (("runs", False), ("changed_runs", True)):
        own = [row for row in rows if (" | " in row["start"]) == changed]
        if own:
            found[table] = each_seed(own, num)
    return found


def dense(*steps: int) -> list[dict[str, Any]]:
    """Dense networks from some steps."""
    return [run(DENSE, 0, k) for k in steps]


def matching(margin: float) -> float:
    """Give the accuracy that lies so much above that which matches."""
    return DENSE - TOLERANCE + margin


def ladder(margins: list[float], k: int, change: str = "", **more: Any) -> list[dict[str, Any]]:
    """Sparse networks from level 1 on, by how far above matching they are."""
    return [run(matching(margin), level, k, change=change, **more) for level, margin in enumerate(margins, 1)]


def depth(levels: int, to: float) -> list[float]:
    """Margins of a ladder of which so many levels match; on the edge if that is not a number."""
    return [0.0] * levels if math.isnan(to) else [2.0 if level <= to else -3.0 for level in range(1, levels + 1)]


def start_parts(text: str) -> tuple[int, str]:
    """Take a start's step and change apart."""
    plain, _, change = text.partition(" | ")
    return int(plain[1:]), change


def setting_of(claim: Claim) -> Setting:
    """Make room for what a claim names."""
    named = [claim.measure.get(name) for name in ("level", "from_level", "to_level", "sparse")]
    numbers = [each for each in named if isinstance(each, int) and not isinstance(each, bool)]
    value = claim.paper.value if claim.rule["name"] == "grid_neighbour" and claim.paper.value else 0
    steps = {*STEPS, *wording.named_steps(claim.measure), int(value)}
    levels = max([*numbers, WORLDS[claim.measure["name"]].levels])
    return Setting(tuple(sorted(steps)), levels, 3)


def range_of(claim: Claim) -> rules.Range:
    """Find the values that a claim allows."""
    options = {key: value for key, value in claim.rule.items() if key != "name"}
    empty = evidence.Measured(0.0, 0.0, 0.0, 5, 5, grid=tuple(map(float, setting_of(claim).steps)))
    return rules.RULES[claim.rule["name"]][0](empty, claim.paper, **options)


def thetas(claim: Claim) -> dict[str, float]:
    """Choose what the quantity shall be: inside, outside and on the edge of the range."""
    allowed, apart, value = range_of(claim), WORLDS[claim.measure["name"]].apart, claim.paper.value
    low, high = allowed.low, allowed.high
    end = high if math.isfinite(high) else low
    open_one = math.nan if WORLDS[claim.measure["name"]].decided else end
    if math.isinf(low):
        return {"inside": high - apart, "outside": high + apart, "edge": open_one}
    if math.isinf(high):
        return {"inside": low + apart, "outside": low - apart, "edge": open_one}
    middle = float(value) if value is not None and low < value < high else (low + high) / 2
    return {"inside": middle, "outside": high + max(apart, high - low), "edge": open_one}


def settled(claim: Claim) -> dict[str, Any]:
    """Give the measure's options with numbers for words."""
    return wording.settled(claim.measure, setting_of(claim).words) | {"name": claim.measure["name"]}


def tables(claim: Claim, theta: float) -> Tables:
    """Make a claim's world, without noise."""
    made = WORLDS[claim.measure["name"]].make(settled(claim), theta, setting_of(claim))
    return {name: frame for name, frame in made.items() if len(frame)}


def measure(claim: Claim, frames: Frames, asked: frozenset[int] = frozenset()) -> evidence.Measured:
    """Measure a claim, whose task is the only one, without the search for settings."""
    words = setting_of(claim).words
    own = Evidence(frames, words["sparse"], claim.level, claim.least, evidence.seeds_of(frames) | asked)
    return verdicts.measure(claim, own, words)


def verdict(claim: Claim, frames: Frames, asked: frozenset[int] = frozenset()) -> str:
    """Judge it."""
    try:
        found = measure(claim, frames, asked)
    except Missing:
        return "not measured"
    options = {key: value for key, value in claim.rule.items() if key != "name"}
    return rules.verdict(found, rules.RULES[claim.rule["name"]][0](found, claim.paper, **options), claim.level)


def noisy(frames: Tables, varies: Mapping[str, Mapping[str, float]], sigma: float, rng: np.random.Generator) -> Tables:
    """Add noise to what varies; dense networks keep their spread, which is the tolerance."""
    found = dict(frames)
    for table in (name for name in varies if name in frames):
        frame = found[table].copy()
        sparse = frame["level"].to_numpy() > 0 if table == "runs" and "level" in frame and (frame["level"] > 0).any() else True
        for column in (name for name in varies[table] if name in frame):
            frame[column] += varies[table][column] * sigma * rng.standard_normal(len(frame)) * sparse
        found[table] = frame
    return found


def sigma_of(claim: Claim, theta: float, edge: float) -> float:
    """Find the noise at which the interval's half is a third of the distance to the edge."""
    at = WORLDS[claim.measure["name"]]
    if at.sigma is not None:
        return at.sigma
    tiny, halves, made = 1e-4, [], tables(claim, theta)
    for draw in range(8):
        found = measure(claim, noisy(made, at.varies, tiny, np.random.default_rng(draw)))
        halves.append(max(found.value - found.low, found.high - found.value))
    return tiny * abs(theta - edge) / 3 / max(float(np.median(halves)), 1e-12)


def thinned(frames: Tables, rng: np.random.Generator) -> Tables:
    """Drop half of the rows of every table."""
    return {name: frame[rng.permutation(len(frame)) < len(frame) / 2] for name, frame in frames.items()}


def on_one_task(claim: Claim) -> Claim:
    """Ask it of the made-up task alone."""
    return claim if claim.tasks == (loading.NONE,) else replace(claim, tasks=("t",))
