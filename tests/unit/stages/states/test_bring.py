"""Checkpoints and masks that a config brings: what runs start from, and lines, planes and spectra between them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
import yaml
from safetensors.torch import load_file, save_file

from pipeline_lib.networks.mlp import mlp
from pipeline_lib.planning import driver, nodes
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation

NETWORK = mlp((1, 8, 8), 10, widths=[2])
MASKED = "stem.fc1.weight"
ANALYSE: dict[str, Any] = {
    "hessian": ["b"], "paths": [["a", "b"]], "planes": [["a", "b", "c"]], "points": 3, "margin": 0.0, "iterations": 160,
    "probes": 1, "examples": 64, "alphas": 3,
}  # fmt: skip
FIGURES = ["checkpoint_paths", "checkpoint_planes", "checkpoint_spectra", "accuracy_by_start"]


def _raw(folder: Path, **more: Any) -> dict[str, Any]:
    given = {"rewind": [0], "levels": 0, "orders": 1, "starts": ["a", "a | mask(half)"], "figures": FIGURES}
    asked = {"analyse": copy.deepcopy(ANALYSE), **more}
    return toys.raw_config(folder / "results", **{**given, **asked}) | toys.brought(folder, NETWORK)


def _make(made: nodes.Plan, *stages: str) -> Path:
    results, path = made.config.results, driver.write_plan(made, [])
    for node in made.nodes.values():
        if not stages or node.stage in stages:
            driver.run_node(node.stage, results / node.folder, path)
    return results


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[nodes.Plan, Path]:
    """A small experiment on three checkpoints, made in this process; the checkpoint a is Lightning's."""
    folder = tmp_path_factory.mktemp("own")
    raw = _raw(folder)
    inside = {f"model.{name}": tensor for name, tensor in load_file(folder / "a.safetensors").items()}
    torch.save({"state_dict": inside, "epoch": 3, "lr_schedulers": [{"last": 1}]}, folder / "a.ckpt")
    raw["checkpoints"]["a"]["file"] = str(folder / "a.ckpt")
    made = toys.make_plan(raw)
    _make(made)
    return made, folder


def _table(done: tuple[nodes.Plan, Path], name: str) -> Any:
    made, _ = done
    return tabulation.read(made.config.results / made.tables["tiny"][name].folder / "table.parquet")


def _errors(tensors: list[dict[str, torch.Tensor]], weights: list[float]) -> float:
    """Mix state dicts, and count the test images that plain torch then puts in a wrong class."""
    from pipeline_lib.datasets.digits import digits

    data = digits(None)
    mean, std = (torch.tensor(each)[None, :, None, None] for each in (data.mean, data.std))
    mixed = {name: sum(w * each[name] for w, each in zip(weights, tensors, strict=True)) for name in tensors[0]}
    network = mlp((1, 8, 8), 10, widths=[2])
    network.load_state_dict(mixed)  # type: ignore[arg-type]
    assert isinstance(data.test.x, torch.Tensor)
    with torch.no_grad():
        said = network.eval()((data.test.x / 255 - mean) / std).argmax(1)
    return float((said != data.test.y).double().mean())


def test_errors_at_lines_and_corners_are_those_of_plain_torch(done):
    files = [load_file(done[1] / f"{name}.safetensors") for name in "abc"]
    line = _table(done, "checkpoint_paths")
    line = line[line["split"] == "test"].set_index("alpha")
    assert set(line["checkpoint_1"] + line["checkpoint_2"]) == {"ab"}
    assert {alpha: pytest.approx(_errors(files[:2], [alpha, 1 - alpha]), abs=1e-3) for alpha in (0.0, 0.5, 1.0)} == dict(
        line["error"]
    )
    corners = _table(done, "corners").set_index("state")["test_error"]
    assert {name: pytest.approx(_errors([file], [1.0]), abs=1e-9) for name, file in zip("abc", files, strict=True)} == dict(
        corners
    )
    points = _table(done, "triangles")
    assert len(points) == 9
    at_a = points[(points["x"] == 0) & (points["y"] == 0)]["test_error"]
    assert at_a.tolist() == [corners["a"]]


def test_distances_are_those_of_the_files(done):
    first, other = (load_file(done[1] / f"{name}.safetensors") for name in "ab")
    apart = torch.sqrt(sum(((first[name] - other[name]).double() ** 2).sum() for name in first))  # type: ignore[arg-type]
    assert _table(done, "checkpoint_barriers")["l2_params"].tolist() == [pytest.approx(float(apart), rel=1e-6)] * 2


