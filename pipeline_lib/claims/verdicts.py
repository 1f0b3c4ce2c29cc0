"""Claims of a paper: what `config/claims` says, the rules that a measured value may have to obey, and the verdicts."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.claims.evidence import CURVES, KINDS, QUANTITIES, SPLITS, Found, Frames, Measured
from pipeline_lib.core import registry
from pipeline_lib.experiments import validation

Number = int | float


@dataclass(frozen=True)
class Paper:
    """What the paper says: value and standard deviation, None where it gives none, and their unit."""

    value: Number | None
    spread: Number | None
    unit: str


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        id: its name.
        text: the claim in a sentence.
        source: where the paper makes it.
        tasks: settings that it is about; it is judged on each by itself.
        paper: the paper's value.
        measure: function of `measures` with all of its options.
        rule: function of this module with all of its options.
    """

    id: str
    text: str
    source: str
    tasks: tuple[str, ...]
    paper: Paper
    measure: dict[str, Any]
    rule: dict[str, Any]


_WITH_VALUE = ("near", "equal", "within_relative", "grid_neighbour", "about", "no_more", "no_less")
_WORDS = {"of": tuple(CURVES), "to": tuple(CURVES), "kind": KINDS, "other": KINDS, "split": SPLITS, "quantity": QUANTITIES}
_WHOLE = (
    "k", "through", "reach", "level", "beyond", "ahead", "least", "from_k", "to_k", "later", "from_level", "to_level", "step",
    "from_step", "to_step", "border", "least_runs", "over_from", "over_to", "step_1", "step_2", "best", "window",
)  # fmt: skip
_FLAGS = ("size", "ranks", "everywhere", "in_errors")
_TEXTS = ("start", "against", "change", "reference", "pretext", "scope", "event")
_LISTS = ("durations", "borders", "sigmas")
_REQUIRED = ("id", "text", "source")
_FIELDS = (*_REQUIRED, "task", "tasks", "paper", "measure", "rule")


def near(measured: Measured, paper: Paper) -> bool:
    """Allow two standard deviations, ours and the paper's together, and 0.2 for rounding: |x - p| <= 2 sqrt(s² + s_p²) + 0.2."""
    spread = ((measured.spread or 0.0) ** 2 + (paper.spread or 0.0) ** 2) ** 0.5
    return abs(measured.value - (paper.value or 0)) <= 2 * spread + 0.2


def equal(measured: Measured, paper: Paper) -> bool:
    """Ask for the paper's value itself."""
    return measured.value == paper.value


def within_relative(measured: Measured, paper: Paper, tolerance: Number) -> bool:
    """Allow a share of the paper's value: |x - p| <= tolerance |p|."""
    value = paper.value or 0
    return abs(measured.value - value) <= tolerance * abs(value)


def grid_neighbour(measured: Measured, paper: Paper) -> bool:
    """Ask for the paper's place on the measured grid of rewind steps or one next to it; off the grid, for one around it."""
    value, grid = paper.value or 0, measured.grid
    if measured.value not in grid:
        return False
    return bisect.bisect_left(grid, value) - 1 <= grid.index(measured.value) <= bisect.bisect_right(grid, value)


def below(measured: Measured, paper: Paper, limit: Number) -> bool:
    """Ask for less than the limit."""
    return measured.value < limit


def at_most(measured: Measured, paper: Paper, limit: Number) -> bool:
    """Ask for no more than the limit."""
    return measured.value <= limit


def above(measured: Measured, paper: Paper, limit: Number) -> bool:
    """Ask for more than the limit."""
    return measured.value > limit


def at_least(measured: Measured, paper: Paper, limit: Number) -> bool:
    """Ask for no less than the limit."""
    return measured.value >= limit


def between(measured: Measured, paper: Paper, low: Number, high: Number) -> bool:
    """Ask for a value from low to high, both included."""
    return low <= measured.value <= high


def _slack(measured: Measured, errors: Number, points: Number) -> float:
    """So many standard errors of the mean over replicates, and at least so many points."""
    return max(errors * (measured.spread or 0.0) / measured.num**0.5, points)


