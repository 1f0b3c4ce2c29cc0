"""Every option of every registered function is held against its annotation when a config is planned."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import registry, values
from pipeline_lib.experiments import config, starts

PARTS = {kind: (part, supplied) for part, (kind, supplied) in config.PARTS.items()}
INSIDE_STARTS = ("perturbations", "pretexts", "strategies", "ratios")
# Options that have no default, and others that must go with one.
BESIDE: dict[str, dict[str, Any]] = {
    "image_folder": {"num_train": 1000, "num_classes": 10},
    "arrays": {"file": "own.npz", "num_train": 1000, "num_classes": 10},
    "small_image_folder": {"folder": "own", "num_train": 1000, "num_classes": 10},
    "torchvision_set": {"which": "SVHN", "num_train": 1000, "num_classes": 10},
    "hugging_face": {"folder": "own", "num_train": 1000, "num_classes": 10},
    "sgd": {"lr": 0.1},
    "decoupled_sgd": {"lr": 0.1},
    "adam": {"lr": 0.1},
    "adamw": {"lr": 0.1},
    "step_drops": {"drops": [2]},
    "cosine_decay": {"length": 5},
    "linear_decay": {"length": 5},
}


def _options(kind: str) -> Iterator[tuple[str, str, str, Any]]:
    supplied = PARTS[kind][1] if kind in PARTS else starts._SUPPLIED
    for name, entry in registry.entries(kind).items():
        yield from ((kind, name, option, entry.annotations[option]) for option in entry.annotations if option not in supplied)


OPTIONS = [found for kind in (*PARTS, *INSIDE_STARTS) for found in _options(kind)]
IDS = [".".join(found[:3]) for found in OPTIONS]


def _base(annotation: Any) -> tuple[Any, list[Any]]:
    found = get_args(annotation) if isinstance(getattr(annotation, "__metadata__", None), tuple) else (annotation,)
    return found[0], list(found[1:])


def _is_text(annotation: Any) -> bool:
    return _base(annotation)[0] is str or any(isinstance(word, str) for word in values.words(annotation))


NEVER: list[Any] = [
    None,
    {},
    {"a": 1},
    [[1]],
    [None],
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    -(10**400),
    "nan",
    "1_000",
    "0x1f",
    "",
]
NEGATIVE = [-1, -0.5, "-1"]
NO_NUMBER = [*NEVER, True, False, "fast", "all", [0.1], [1], 1e300, 10**16]


def _interval(limits: Sequence[Any]) -> str:
    return next((limit.interval for limit in limits if isinstance(limit, values.In)), "[0, 1000000000000]")


def _outside(limits: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Numbers beyond either end of an interval, among them each open end itself."""
    interval = _interval(limits)
    low, high = map(float, interval[1:-1].split(","))
    ends = ([low] if interval[0] == "(" else []) + ([high] if interval[-1] == ")" else [])
    below, above = st.floats(max_value=low, exclude_max=True), st.floats(min_value=high, exclude_min=True)
    return below | above | (st.sampled_from(ends) if ends else st.nothing())