def test_spectra_have_the_trace_of_the_exact_hessian(done):
    found = _table(done, "checkpoint_curvature").iloc[0]
    assert (found["checkpoint"], found["dimension"]) == ("b", 148)
    nodes_of_b = _table(done, "checkpoint_spectra")
    assert set(nodes_of_b["checkpoint"]) == {"b"}
    assert nodes_of_b["weight"].sum() == pytest.approx(1)
    # One probe: its quadrature gives the probe's own quotient.
    assert found["trace"] == pytest.approx(148 * float((nodes_of_b["node"] * nodes_of_b["weight"]).sum()), rel=1e-6)
    assert found["top"] == pytest.approx(nodes_of_b["node"].max(), rel=1e-3)


def test_runs_begin_with_the_checkpoint_at_its_step_and_keep_the_mask(done):
    made, folder = done
    runs = _table(done, "runs").set_index(["start", "seed"])
    assert set(runs.index.get_level_values(0)) == {"k0", "a", "a | mask(half)"}
    keep = load_file(folder / "half.safetensors")[MASKED].numpy().astype(bool)
    for seed in (0, 1):
        row = runs.loc["a | mask(half)", seed]
        assert (row["start_step"], row["steps"], row["mask"]) == (2, 6, "half")
        assert row["num_kept"] == keep.sum() + 20
        where = made.config.results / next(n.folder for n in made.nodes.values() if n.key == row["key"])
        (state,), _ = artifacts.read_states(where / "state.safetensors")
        assert np.array_equal(state.params[MASKED].numpy() != 0, keep)
        assert runs.loc["a", seed]["num_kept"] == 148
    started = {node.key: node for node in made.nodes.values()}
    (parent,) = started[runs.loc["a", 0]["key"]].parents["start"]
    (state,), head = artifacts.read_states(made.config.results / started[parent].folder / "state.safetensors")
    assert head["step"] == 2
    assert toys.same(dict(sorted(state.params.items())), dict(sorted(load_file(folder / "a.safetensors").items())))


def test_a_table_says_how_good_each_checkpoint_is(done):
    brought = _table(done, "brought")
    assert set(brought["checkpoint"]) == set("abc")
    assert set(brought["step"]) == {2}
    assert set(brought["key"]) >= set(_table(done, "checkpoint_paths")["key"]) | set(_table(done, "corners")["key"])


