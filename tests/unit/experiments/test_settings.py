"""Config keys as they are declared, and what is made of the declarations."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from typing import Any

import jsonschema
import pytest
import toys
import yaml

from pipeline_lib.core import registry
from pipeline_lib.experiments import config
from pipeline_lib.experiments.settings import document, groups, schema
from pipeline_lib.experiments.settings.keys import REQUIRED, Key, complete, keys, said
from pipeline_lib.experiments.settings.options import Planes, Telemetry

EVERY = [(name, key) for name, group in groups.groups().items() for key in group.keys]


def _grid(**more: Any) -> config.Grid:
    return config.resolve(toys.raw_config(**more)).experiments["tiny"].grids["toy"]


def test_the_schema_and_the_key_table_are_up_to_date():
    written = (config.ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
    assert written == schema.text()
    assert yaml.safe_load(written) == schema.schema()
    assert (config.ROOT / "docs" / "config.md").read_text(encoding="utf-8") == document.document()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize(("group", "key"), EVERY, ids=[f"{group}.{key.name}" for group, key in EVERY])
def test_a_key_is_in_the_table_and_in_the_schema_with_what_it_says(group: str, key: Key):
    section = document.document().partition(f"\n## {group}\n")[2].partition("\n## ")[0]
    (row,) = re.findall(rf"^\| `{key.name}` \| (.+?) \| (.*?) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    assert row[1:3] == (key.unit, key.meaning.replace("|", "\\|"))
    whole = schema.schema()
    shown = (whole if group == "config" else whole["$defs"][group])["properties"][key.name]
    plain = key.default is not REQUIRED and key.default is not None and not callable(key.default)
    assert ("default" in shown) == plain
    assert key.unit in shown["description"]
    if plain:
        resolver = {"$defs": whole["$defs"], **shown}
        assert jsonschema.Draft202012Validator(resolver).is_valid(shown["default"]), "the default must follow the rule"
    elif callable(key.default):
        assert key.words in shown["description"] and key.words in row[0] and key.words


def test_what_may_be_said_of_an_experiment_may_be_said_of_a_task_alone():
    whole = schema.schema()["$defs"]
    assert whole["experiment"]["properties"].keys() - whole["grid"]["properties"].keys() == {"tasks", "figures", "claims"}
    assert whole["grid"]["properties"].items() <= whole["experiment"]["properties"].items()


def test_options_are_objects_with_defaults_that_follow_from_others():
    grid = _grid(planes={"points": 7}, telemetry={"evaluate_every": "2it"}, rewind=[3, 0], limits={})
    assert grid.planes == Planes(levels=(0, 1), points=7, margin=0.5, seeds=1)
    assert grid.telemetry == Telemetry(steps=6, evaluate_every=2)
    assert grid.limits and (grid.limits.levels, grid.limits.fit_level, grid.limits.fractions[:2]) == ((0,), 2, (0.1, 0.2))
    assert (grid.curvature, grid.asked, grid.asks("curvature"), grid.asks("lemma")) == (None, {}, None, None)
    assert grid.asks("planes") is grid.planes
    with pytest.raises(FrozenInstanceError):
        grid.planes.points = 8  # type: ignore[misc]


def test_a_spec_says_all_keys_of_an_option_as_json_does():
    assert said(_grid(planes={"levels": [1, 0]}).planes) == {"levels": [0, 1], "points": 51, "margin": 0.5, "seeds": 1}
    assert said(None) == {}


def test_fields_that_are_no_keys_are_supplied():
    assert not {"task", "title", "lineage", "per_job", "asked"} & {key.name for key in keys(config.Grid)}
    with pytest.raises(TypeError, match="lineage"):
        complete(config.Grid, "x", {}, task=config.load_task("digits_mlp"), title="x")


# Options that stages declare.

EXAMPLES = {"default": 500, "unit": "images", "rule": "Count", "meaning": "training images that are compared"}
SHARES = {"default": [0.5], "unit": "", "rule": "Annotated[Sequence[Share], Items(1)]", "meaning": "of them"}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Declares options as if a stage's file said so; the second such file beside the wells'."""

    def declare(**options: Any) -> None:
        (tmp_path / "similarity.py").write_text(f"SETTINGS = {options!r}\n")

    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    monkeypatch.setitem(registry.PLACES, "stages", ".")
    cached = (registry.stated, groups.stage_options, schema.schema)
    for each in cached:
        each.cache_clear()
    yield declare
    monkeypatch.undo()
    for each in cached:
        each.cache_clear()


def test_a_stages_option_is_known_to_schema_table_errors_and_grids(stage):
    stage(similarity={"examples": EXAMPLES, "shares": SHARES})
    assert (
        "| `examples` | `500` | images | training images that are compared | a whole number in [1, 1000000] |"
        in document.document()
    )
    assert schema.schema()["$defs"]["similarity"]["properties"]["examples"] == {
        "type": "integer", "minimum": 1, "maximum": 1000000,
        "description": "training images that are compared; in images", "default": 500,
    }  # fmt: skip
    assert _grid(similarity={}).asked == {"similarity": {"examples": 500, "shares": [0.5]}}
    assert _grid(similarity={"shares": [1, 0]}).asks("similarity") == {"examples": 500, "shares": [1.0, 0.0]}
    assert _grid().asked == {}
    for given, words in {
        "key of experiments.tiny.similarity must be one of examples, shares, got 'example'; did you mean 'examples'?": {
            "example": 1
        },
        "experiments.tiny.similarity.examples must be at least 1, got 0; correct the config": {"examples": 0},
        "experiments.tiny.similarity.shares must be a list without repetitions": {"shares": [1, 1]},
    }.items():
        with pytest.raises(ValueError, match=re.escape(given)):
            _grid(similarity=words)
    with pytest.raises(ValueError, match="got 'similarty'; did you mean 'similarity'"):
        _grid(similarty={})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"planes": {"a": EXAMPLES}}, "option planes of a stage must have a name of its own, got a key's; rename it"),
        ({"near": {"a": {"default": 1}}}, "key a of option near must say default, meaning, rule, unit, got {'default': 1}"),
        ({"near": 3}, "option near must be a mapping of keys, got 3; correct SETTINGS of its stage"),
        ({"near": {"a": 1}}, "key a of option near must say default, meaning, rule, unit, got 1"),
        ({"near": {"a": EXAMPLES | {"rule": "Cuont"}}}, "rule of key a of option near must be in the words of .*, got 'Cuont'"),
        ({"near": {"a": EXAMPLES | {"rule": "]"}}}, "rule of key a of option near must be in the words of .*, got ']'"),
        ({"near": {"a": EXAMPLES | {"default": 0}}}, r"default of key a of option near must be a whole number in \[1, .*, got 0"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused(stage, options, words):
    stage(**options)
    with pytest.raises(ValueError, match=words):
        groups.stage_options()
