"""Claims of a paper, as `config/claims` words them: checked, and completed with the defaults of their measures and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.claims.rules import RULES, WITH_VALUE, Paper
from pipeline_lib.claims.wording import BRACED, ROLES, braced
from pipeline_lib.core import registry
from pipeline_lib.experiments import validation

# Whom a claim is about, beside tasks by name: every task of an experiment; those that no claim of the same paper names; none.
ANY, OWN, NONE = "any", "own", "none"
_WORDS = ("id", "text", "source")
_FIELDS = (*_WORDS, "task", "tasks", "paper", "measure", "rule", "level", "least")


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
        rule: function of `rules` with all of its options.
        level: confidence of intervals.
        least: seeds that a mean needs.
    """

    id: str
    text: str
    source: str
    tasks: tuple[str, ...]
    paper: Paper
    measure: dict[str, Any]
    rule: dict[str, Any]
    level: float = 0.95
    least: int = 3

    @property
    def family(self) -> str:
        """The paper that makes it."""
        return self.source[: f"{self.source},".index(",")]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _rising(value: Any) -> bool:
    numbers = isinstance(value, list) and bool(value) and all(_is_number(each) and each > 0 for each in value)
    return numbers and value == sorted(set(value))


_NUMBERS = (*(option for option in ROLES if option != "durations"), "beyond", "ahead", "step", "over_from", "over_to")
_NUMBERS += ("step_1", "step_2", "best", "window")
KINDS, CURVES = (
    ("dense", "imp", "random_prune", "reinit"),
    ("accuracy", "matching_margin", "instability", "distance", "path_peak"),
)
QUANTITIES = ("accuracy", "mean_magnitude", "signs_changed", "gradient_norm", "l2_initial", "cosine_initial")
_NAMES = {"of": CURVES, "to": CURVES, "kind": KINDS, "other": KINDS, "split": ("train", "test"), "quantity": QUANTITIES}
# What options must be, where their annotations leave more open.
_SORTS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (_NUMBERS, _whole, "a whole number of at least 0"),
    (("durations", "borders", "sigmas"), _rising, "a rising list of numbers above 0"),
)


def _numbers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Put a number, or a list of one, where an option has a word for it, for the check against annotations."""
    worded = {option for option, value in given.items() if isinstance(value, str) and value in ROLES.get(option, ())}
    return {**given, **{option: [1] if option == "durations" else 0 for option in worded}}


def _bind(kind: str, given: Any, supplied: tuple[str, ...], what: str, only: tuple[str, ...] | None = None) -> dict[str, Any]:
    if not isinstance(given, Mapping) or "name" not in given:
        raise ValueError(f"{what} must be a mapping with a name, got {given!r}; add name: to it")
    names = only or tuple(registry.entries(kind))
    if given["name"] not in names:
        raise registry.unknown(f"{what}.name", given["name"], names, f"add it as a function to {registry.where(kind)}")
    numbers = _numbers(given)
    for option, value in numbers.items():
        for word in set(braced(value)) - set(BRACED):
            raise registry.unknown(f"word of {what}.{option}", word, BRACED)
        if option in ROLES and isinstance(value, str):
            raise registry.unknown(f"{what}.{option}", value, ROLES[option], "or give a number")
        if option in _NAMES and value not in _NAMES[option]:
            raise registry.unknown(f"{what}.{option}", value, _NAMES[option])
        for options, is_right, sort in _SORTS:
            if option in options and not is_right(value):
                raise ValueError(f"{what}.{option} must be {sort}, got {value!r}; correct it")
        if only and option != "name" and not _is_number(value):
            raise ValueError(f"{what}.{option} must be a number, got {value!r}; correct it")
    bound = registry.bind(kind, numbers, supplied, what, only)
    return bound | {option: given[option] for option in given if option in ROLES and given[option] in ROLES[option]}


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
    tasks: Any = [given["task"]] if "task" in given else given.get("tasks", [ANY])
    listed = isinstance(tasks, list) and tasks and all(isinstance(task, str) for task in tasks)
    if not listed or {"task", "tasks"} <= set(given):
        raise ValueError(f"{what} must have a task, a list of tasks or none of both, got {tasks!r}; name those that it is about")
    if len(tasks) > 1 and {ANY, NONE} & set(tasks):
        raise ValueError(f"{what}.tasks must be {ANY} or {NONE} alone, got {tasks!r}; name tasks, or leave them out")
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
    for key in _WORDS:
        if not isinstance(given.get(key), str):
            raise ValueError(f"{what}.{key} must be text, got {given.get(key)!r}; add it to the claim")
    level, least = given.get("level", 0.95), given.get("least", 3)
    if not _is_number(level) or not 0.5 <= level < 1:
        raise ValueError(f"{what}.level must be in [0.5, 1), got {level!r}; correct it")
    if not _whole(least) or least < 2:
        raise ValueError(f"{what}.least must be a whole number of at least 2, got {least!r}; correct it")
    paper = _paper(given.get("paper"), f"{what}.paper")
    measure = _bind("measures", given.get("measure"), ("ev",), f"{what}.measure")
    rule = _bind("claims", given.get("rule"), ("found", "paper"), f"{what}.rule", tuple(RULES))
    if rule["name"] in WITH_VALUE and paper.value is None:
        raise ValueError(f"{what}.paper.value must be a number for rule {rule['name']}, got null; choose another rule")
    return Claim(given["id"], given["text"], given["source"], _tasks(given, what), paper, measure, rule, float(level), least)


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
