"""Configs and files changed at random: they are read as they are, or there is one ValueError that says thing, rule and remedy."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import checkout
import numpy as np
import pytest
import toys
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipeline_lib.claims import loading
from pipeline_lib.core.types import State
from pipeline_lib.datasets import _archives
from pipeline_lib.experiments import config, config_files, validation
from pipeline_lib.planning import driver, plan, plan_file
from pipeline_lib.store import artifacts, resumption, verification
from pipeline_lib.tables import tabulation

MORE = int(os.environ.get("REWIND_FUZZ", "1"))  # times as many examples as the gate tries; see tests/faults/soak.py
KEY = "0123456789ab"
CLEAR = re.compile(r".+ must .+; .+", re.DOTALL)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def _is_clear(attempt: Callable[[], object]) -> bool:
    """Whether something works or says clearly why not; any other exception goes through."""
    try:
        attempt()
    except ValueError as error:
        assert CLEAR.fullmatch(str(error)), f"{type(error).__name__}: {error}"
        return False
    return True


# Configs.

BASES = (toys.raw_config(), checkout.TINY, checkout.EARLY)
WORDS = (
    "mlp", "digits", "sgd", "adam", "decoupled_sgd", "step_drops", "cosine_decay", "constant", "toy", "digits_mlp", "resnet20",
    "random", "layer", "A", "B", "learning_curves", "instability_sparse", "2ep", "0ep", "1.5ep", "3it", "nan", "1e400", "k0",
    "k10 | shuffle(layer)", "k0 | blur(2) for 4", "k0 | mask | rotation for 2ep", "k1 | shuffle() in é", "a\n", "../x", "$(x)",
)  # fmt: skip
KEYS = (
    "name", "base", "seeds", "orders", "pruning", "tasks", "starts", "telemetry", "curvature", "throughout", "pretraining", "lr",
    "widths", "drops", "every",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 5, 10, 29, 30, 31, -1, 10**13, 10**30)
VALUES = (None, True, "", "é", 0.5, -0.5, 1e308, float("nan"), float("inf"), [], [1], [[]], {}, {"name": "mlp"}, {1: 2}, b"x")


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [found for key, each in inner for found in _places(each, (*place, key))]


def _like(draw: Callable[..., Any], value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, list) and value and draw(st.booleans()):
        return value[1:] if draw(st.booleans()) else [*value, _like(draw, value[0])]
    if isinstance(value, dict):
        return {**value, draw(st.sampled_from(KEYS)): draw(st.sampled_from((*WORDS, *NUMBERS)))}
    kinds = ((bool, (not value,)), (int, NUMBERS), (float, (0.0, 1e-9, 0.999, 1.0, 5.0)), (str, WORDS))
    return draw(st.sampled_from(next((found for kind, found in kinds if isinstance(value, kind)), VALUES)))


@st.composite
def configs(draw: Callable[..., Any]) -> dict[str, Any]:
    """A valid config with up to three changes."""
    raw = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        *place, last = draw(st.sampled_from(_places(raw) or [("experiments",)]))
        inner: Any = raw
        for key in place:
            inner = inner[key]
        how = draw(st.sampled_from(("like", "like", "like", "other", "away", "more")))
        if how == "like" and last in inner if isinstance(inner, dict) else how == "like":
            inner[last] = _like(draw, inner[last])
        elif how == "away":
            inner.pop(last, None) if isinstance(inner, dict) else inner.pop(last)
        elif how == "more" and isinstance(inner, dict):
            inner[draw(st.sampled_from((*KEYS, "a\n", 1, None)))] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        else:
            inner[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return raw


@settings(max_examples=50 * MORE)
@given(configs())
def test_a_config_is_planned_or_refused(raw):
    def attempt() -> None:
        for node in plan.make_plan(config.resolve(raw)).nodes.values():
            assert plan_file._FOLDER.fullmatch(node.folder)

    _is_clear(attempt)


@pytest.mark.parametrize("place", ["seeds", "orders", "levels", "rewind"])
def test_a_number_that_would_fill_the_memory_is_refused(place):
    assert not _is_clear(lambda: config.resolve(toys.raw_config(**{place: [10**30] if place == "rewind" else 10**30})))


# Files.


@st.composite
def changed(draw: Callable[..., Any], content: bytes) -> bytes:
    """Bytes with up to four changes, most of them near the beginning."""
    made = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(made), 600)) | st.integers(0, len(made)))
        how, length = draw(st.sampled_from(("flip", "flip", "cut", "end", "put", "copy"))), draw(st.integers(1, 40))
        if how == "flip" and at < len(made):
            made[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del made[at : at + length]
        elif how == "end":
            del made[at:]
        elif how == "put":
            made[at:at] = draw(
                st.binary(max_size=8) | st.sampled_from([b"{", b"}", b"[", b'"', b"null", b",", b"1e999", b"\n", b"9" * 20])
            )
        elif how == "copy":
            made[at:at] = made[-length:]
    return bytes(made)


def _state() -> State:
    network = toys.norm_net()
    return toys.scrambled(network)


@cache
def _examples(folder: Path) -> dict[str, tuple[Path, bytes, Callable[[Path], object]]]:
    """Whole files of each kind, and their readers."""
    state, made = _state(), toys.make_plan(toys.raw_config(rewind=[0], levels=0, figures=["learning_curves"]))
    own = folder / f"toy-{KEY}"
    own.mkdir()
    paths = {name: own / name for name in ("s.safetensors", ".r.safetensors", "t.parquet", "p.jsonl", "c.yaml", "y.yaml", "i")}
    artifacts.write_states(paths["s.safetensors"], [state, state], {"key": KEY, "params": list(state.params)})
    saved = resumption.Saved(State(state.params, state.buffers, 3), [1.0, 2.0, 3.0, 4.0], [{"step": 1}])
    resumption._write(paths[".r.safetensors"], {0: saved}, {"key": KEY})
    artifacts.write_rows(
        paths["t.parquet"], [{"a": i, "b": "x" * i, "c": i / 2, "d": None if i % 2 else True} for i in range(50)]
    )
    artifacts.write_text(paths["p.jsonl"], "\n".join(plan_file.to_lines(made, {})) + "\n")
    some = yaml.safe_load((config.CLAIMS / "A.yaml").read_text(encoding="utf-8"))["claims"][:3]
    artifacts.write_text(paths["c.yaml"], yaml.safe_dump({"claims": some}))
    artifacts.write_text(paths["y.yaml"], (config.ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    artifacts.write_text(own / f"other-{KEY}" / verification.RECORD, json.dumps({"key": KEY, "sha256": {"a": "0" * 64}}))
    paths["i"].write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(6)]))
    train = next(node for node in made.nodes.values() if node.stage == "train")
    readers: dict[str, tuple[Path, Callable[[Path], object]]] = {
        "header": (paths["s.safetensors"], artifacts.read_meta),
        "arrays": (paths["s.safetensors"], artifacts.read_arrays),
        "states": (paths["s.safetensors"], artifacts.read_states),
        "resume file": (paths[".r.safetensors"], resumption._read),
        "table": (paths["t.parquet"], tabulation.read),
        "plan": (paths["p.jsonl"], lambda path: plan_file.find_line(path, train.key)),
        "current plan": (paths["p.jsonl"], lambda path: driver._check_current(*plan_file.find_line(path, train.key))),
        "claims": (paths["c.yaml"], loading.load),
        "config": (paths["y.yaml"], config_files.content_hash),
        "merged config": (paths["y.yaml"], lambda path: config.resolve(validation.read_yaml(path))),
        "record": (own / f"other-{KEY}" / verification.RECORD, lambda path: list(verification._faults(path.parent))),
        "idx": (paths["i"], lambda path: _archives.read_idx(path, 2)),
    }
    return {name: (path, path.read_bytes(), read) for name, (path, read) in readers.items()}


KINDS = (
    "header", "arrays", "states", "resume file", "table", "plan", "current plan", "claims", "config", "merged config",
    "record", "idx",
)  # fmt: skip


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return _examples(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_are_whole(examples, kind):
    path, content, read = examples[kind]
    path.write_bytes(content)
    assert _is_clear(lambda: read(path))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60 * MORE)
@given(st.data())
def test_a_changed_file_is_read_or_refused(examples, kind, data):
    path, content, read = examples[kind]
    path.write_bytes(data.draw(changed(content)))
    _is_clear(lambda: read(path))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15 * MORE)
@given(st.binary(max_size=300))
def test_a_foreign_file_is_read_or_refused(examples, kind, content):
    path, _, read = examples[kind]
    path.write_bytes(content)
    _is_clear(lambda: read(path))


@pytest.mark.parametrize("kind", ["arrays", "states", "resume file"])
@settings(max_examples=60 * MORE)
@given(st.data())
def test_a_flipped_bit_of_an_artifact_is_never_read(examples, kind, data):
    path, content, read = examples[kind]
    at = data.draw(st.integers(0, 8 * len(content) - 1))
    flipped = bytearray(content)
    flipped[at // 8] ^= 1 << at % 8
    path.write_bytes(flipped)
    assert not _is_clear(lambda: read(path))


@settings(max_examples=60 * MORE)
@given(JSON | st.fixed_dictionaries({"key": st.just(KEY)}, optional={"params": JSON, "step": JSON, "members": JSON}))
def test_a_header_of_any_content_with_right_digests_is_read_or_refused(examples, meta):
    path, text = examples["states"][0], json.dumps(meta)
    arrays = {"params/a": np.zeros((1, 2), np.float32), "odd": np.zeros(1), "buffers/b": np.array(1)}
    save_file(arrays, path, artifacts._header(arrays, meta) if isinstance(meta, dict) else {"rewind": text})
    for read in (artifacts.read_states, artifacts.read_arrays):
        _is_clear(lambda read=read: read(path))
