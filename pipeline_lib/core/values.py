"""What an option or a key of a config may be: the words of annotations, and the check of a value from a config against one.

An option of a registered function is annotated with a name from here, with `Literal`, `bool`, `str`, or a `Sequence` of one
of these; a config's key (`experiments.settings`) also with a tuple. `registry` reads annotations as source; they decide what a
config may say and nothing about results, so they are no part of a stage's fingerprint. A value that fits is returned in one form:
`1`, `1.0` and the text `1e0` are one number, so that they make one key. A boolean is never a number, nor text a list.
"""

from __future__ import annotations

import ast
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

Number = int | float
LARGEST = 10**15  # of what a config may hold; floats count whole numbers exactly up to here
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_FOLDER = re.compile(r"(?![-.])[\w .@%+=,-]{1,200}(?<! )")
_LENGTH = re.compile(r"\d{1,12}(?:\.\d{1,12})?(?:ep|it)", re.ASCII)


@dataclass(frozen=True)
class In:
    """Numbers of an interval such as `(0, 1]`; whole ones may have to lie `step` apart, from its lower end on."""

    interval: str
    step: int = 1

    @property
    def bounds(self) -> tuple[float, float]:
        """Its ends."""
        low, high = map(float, self.interval[1:-1].split(","))
        return low, high

    def holds(self, value: Number) -> bool:
        """Say whether a number is one of them."""
        low, high = self.bounds
        above = low < value if self.interval[0] == "(" else low <= value
        below = value < high if self.interval[-1] == ")" else value <= high
        return above and below and (self.step == 1 or (value - low) % self.step == 0)

    def __str__(self) -> str:
        """Word it."""
        return f"in {self.interval}" + (f", in steps of {self.step}" if self.step > 1 else "")


@dataclass(frozen=True)
class Of:
    """Lists of so many items."""

    size: int

    def __str__(self) -> str:
        """Word it."""
        return f" of {self.size}"


@dataclass(frozen=True)
class Items:
    """Lists of at least so many items, of which none may stand twice."""

    least: int = 0
    repeated: bool = False

    def __str__(self) -> str:
        """Word it."""
        return (f" of at least {self.least}" if self.least else "") + ("" if self.repeated else " without repetitions")


@dataclass(frozen=True)
class Steps:
    """Numbers of steps, or texts such as `500it` and `2ep` that `lengths` turns into some; at least so many."""

    least: int = 0


@dataclass(frozen=True)
class FolderName:
    """Texts that name one folder, and no path."""


Positive = Annotated[float, In("(0, 1000000]")]
Bounded = Annotated[float, In("[-1000000, 1000000]")]
NotNegative = Annotated[float, In("[0, 1000000]")]
Share = Annotated[float, In("[0, 1]")]
PositiveShare = Annotated[float, In("(0, 1]")]
ShareBelowOne = Annotated[float, In("[0, 1)")]
Fraction = Annotated[float, In("(0, 1)")]
Count = Annotated[int, In("[1, 1000000]")]
Examples = Annotated[int, In("[1, 1000000000]")]
Points = Annotated[int, In("[2, 10000]")]
Level = Annotated[int, In("[0, 1000]")]
Blocks = Annotated[int, In("[1, 1000]")]
Pixels = Annotated[int, In("[1, 10000]")]
Whole = Annotated[int, In("[0, 1000000000000]")]
Length = Annotated[int, Steps()]
Period = Annotated[int, Steps(1)]
Folder = Annotated[str, FolderName()]
_NAMES: dict[str, Any] = {name: value for name, value in globals().items() if name[0].isupper()}
_NAMES |= {"bool": bool, "int": int, "float": float, "str": str}


def read(annotation: ast.expr | None) -> Any:
    """Turn the syntax of an annotation into what it means, as `typing.get_type_hints` does; None if it is not of options."""
    match annotation:
        case ast.Name(name):
            found = _NAMES.get(name)
            return found if _is_known(found) else None
        case ast.Subscript(ast.Name("Literal"), listed):
            return _NAMES["Literal"][ast.literal_eval(listed)]
        case ast.Subscript(ast.Name("Sequence"), item):
            found = read(item)
            return None if found is None else _NAMES["Sequence"][found]
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([base, *limits])):
            found = [read(base), *map(_read_limit, limits)]
            return None if None in found else _NAMES["Annotated"][tuple(found)]
        case ast.BinOp() if ast.unparse(annotation) == "int | float":
            return Number
    return None