def about(measured: Measured, paper: Paper, errors: Number, points: Number) -> bool:
    """Allow some standard errors, or points if these are more, on either side: |x - p| <= max(errors s / sqrt(n), points)."""
    return abs(measured.value - (paper.value or 0)) <= _slack(measured, errors, points)


def no_more(measured: Measured, paper: Paper, errors: Number, points: Number) -> bool:
    """Ask for the paper's value or less, with the slack of `about`."""
    return measured.value <= (paper.value or 0) + _slack(measured, errors, points)


def no_less(measured: Measured, paper: Paper, errors: Number, points: Number) -> bool:
    """Ask for the paper's value or more, with the slack of `about`."""
    return measured.value >= (paper.value or 0) - _slack(measured, errors, points)


# The rules that a claim may name, and how they read.
RULES: dict[str, tuple[Callable[..., bool], str]] = {
    "near": (near, "within 2 sd + 0.2 of the paper's value"),
    "equal": (equal, "equal to the paper's value"),
    "within_relative": (within_relative, "within {tolerance:.0%} of the paper's value"),
    "grid_neighbour": (grid_neighbour, "the paper's place on the grid of k or next to it"),
    "below": (below, "below {limit:g}"),
    "at_most": (at_most, "at most {limit:g}"),
    "above": (above, "above {limit:g}"),
    "at_least": (at_least, "at least {limit:g}"),
    "between": (between, "from {low:g} to {high:g}"),
    "about": (about, "within max({errors:g} standard errors, {points:g}) of the paper's value"),
    "no_more": (no_more, "at most the paper's value + max({errors:g} standard errors, {points:g})"),
    "no_less": (no_less, "at least the paper's value - max({errors:g} standard errors, {points:g})"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    numbers = isinstance(value, list) and bool(value) and all(_is_number(each) and each > 0 for each in value)
    return numbers and value == sorted(set(value))


# Which options are of which sort.
_SORTS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (_WHOLE, lambda value: isinstance(value, int) and _is_number(value) and value >= 0, "a whole number of at least 0"),
    (_FLAGS, lambda value: isinstance(value, bool), "true or false"),
    (_TEXTS, lambda value: isinstance(value, str), "text"),
    (_LISTS, _is_list, "a rising list of numbers above 0"),
)


def _bind(kind: str, given: Any, supplied: tuple[str, ...], what: str, only: tuple[str, ...] | None = None) -> dict[str, Any]:
    if not isinstance(given, Mapping) or "name" not in given:
        raise ValueError(f"{what} must be a mapping with a name, got {given!r}; add name: to it")
    names = only or tuple(registry.entries(kind))
    if given["name"] not in names:
        raise registry.unknown(f"{what}.name", given["name"], names, f"add it as a function to {registry.where(kind)}")
    for option, value in given.items():
        if option in _WORDS and value not in _WORDS[option]:
            raise registry.unknown(f"{what}.{option}", value, _WORDS[option])
        for names, is_right, sort in _SORTS:
            if option in names and not is_right(value):
                raise ValueError(f"{what}.{option} must be {sort}, got {value!r}; correct it")
        if only and option != "name" and not _is_number(value):
            raise ValueError(f"{what}.{option} must be a number, got {value!r}; correct it")
    return registry.bind(kind, dict(given), supplied, what, only)


def _paper(given: Any, what: str) -> Paper:
    if not isinstance(given, Mapping) or "unit" not in given:
        raise ValueError(f"{what} must be a mapping with a unit, got {given!r}; add unit: to it")
    for key, value in given.items():
        if key not in ("value", "spread", "unit"):
            raise registry.unknown(f"key of {what}", key, ("value", "spread", "unit"))
        if key != "unit" and value is not None and not _is_number(value):
            raise ValueError(f"{what}.{key} must be a number or null, got {value!r}; correct it")
    return Paper(given.get("value"), given.get("spread"), str(given["unit"]))


def _tasks(given: Mapping[str, Any], what: str) -> tuple[str, ...]:
    tasks: Any = [given["task"]] if "task" in given else given.get("tasks")
    listed = isinstance(tasks, list) and tasks and all(isinstance(task, str) for task in tasks)
    if not listed or {"task", "tasks"} <= set(given):
        raise ValueError(f"{what} must have either task or a list of tasks, got {tasks!r}; name those that it is about")
    return tuple(tasks)


def from_dict(given: Any) -> Claim:
    """Check one claim, and complete its measure and rule with their defaults.

    Raises:
        ValueError: an unknown or missing key, measure, rule or option, or one of the wrong sort.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"claim must be a mapping, got {given!r}; see config/claims")
    what = f"claim {given.get('id', '(without id)')}"
    for key in given:
        if key not in _FIELDS:
            raise registry.unknown(f"key of {what}", key, _FIELDS)
    for key in _REQUIRED:
        if not isinstance(given.get(key), str):
            raise ValueError(f"{what}.{key} must be text, got {given.get(key)!r}; add it to the claim")
    paper = _paper(given.get("paper"), f"{what}.paper")
    measure = _bind("measures", given.get("measure"), ("frames", "task", "sparse_level"), f"{what}.measure")
    rule = _bind("claims", given.get("rule"), ("measured", "paper"), f"{what}.rule", tuple(RULES))
    if rule["name"] in _WITH_VALUE and paper.value is None:
        raise ValueError(f"{what}.paper.value must be a number for rule {rule['name']}, got null; choose another rule")
    return Claim(given["id"], given["text"], given["source"], _tasks(given, what), paper, measure, rule)


def planned(given: Mapping[str, Any]) -> Claim:
    """Take a claim from a plan, where it was checked and made complete: what `to_dict` made of it."""
    return Claim(**{**given, "tasks": tuple(given["tasks"]), "paper": Paper(**given["paper"])})


def to_dict(claim: Claim) -> dict[str, Any]:
    """Make plain JSON of a claim, for `planned` and `from_dict`."""
    return {**asdict(claim), "tasks": list(claim.tasks)}


def load(path: Path) -> list[Claim]:
    """Read a file of claims.

    Raises:
        ValueError: it is no YAML list under `claims`, a claim is wrong, or two have one id.
    """
    content = validation.load_yaml(path, "claims file")
    if not isinstance(content, Mapping) or list(content) != ["claims"] or not isinstance(content["claims"], list):
        raise ValueError(
            f"claims file {path} must be one list under the key claims, got {str(content)[:40]!r}; see config/claims"
        )
    found = [from_dict(given) for given in content["claims"]]
    ids = [claim.id for claim in found]
    twice = [name for name in ids if ids.count(name) > 1]
    if twice:
        raise ValueError(f"claim ids of {path} must differ, got {twice[0]!r} twice; rename one")
    return found


def _options(bound: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in bound.items() if key != "name"}


def _row(claim: Claim, task: str, measured: Found) -> dict[str, Any]:
    obeys, words = RULES[claim.rule["name"]]
    options = _options(claim.rule)
    verdict = "not measured" if measured is None else "holds" if obeys(measured, claim.paper, **options) else "fails"
    return {
        "claim": claim.id, "setting": task, "text": claim.text, "source": claim.source, "unit": claim.paper.unit,
        "measured": None if measured is None else float(measured.value), "spread": None if measured is None else measured.spread,
        "num": None if measured is None else measured.num, "paper_value": claim.paper.value, "paper_spread": claim.paper.spread,
        "rule": words.format(**options), "verdict": verdict,
    }  # fmt: skip


def judge(claims: Iterable[Claim], frames: Frames, sparse_levels: Mapping[str, int]) -> list[dict[str, Any]]:
    """Judge claims on what was measured.

    Args:
        claims: what to judge.
        frames: the tables by name; those that are missing leave their claims unmeasured.
        sparse_levels: level of the sparse networks of each task that was run.

    Returns:
        One row of the table `claims` a claim and setting.
    """
    rows = []
    for claim in claims:
        for task in claim.tasks:
            measured: Found = None
            if task in sparse_levels:
                measure = registry.entries("measures")[claim.measure["name"]].load()
                measured = measure(frames, task, sparse_levels[task], **_options(claim.measure))
            rows.append(_row(claim, task, measured))
    return rows