def _wrong(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of wrong type, sign, size or finiteness, by what the annotation says and not by how it is checked."""
    base, limits = _base(annotation)
    if get_origin(base) is Sequence:
        short = st.sampled_from([[], [0.5], [0.5] * 4]) if any(isinstance(limit, values.Of) for limit in limits) else st.nothing()
        items = _wrong(get_args(base)[0]).filter(lambda each: each != [])
        return st.sampled_from([3, 0.5, True, "300", "layer", *NEVER[:3]]) | short | st.lists(items, min_size=1, max_size=3)
    if base is bool:
        return st.sampled_from([*NEVER, 0, 1, 0.0, 1.0, "yes", "1", [True]])
    if _is_text(annotation):
        odd = ["", ".", "..", "a/b", "/etc", "a\n", "-rf", "x" * 300]
        return st.sampled_from([*NEVER[:10], 0, 3, 0.5, True, ["layer"], *odd])
    numbers = [0.5, 1e-9, "0.5"] if base is int or values.words(annotation) else []
    if values.words(annotation):
        return st.sampled_from([*NO_NUMBER, *NEGATIVE, *numbers, 0, 7, 10**9])
    negative = [] if _interval(limits)[1] == "-" else NEGATIVE
    return st.sampled_from([*NO_NUMBER, *negative, *numbers]) | _outside(limits)


def _planned(kind: str, name: str, option: str, value: Any) -> config.Config:
    """Plan a config that gives an option a value."""
    if kind in PARTS:
        part = {"name": name, **BESIDE.get(name, {}), option: value}
        return config.resolve(toys.raw_config() | {"tasks": {"toy": toys.task(**{PARTS[kind][0]: part})}})
    call = f"{name}({option}={value})"
    if kind == "ratios":
        return config.resolve(toys.raw_config(adaptive={"rule": call}))
    if kind == "strategies":
        return config.resolve(toys.raw_config(retraining=[call]))
    return config.resolve(toys.raw_config(starts=[f"k0 | {call} for 2" if kind == "pretexts" else f"k0 | {call}"]))


@pytest.mark.parametrize(("kind", "name", "option", "annotation"), OPTIONS, ids=IDS)
@given(data=st.data())
def test_a_wrong_value_is_refused_in_one_line_that_names_the_option(kind, name, option, annotation, data):
    value = data.draw(_wrong(annotation))
    if kind in INSIDE_STARTS:  # a start is text, where brackets and commas mean something
        value = str(value) if len(repr(value)) < 50 and not set(repr(value)) & set("()[]{},\\|=' ") else "wrong"
    with pytest.raises(ValueError) as caught:
        _planned(kind, name, option, value)
    line = " ".join(str(caught.value).split())
    assert option in line
    assert " must be " in line and ", got " in line and "; " in line
    assert len(line) < 500


def _right(annotation: Any) -> list[Any]:
    base, limits = _base(annotation)
    if get_origin(base) is Sequence:
        size = next((limit.size for limit in limits if isinstance(limit, values.Of)), 2)
        return [[each] * size for each in _right(get_args(base)[0])]
    if values.words(annotation):
        return list(values.words(annotation))
    if base is bool:
        return [True, False, "true", "false"]
    if base is str:
        return ["2012", "my set", "a.b"]
    if values.Steps() in limits:
        return [3, 3.0, "3", "3it", "1ep"]
    low, high = map(float, next(limit.interval for limit in limits if isinstance(limit, values.In))[1:-1].split(","))
    inside = (low + high) / 2 if high <= 1 else low + 6
    return [inside, str(inside)] if base is float else [int(inside), inside, str(int(inside)), f"{int(inside)}e0"]


@pytest.mark.parametrize(("kind", "name", "option", "annotation"), OPTIONS, ids=IDS)
def test_a_right_value_is_accepted_in_one_form(kind, name, option, annotation):
    for value in _right(annotation):
        found = registry.bind(kind, {"name": name, **BESIDE.get(name, {}), option: value}, _supplied(kind), "x")[option]
        again = registry.bind(kind, {"name": name, **BESIDE.get(name, {}), option: found}, _supplied(kind), "x")[option]
        assert (again, repr(again)) == (found, repr(found))


def _supplied(kind: str) -> tuple[str, ...]:
    return PARTS[kind][1] if kind in PARTS else starts._SUPPLIED


@pytest.mark.parametrize(("kind", "name", "option", "annotation"), OPTIONS, ids=IDS)
def test_every_option_says_what_it_may_be_and_its_default_is_that(kind, name, option, annotation):
    base, limits = _base(annotation)
    assert annotation is not None, f"{name}.{option} must be annotated with a name of pipeline_lib.core.values"
    if base in (int, float):
        assert limits, f"{option} of {name} must say its range"
    defaults = registry.entries(kind)[name].defaults
    if option in defaults:
        assert repr(values.check(option, annotation, defaults[option])) == repr(defaults[option])


def test_an_option_without_an_annotation_is_refused(tmp_path, monkeypatch):
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "new.py").write_text("def new(depth=2, width: Unknown = 3):\n    ...\n")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    registry.entries.cache_clear()
    try:
        with pytest.raises(
            ValueError, match=r"depth of toy\.network new must be annotated with a name of pipeline_lib\.core\.values"
        ):
            registry.bind("networks", {"name": "new"}, (), "toy.network")
    finally:
        registry.entries.cache_clear()


@pytest.mark.parametrize(
    ("annotation", "value", "form"),
    [
        ("Positive", 1, 1.0),
        ("Positive", "1e-1", 0.1),
        ("Positive", "1.", 1.0),
        ("NotNegative", -0.0, 0.0),
        ("Count", 8.0, 8),
        ("Count", "1e3", 1000),
        ("Sequence[Count]", (8.0, "7"), [8, 7]),
        ("Literal[13, 16]", "13", 13),
        ("Literal[13, 16]", 16.0, 16),
        ("bool", "True", True),
        ("Folder", "2012", "2012"),
        ("int | float", 2.0, 2),
        ("int | float", 0.5, 0.5),
        ('Annotated[int, In("[10, 1000]", step=6)]', 22, 22),
    ],
)
def test_equal_values_have_one_form(annotation, value, form):
    found = values.check("x", values.read(ast.parse(annotation, mode="eval").body), value)
    assert repr(found) == repr(form)


@pytest.mark.parametrize(
    "source", ["np.ndarray", "Mapping[str, int]", "Path | None", "Sequence[Path]", "Annotated[int, Other(1)]"]
)
def test_other_annotations_are_not_of_options(source):
    assert values.read(ast.parse(source, mode="eval").body) is None


@given(st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15))
def test_a_number_is_read_back_from_its_text(value):
    assert values.as_number(repr(value)) == values.as_number(value) == value


@given(st.text(max_size=20) | st.floats() | st.integers() | st.none() | st.lists(st.integers()))
def test_what_is_shown_is_one_short_line(value):
    shown = values.shown(value)
    assert len(shown) < 200 and "\n" not in shown and "\x1b" not in shown