def _read_limit(call: ast.expr) -> Any:
    """Build one of the limits above from how it is written; None for anything else."""
    if not (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("In", "Of", "Items", "Steps", "FolderName")
    ):
        return None
    options = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    return _NAMES[call.func.id](*map(ast.literal_eval, call.args), **options)


def _is_known(annotation: Any) -> bool:
    base = bare(annotation)
    return _is_known(*get_args(base)) if get_origin(base) is Sequence else base in (bool, int, float, str, Number)


def bare(annotation: Any) -> Any:
    """Give the type of an annotation without its limits."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def limits_of(annotation: Any) -> tuple[Any, ...]:
    """Give the limits of an annotation."""
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def item(annotation: Any) -> Any:
    """Give what the items of a list are, None for another annotation."""
    base = bare(annotation)
    return get_args(base)[0] if get_origin(base) in (Sequence, tuple) else None


def words(annotation: Any) -> tuple[Any, ...]:
    """List the values of a `Literal`, none for another annotation."""
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def shown(value: object) -> str:
    """Show a value in one line of bearable length."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)


def as_number(value: object) -> int | float | None:
    """Read a number: whole ones as int, others as float; None for all else, NaN and infinities among it."""
    if isinstance(value, str) and len(value) <= 60 and _NUMBER.fullmatch(value):
        value = int(value) if value.lstrip("+-").isdigit() else float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
        return None
    return int(value) if value == int(value) else value


def _as_base(base: Any, limits: Sequence[Any], value: object) -> Any:
    """Read a value as one of a type, in its one form; None if it is none."""
    if base is str:
        return value if isinstance(value, str) else None
    if base is bool:
        return {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, (bool, str)) else None
    if _steps(limits) and isinstance(value, str) and _LENGTH.fullmatch(value):
        return value
    number = as_number(value)
    if number is None or (base is int and isinstance(number, float)):
        return None
    return float(number) if base is float else number


def _fits(limit: Any, value: Any) -> bool:
    match limit:
        case In():
            return limit.holds(value)
        case Of():
            return len(value) == limit.size
        case FolderName():
            return _FOLDER.fullmatch(value) is not None
        case Items():
            return len(value) >= limit.least and (limit.repeated or all(each not in value[:i] for i, each in enumerate(value)))
    return isinstance(value, str) or limit.least <= value <= 1000000000000


def _steps(limits: Sequence[Any]) -> Steps | None:
    return next((limit for limit in limits if isinstance(limit, Steps)), None)


def rule(annotation: Any) -> str:
    """Word what an annotation asks for."""
    base, limits = bare(annotation), limits_of(annotation)
    if item(annotation) is not None:
        return f"a list{''.join(map(str, limits))}, each item {rule(item(annotation))}"
    found = _steps(limits)
    if found:
        return f"a number of steps of at least {found.least}, or a length such as 500it or 2ep"
    if FolderName() in limits:
        return "the name of one folder (text)"
    if words(base):
        return f"one of {', '.join(map(str, words(base)))}"
    kinds = {str: "text", bool: "true or false", int: "a whole number"}
    return " ".join([kinds.get(base, "a finite number"), *map(str, limits)])


def check(what: str, annotation: Any, value: object) -> Any:
    """Return a value in the one form that its annotation gives it.

    Args:
        what: name of the option and where it is, for errors.
        annotation: as `read` found it.
        value: what the config says; numbers and booleans may be text, since `--config` hands them over so.

    Raises:
        ValueError: it is of another type, not finite, or out of its range.
    """
    base, limits = bare(annotation), limits_of(annotation)
    if get_origin(base) is Sequence and isinstance(value, (list, tuple)) and all(_fits(limit, value) for limit in limits):
        option, *place = what.split(" ", 1)
        return [check(" ".join([f"{option}.{i}", *place]), get_args(base)[0], each) for i, each in enumerate(value)]
    if words(base):
        found = next((word for word in words(base) if _as_base(type(word), (), value) == word), None)
    else:
        found = None if get_origin(base) is Sequence else _as_base(base, limits, value)
    if found is None or not all(_fits(limit, found) for limit in limits):
        hint = "put quotation marks around it" if base is str and not isinstance(value, str) else "correct the config"
        raise ValueError(f"{what} must be {rule(annotation)}, got {shown(value)}; {hint}")
    return found
