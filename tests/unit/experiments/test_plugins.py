"""Files outside of the package: their functions are named in configs, enter keys, and are refused by file and name."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import every_stage
import pytest
import toys
import yaml

import pipeline_lib
from pipeline_lib.core import registry, sources
from pipeline_lib.experiments import config_files
from pipeline_lib.planning import driver, footprint, nodes, plan
from pipeline_lib.store import artifacts

ROOT = Path(__file__).parents[3]
NETS = """
from collections import OrderedDict

from torch import nn

from pipeline_lib.core.values import Count

KIND = "networks"


def _head(width, num_classes):
    return nn.Sequential(OrderedDict(relu=nn.ReLU(), fc2=nn.Linear(width, num_classes)))


def narrow(input_shape, num_classes, width: Count = 3):
    stem = nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], width))
    return nn.Sequential(OrderedDict(stem=stem, body=_head(width, num_classes)))
"""
CRITERIA = """
import numpy as np

KIND = "criteria"


def smallest(weights):
    return {name: -np.abs(w) for name, w in weights.items()}
"""
TASK = {**toys.task(), "network": {"name": "narrow"}}


@pytest.fixture(autouse=True)
def _without() -> Iterator[None]:
    yield
    registry.plug([])


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for name, text in (("nets.py", NETS), ("criteria.py", CRITERIA)):
        (tmp_path / "my_lab").mkdir(exist_ok=True)
        (tmp_path / "my_lab" / name).write_text(text)
    raw = toys.raw_config(
        tmp_path / "results", seeds=1, rewind=[2], levels=1, pruning={"criterion": "smallest"}, figures=["accuracy_by_density"]
    )
    raw |= {"tasks": {"toy": TASK}, "plugins": ["my_lab/nets.py", "my_lab/criteria.py"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path


def _plan(lab: Path) -> nodes.Plan:
    return plan.make_plan(config_files.read([lab / "config.yaml"]))


def _keys(lab: Path) -> dict[str, str]:
    return {f"{node.stage} {node.label}": node.key for node in _plan(lab).nodes.values()}


def test_a_plugins_network_and_criterion_go_from_config_to_table(lab, monkeypatch):
    monkeypatch.chdir(lab.parent)  # paths are relative to the config file
    made = _plan(lab)
    every_stage.make(made, without=("plot",))
    solution = next(node for node in made.nodes.values() if node.stage == "train" and node.spec["level"] == 1)
    (state,), head = artifacts.read_states(made.config.results / solution.folder / "state.safetensors")
    assert state.params["stem.1.weight"].shape == (3, 64)
    assert 0 < head["density"][0] < 1
    registry.plug([])
    found = pipeline_lib.results(made.config.results, plugins=[str(lab / "my_lab/nets.py")])
    assert toys.same(found.state({"key": solution.key, "seed": 0}).params, state.params)
    assert found.network({"key": solution.key, "seed": 0})[0][1].out_features == 3


def test_a_job_of_its_own_process_knows_them(lab):
    made = _plan(lab)
    path = driver.write_plan(made, [lab / "config.yaml"])
    wanted = [next(node for node in made.nodes.values() if node.stage == stage) for stage in ("prepare", "pretrain")]
    for node in wanted:
        words = [sys.executable, "-m", "pipeline_lib", node.stage, str(made.config.results / node.folder), "--plan", str(path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PIPELINE_WORKER": ""}
        done = subprocess.run(words, capture_output=True, text=True, cwd=lab.parent, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    (lab / "my_lab" / "nets.py").write_text(NETS.replace("nn.ReLU", "nn.Tanh"))
    done = subprocess.run(words, capture_output=True, text=True, cwd=lab.parent, env=environment, check=False)
    assert "code of stage pretrain must stay as it was planned during a run, got an edit" in done.stderr


def test_their_definitions_are_in_keys_and_their_words_are_not(lab):
    before = _keys(lab)
    file = lab / "my_lab" / "nets.py"
    file.write_text(f"# mine\n{NETS}\n\ndef _other():\n    return 1\n")
    assert _keys(lab) == before
    file.write_text(NETS.replace("nn.ReLU", "nn.Tanh"))
    changed = {name.partition(" ")[0] for name, key in _keys(lab).items() if before[name] != key}
    assert {"pretrain", "train"} <= changed
    assert "prepare" not in changed
    file.write_text(NETS)
    assert _keys(lab) == before
    (lab / "my_lab" / "criteria.py").write_text(CRITERIA.replace("-np.abs(w)", "np.abs(w)"))
    after = _keys(lab)
    assert {name.partition(" ")[0] for name, key in after.items() if before[name] != key} >= {"prune", "rewind"}
    assert all(after[name] == key for name, key in before.items() if name.startswith(("pretrain", "prepare")))


def test_other_tasks_keep_their_keys(lab):
    plain = {f"{n.stage} {n.label}": n.key for n in toys.make_plan(toys.raw_config()).nodes.values()}
    raw = toys.raw_config() | {"plugins": [str(lab / "my_lab" / "nets.py")]}
    assert {f"{n.stage} {n.label}": n.key for n in toys.make_plan(raw).nodes.values()} == plain


def test_one_plugin_may_use_another(lab):
    (lab / "my_lab" / "wider.py").write_text(
        'from pipeline_lib.plugins.nets import narrow\n\nKIND = "networks"\n\n\n'
        "def wider(input_shape, num_classes):\n    return narrow(input_shape, num_classes, 7)\n"
    )
    raw = toys.raw_config() | {"tasks": {"toy": {**TASK, "network": {"name": "wider"}}}}
    raw["plugins"] = [str(lab / "my_lab" / name) for name in ("nets.py", "wider.py")]
    before = {node.label: node.key for node in toys.make_plan(raw).nodes.values() if node.stage == "pretrain"}
    assert registry.call("networks", {"name": "wider"}, input_shape=(1, 8, 8), num_classes=3)[0][1].out_features == 7
    (lab / "my_lab" / "nets.py").write_text(NETS.replace("nn.ReLU", "nn.Tanh"))
    after = {node.label: node.key for node in toys.make_plan(raw).nodes.values() if node.stage == "pretrain"}
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_plugins_of_all_files_are_known_to_all(lab):
    other = toys.raw_config(lab / "results")
    other["experiments"] = {"plain": other["experiments"]["tiny"] | {"tasks": ["digits_mlp"], "rewind": [0]}}
    (lab / "other.yaml").write_text(yaml.safe_dump(other | {"tasks": {}}))
    both = config_files.read([lab / "other.yaml", lab / "config.yaml"])
    assert both.plugins == tuple(str(lab / "my_lab" / name) for name in ("nets.py", "criteria.py"))
    assert set(both.experiments) == {"plain", "tiny"}


REFUSED = {
    "gone": ("nets.py", None, r"plugin .*/nets.py must be readable, got: No such file or directory; check its path"),
    "name": ("my-nets.py", NETS, r"plugin .*/my-nets.py must be a module such as nets.py, got another name; rename it"),
    "syntax": ("nets.py", "def :", r"module .*/bad/nets.py must be Python, got: invalid syntax .*; mend it"),
    "bytes": ("nets.py", b"\xff\xfe", r"module .*/bad/nets.py must be text, got: .*; mend or remove it"),
    "no kind": ("nets.py", "def a():\n    pass\n", r"plugin .*/nets.py must say KIND = one of networks, .*, got None; write it"),
    "kind": ("nets.py", 'KIND = "stages"\n', r"plugin .*/nets.py must say KIND = one of networks, .*, got 'stages'; write it"),
    "empty": ("nets.py", 'KIND = "networks"\n', r"plugin .*/nets.py must have a public function, got none; one is a name"),
    "clash": (
        "nets.py", 'KIND = "networks"\n\n\ndef mlp(input_shape, num_classes):\n    pass\n',
        r"function mlp of networks must be defined once, got two in .*/bad/nets.py and pipeline_lib.networks.mlp; rename one",
    ),
    "helper": (
        "nets.py", f"from my_helpers import thing\n{NETS}",
        r"plugin .*/nets.py must import installed packages and pipeline_lib alone, got my_helpers; list that file under plugins",
    ),
    "expression": (
        "nets.py", NETS.replace("width: Count = 3", "width: Count = 3 * 8"),
        r"defaults of narrow in pipeline_lib.plugins.nets must be written out, .*, got 3 \* 8; write values",
    ),
    "stars": (
        "nets.py", NETS.replace("width: Count = 3", "**options"),
        r"arguments of narrow in pipeline_lib.plugins.nets must be plain ones, .*, got \*, \*\* or /; write each out",
    ),
    "relative": ("nets.py", f"from . import thing\n{NETS}", r"plugin .*/nets.py must import installed packages .*, got \.; list"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_by_file_and_name(name, tmp_path):
    file, text, message = REFUSED[name]
    (tmp_path / "bad").mkdir()
    if text is not None:
        (tmp_path / "bad" / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        toys.make_plan(toys.raw_config() | {"plugins": [str(tmp_path / "bad" / file)]})
    registry.plug([])
    assert sources.plugged() == {}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("return None", "AttributeError: 'NoneType' object has no attribute 'parameters'"),
        ("raise KeyError('width')", "KeyError: 'width'"),
        ("return nn.Flatten()", "none whose weights can be pruned"),
    ],
)
def test_a_network_that_cannot_be_meant_is_refused_by_what_is_planned(lab, line, found):
    path = lab / "my_lab" / "nets.py"
    path.write_text(path.read_text().replace("    stem = ", f"    {line}\n    stem = "))
    made = _plan(lab)
    rule = r"function narrow of pipeline_lib.plugins.nets must give a network for examples of \(1, 8, 8\) and 10 classes"
    with pytest.raises(ValueError, match=f"{rule}, got {found}; mend it"):
        footprint.of(made, made.nodes.values(), footprint.size)


def test_symmetries_take_what_their_network_takes(lab):
    """Else the job would fail, once all is trained."""
    raw = yaml.safe_load((lab / "config.yaml").read_text())
    raw["plugins"] = [*raw["plugins"], "my_lab/groups.py"]
    raw["experiments"]["tiny"] |= {"orders": 2, "align": {}, "figures": ["instability_aligned"]}
    (lab / "config.yaml").write_text(yaml.safe_dump(raw))
    text = 'KIND = "symmetries"\n\n\ndef narrow(input_shape, num_classes):\n    return {}\n'
    (lab / "my_lab/groups.py").write_text(text)
    asked = "of narrow must take the arguments of the network, input_shape, num_classes, width, got input_shape, num_classes;"
    with pytest.raises(ValueError, match=asked):
        _plan(lab)
    (lab / "my_lab/groups.py").write_text(text.replace("num_classes)", "num_classes, width=3)"))
    assert [node for node in _plan(lab).nodes.values() if node.stage == "align"]


def test_two_of_one_name_and_lists_that_are_none_are_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nets.py").write_text(NETS)
    files = [str(tmp_path / folder / "nets.py") for folder in ("one", "two")]
    with pytest.raises(ValueError, match=r"plugins must have different names, got .*one/nets.py and .*two/nets.py; rename one"):
        toys.make_plan(toys.raw_config() | {"plugins": files})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(toys.raw_config() | {"plugins": "one/nets.py"}))
    with pytest.raises(ValueError, match=r"plugins must be a list"):
        config_files.read([tmp_path / "config.yaml"])


def test_what_is_no_longer_plugged_is_no_module(lab):
    config_files.read([lab / "config.yaml"])
    importlib.import_module("pipeline_lib.plugins.nets")
    registry.plug([])
    assert [name for name in sys.modules if name.startswith("pipeline_lib.plugins")] == []