def _keys(raw: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in toys.make_plan(raw).nodes.values():
        found.setdefault(node.stage, set()).add(node.key)
    return found


def test_keys_follow_the_bytes_of_files_and_not_their_places(tmp_path):
    raw = _raw(tmp_path)
    before = _keys(raw)
    (tmp_path / "elsewhere.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes())
    raw["checkpoints"]["c"]["file"] = str(tmp_path / "elsewhere.safetensors")
    assert _keys(raw) == before
    save_file(load_file(tmp_path / "b.safetensors"), tmp_path / "elsewhere.safetensors")
    after = _keys(raw)
    assert {stage for stage in before if before[stage] != after[stage]} >= {"bring", "triangle"}
    assert all(before[stage] == after[stage] for stage in ("prepare", "pretrain", "train", "connect", "hessian", "bring_mask"))


def test_files_lie_beside_the_config_that_lists_them(tmp_path):
    raw = _raw(tmp_path)
    raw["checkpoints"]["a"]["file"], raw["masks"]["half"]["file"] = "a.safetensors", "./half.safetensors"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    made = driver.load([tmp_path / "config.yaml"])
    assert {Path(path).parent for path in made.config.brought.values()} == {tmp_path}


def test_a_file_that_changes_during_a_run_is_refused(tmp_path):
    made = toys.make_plan(_raw(tmp_path))
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"checkpoint .*b.safetensors must stay as it was planned .* got other bytes; start"):
        _make(made, "prepare", "bring")


class _Code:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("raise SystemExit('it ran')",)


def _with(name: str, content: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        save = torch.save if not isinstance(content, dict) or "code" in content else save_file
        save(content, folder / f"{name}.safetensors")

    return write


def _as_torch(raw: dict[str, Any], folder: Path) -> None:
    torch.save({"code": _Code()}, folder / "b.pt")
    raw["checkpoints"]["b"]["file"] = str(folder / "b.pt")


def _state(**changes: Any) -> dict[str, Any]:
    state = {name: tensor.clone() for name, tensor in NETWORK.state_dict().items()}
    return {name: tensor for name, tensor in (state | changes).items() if tensor is not None}


REFUSED: dict[str, tuple[Any, str]] = {
    "pickle with code": (_as_torch, r"checkpoint .*b.pt must be a state dict, .* got: more than tensors"),
    "shapes": (
        _with("b", _state(**{MASKED: torch.ones(3, 64), "body.fc2.weight": torch.ones(10, 3)})),
        r"must fit the network, got body.fc2.weight of \(10, 3\) for \(10, 2\) and stem.fc1.weight of \(3, 64\) for \(2, 64\)",
    ),
    "names": (
        _with("b", _state(**{MASKED: None, "head.bias": torch.ones(1)})),
        "must fit the network, got no stem.fc1.weight and head.bias, which it lacks; build it as it was trained",
    ),
    "values": (
        _with("b", _state(**{MASKED: torch.full((2, 64), float("nan"))})),
        r"checkpoint .* must be finite, got another value in stem.fc1.weight; take an earlier one",
    ),
    "mask that keeps nothing": (
        _with("half", {MASKED: torch.zeros(2, 64), "body.fc2.weight": torch.zeros(10, 2)}),
        "mask .*half.safetensors must keep a weight, got none; true, or 1, is what is kept",
    ),
    "mask of another shape": (
        _with("half", {MASKED: torch.ones(2, 4), "body.fc2.bias": torch.ones(10)}),
        r"got body.fc2.bias, which is none of its prunable weights and stem.fc1.weight of \(2, 4\) for \(2, 64\); name each",
    ),
    "mask of other values": (
        _with("half", {MASKED: torch.full((2, 64), 0.5)}),
        "mask .* must be true or false, 1 or 0, got another value in stem.fc1.weight",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_does_not_fit_is_refused_by_its_job(tmp_path, what):
    write, words = REFUSED[what]
    raw = _raw(tmp_path)
    write(raw, tmp_path) if write is _as_torch else write(tmp_path)
    made = toys.make_plan(raw)
    with pytest.raises(ValueError, match=words):
        _make(made, "prepare", "bring", "bring_mask")


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for name in way:
            raw = raw[name]
        raw[last] = value

    return change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no file": (_set("checkpoints.a.file", "nowhere.pt"), "checkpoint .*nowhere.pt must exist, got no such file; check its path"),
    "no mask's file": (_set("masks.half.file", "nowhere.pt"), "mask .*nowhere.pt must exist, got no such file; check its path"),
    "task": (_set("checkpoints.a.of", "toi"), "checkpoints.a.of must be one of .*, got 'toi'; did you mean 'toy'"),
    "no task": (_set("checkpoints.a", {"file": "a.pt"}), "of"),
    "name": (_set("checkpoints.k5", {"file": "a.pt", "of": "toy"}), "k5"),
    "checkpoint": (
        _set("experiments.tiny.analyse.paths", [["a", "d"]]),
        "experiments.tiny.analyse.paths must be one of a, b, c, got 'd'",
    ),
    "twice": (
        _set("experiments.tiny.analyse.planes", [["a", "b", "a"]]),
        "experiments.tiny.analyse.planes must be of different checkpoints, got a, b, a; change one",
    ),
    "two of three": (_set("experiments.tiny.analyse.planes", [["a", "b"]]), "planes"),
    "start": (
        _set("experiments.tiny.starts", ["d"]),
        "must begin with a rewind step such as k500, or a checkpoint of toy: a, b, c",
    ),
    "mask": (_set("experiments.tiny.starts", ["a | mask(haf)"]), "must be one of half, got 'haf'; did you mean 'half'"),
    "two masks": (_set("experiments.tiny.starts", ["a | mask | mask(half)"]), "must have at most one mask"),
    "ladder": (
        _set("experiments.tiny.starts", ["a | mask(half) | lr_rewinding"]),
        r"must have a ladder's mask for lr_rewinding, got 'a \| mask\(half\) \| lr_rewinding'; leave one of them out",
    ),
    "end": (_set("checkpoints.a.step", 6), "must begin below toy's 6 steps, got a at step 6; give its step"),
    "ladders beside": (
        _set("experiments.tiny.curvature", {}),
        "analyse must be in an experiment without curvature, got both; divide it into two experiments",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_config_that_brings_what_cannot_be_is_refused(tmp_path, what):
    change, words = WRONG[what]
    raw = _raw(tmp_path)
    change(raw)
    with pytest.raises(ValueError, match=words) as refused:
        toys.make_plan(raw)
    assert re.search(r"; \w", str(refused.value)), "it says what to do"


@pytest.mark.parametrize(
    ("text", "canonical", "step"),
    [
        ("a", "a", 2),
        ("a|mask( half )", "a | mask(half)", 2),
        ("a | noise(1) | mask(half)", "a | noise(1) | mask(half)", 2),
        ("k3 | mask(half) | noise(1)", "k3 | mask(half) | noise(1)", 3),
        ("a | rotation until 5 | mask(half)", "a | rotation(false) until 5 | mask(half)", 5),
    ],
)
def test_starts_have_one_wording_and_read_back_as_they_are(text, canonical, step):
    from pipeline_lib.experiments import starts
    from pipeline_lib.experiments.brought import Brought, Own

    own, task = Own((Brought("a", "0", 2),), (Brought("half", "1"),)), toys.task(name="toy")
    task |= {"dataset": {"num_train": 100}}
    found = starts.parse(text, task, own=own)
    assert (found.text, found.step()) == (canonical, step)
    assert starts.parse(canonical, task, own=own) == found
    assert found.change.endswith(canonical.removeprefix("k3 | "))
