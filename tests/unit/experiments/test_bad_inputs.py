"""Configs with a wrong value, as a user would write them: `plan` ends with one line, exit code 1 and no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toys
import yaml

from pipeline_lib import __main__ as cli
from pipeline_lib.experiments import config, config_files, validation
from pipeline_lib.experiments.settings import schema

TASK = """
network: {name: mlp, widths: [2]}
dataset: {name: digits}
optimiser: {name: sgd, lr: 0.1, momentum: 0.9}
batch_size: 32
steps: 6
"""
CONFIG = "experiments: {tiny: {tasks: [toy], seeds: 1, orders: 1, rewind: [0, 2], levels: 1, figures: [sign_changes]}}\n"

# What stands in the task's file instead of one of its lines, and what the message must say.
IN_TASKS: dict[str, tuple[str, ...]] = {
    "optimiser: {name: sgd, lr: fast}": ("lr of toy.optimiser sgd", "got 'fast'"),
    "optimiser: {name: sgd, lr: null}": ("lr of toy.optimiser sgd", "got None"),
    "optimiser: {name: sgd, lr: [0.1]}": ("lr of toy.optimiser sgd", "got [0.1]"),
    "optimiser: {name: sgd, lr: -0.1}": ("lr of toy.optimiser sgd", "got -0.1"),
    "optimiser: {name: sgd, lr: 0}": ("lr of toy.optimiser sgd", "got 0;"),
    "optimiser: {name: sgd, lr: .nan}": ("tasks.toy.optimiser.lr", "finite", "got nan"),
    "optimiser: {name: sgd, lr: .inf}": ("tasks.toy.optimiser.lr", "finite", "got inf"),
    "optimiser: {name: sgd, lr: 0.1, momentum: yes}": ("momentum of toy.optimiser sgd", "got True"),
    "optimiser: {name: sgd, lr: 0.1, momentum: 1}": ("momentum of toy.optimiser sgd", "in [0, 1)", "got 1"),
    "optimiser: {name: sgd, lr: 0.1, nesterov: true}": ("momentum of toy.optimiser", "nesterov"),
    "optimiser: {name: sgd, lr: 0.1, nesterov: 1}": ("nesterov of toy.optimiser sgd", "true or false", "got 1"),
    "optimiser: {name: 3, lr: 0.1}": ("tasks.toy.optimiser.name", "text", "got 3"),
    "optimiser: sgd": ("tasks.toy.optimiser", "a mapping", "got 'sgd'"),
    "dataset: {name: digits, num_train: all}": ("num_train of toy.dataset digits", "got 'all'"),
    "dataset: {name: digits, num_train: 1441}": ("num_train of toy.dataset digits", "[1, 1440]", "got 1441"),
    "dataset: {name: image_folder, num_train: 9, num_classes: 2, folder: 2012}": ("folder of", "text", "2012", "quotation marks"),
    "dataset: {name: image_folder, num_train: 9, num_classes: 2, folder: ..}": ("folder of", "name of one folder", "got '..'"),
    "dataset: {name: image_folder, num_train: 99, num_classes: 2, size: 300}": ("resize of toy.dataset", "at least size = 300"),
    "dataset: {name: image_folder, num_train: 99, num_classes: 2}\npad: 4": ("pad of task toy", "got 4"),
    "network: {name: mlp, widths: [0]}": ("widths.0 of toy.network mlp", "got 0"),
    "network: {name: mlp, widths: 300}": ("widths of toy.network mlp", "a list", "got 300"),
    "network: {name: mlp, widths: 2ep}": ("widths of toy.network mlp", "a list", "got '2ep'"),
    "batch_size: 1441": ("batch_size", "num_train = 1440", "got 1441"),
    "batch_size: 64.0": ("tasks.toy.batch_size", "a whole number", "got 64.0"),
    "schedule: {name: step_drops, drops: 20}": ("drops of toy.schedule step_drops", "a list", "got 20"),
    "schedule: {name: step_drops, drops: [soon]}": ("drops.0 of toy.schedule step_drops", "got 'soon'"),
    "schedule: {name: step_drops, drops: [4, 2]}": ("drops must be in ascending order", "toy.schedule"),
    "schedule: {name: step_drops, drops: [2], factor: 0}": ("factor of toy.schedule step_drops", "got 0"),
    "schedule: {name: step_drops, drops: [1, 1, 1], factor: 1.0e-300}": ("factor of toy.schedule", "finite"),
    "schedule: {name: constant, warmup: soon}": ("warmup of toy.schedule constant", "got 'soon'"),
    "schedule: {name: constant, warmup: -5}": ("warmup of toy.schedule constant", "got -5"),
    "schedule: {name: cosine_decay, length: 5, final: low}": ("final of toy.schedule cosine_decay", "got 'low'"),
    "steps: 6 epochs": ("tasks.toy.steps", "a length such as", "got '6 epochs'"),
    "steps: 0": ("steps of task toy", "at least 1"),
    "steps: 06": ("toy.yaml", "line 6: 06"),
    "steps: 1:30": ("toy.yaml", "line 6: 1:30", "90"),
    "steps: 1_0": ("toy.yaml", "line 6: 1_0"),
    "steps: 0b11": ("toy.yaml", "line 6: 0b11", "3"),
    "steps: 0x1f": ("toy.yaml", "line 6: 0x1f", "31"),
    "steps: 0o17": ("tasks.toy.steps", "a length such as", "got '0o17'"),
    "steps: 6\nsteps: 8": ("toy.yaml", "line 7: key 'steps' again", "line 6"),
}
# The same for keys of an experiment.
IN_EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "pruning: {fraction: .nan}": ("experiments.tiny.pruning.fraction", "finite", "got nan"),
    "planes: {margin: .inf}": ("experiments.tiny.planes.margin", "finite", "got inf"),
    "lemma: {epsilon: 1.0e+300}": ("experiments.tiny.lemma.epsilon", "finite"),
    "lemma: {distances: [0.5, .nan]}": ("experiments.tiny.lemma.distances.1", "finite"),
    "pruning: {densities: ['0.5']}": ("experiments.tiny.pruning.densities.0", "a number", "got '0.5'"),
    "starts: [k0 | noise(nan)]": ("sigma of", "got 'nan'"),
    "starts: [k0 | noise(-1)]": ("sigma of", "got '-1'"),
    "starts: [k0 | noise(true)]": ("sigma of", "got 'true'"),
    "starts: [k0 | mask | prune(nan)]": ("must prune a fraction in (0, 1)", "prune(nan)"),
    "starts: [k0 | blur(1.5) for 2]": ("factor of", "a whole number", "got '1.5'"),
    "starts: [k0 | noise(1), k0 | noise(1.0)]": ("experiments.tiny.starts", "without repetitions", "noise(1.0)"),
    "retraining: [fine_tuning(-1)]": ("factor of", "got '-1'"),
    "retraining: [fine_tuning, fine_tuning(0.01)]": ("experiments.tiny.retraining", "without repetitions"),
    "adaptive: {rule: adaptive(1)}": ("examples of", "got '1'"),
    "rewind: [1, 1]": ("experiments.tiny.rewind", "without repetitions", "got 1 more than once"),
    "rewind: [1, 1it]": ("experiments.tiny.rewind", "without repetitions", "got 1 and 1it"),
    "perturbed: [0, 0ep]": ("experiments.tiny.perturbed", "without repetitions", "got 0 and 0ep"),
    "curvature: {steps: [1, 1it]}": ("experiments.tiny.curvature.steps", "without repetitions"),
    "throughout: {rewind: [0, 0it]}": ("experiments.tiny.throughout.rewind", "without repetitions"),
    "pretraining: {durations: [2, 2it]}": ("experiments.tiny.pretraining.durations", "without repetitions"),
    "pretraining: {pretexts: [blur, blur(4)], durations: [2]}": ("experiments.tiny.pretraining.pretexts", "without repetitions"),
    "telemetry: {evaluate_every: 0}": ("experiments.tiny.telemetry.evaluate_every", "at least one step"),
    "seeds: many": ("experiments.tiny.seeds", "a whole number, or a list of whole numbers", "got 'many'"),
    "tasks: toy": ("experiments.tiny.tasks", "a list of names, or a mapping", "got 'toy'"),
    "rewind: [1.5]": ("experiments.tiny.rewind.0", "a length such as", "got 1.5"),
    "alphas: 100000000": ("experiments.tiny.alphas", "at most 10000"),
    "levels: 2\nlevels: 3": ("config.yaml", "key 'levels' again"),
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder of tasks and a config file; what a test writes there is planned."""
    monkeypatch.setattr(config, "TASKS", tmp_path)
    (tmp_path / "toy.yaml").write_text(TASK)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def _refused(path: Path, capsys: Any, *more: str) -> str:
    assert cli.main(["plan", str(path), *more]) == 1
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    assert line.startswith("error: ") and " must " in line and "got" in line and len(line) < 600
    return str(line)


@pytest.mark.parametrize("line", IN_TASKS)
def test_a_wrong_value_of_a_task(checkout, capsys, line):
    key = line.partition(":")[0]
    kept = [each for each in TASK.splitlines() if each.partition(":")[0] != key]
    (checkout / "toy.yaml").write_text("\n".join([*kept, line, ""]))
    said = _refused(checkout / "config.yaml", capsys)
    assert [each for each in IN_TASKS[line] if each not in said] == [], said


@pytest.mark.parametrize("line", IN_EXPERIMENTS)
def test_a_wrong_value_of_an_experiment(checkout, capsys, line):
    given = yaml.safe_load(CONFIG)["experiments"]["tiny"]
    given.pop(line.partition(":")[0], None)
    text = yaml.safe_dump({"experiments": {"tiny": given}}, default_flow_style=False)
    (checkout / "config.yaml").write_text(text + "".join(f"    {each}\n" for each in line.splitlines()))
    said = _refused(checkout / "config.yaml", capsys)
    assert [each for each in IN_EXPERIMENTS[line] if each not in said] == [], said


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x" * 5000, "config file must be a file that may be read, got xxx"),
        (".", "config file must be a file that may be read, got .: Is a directory; check its path"),
        ("config.yaml/x", "config file must be a file that may be read, got config.yaml/x: Not a directory; check its path"),
    ],
)
def test_a_path_that_is_no_file(checkout, capsys, monkeypatch, path, message):
    monkeypatch.chdir(checkout)
    assert message in _refused(Path(path), capsys)


def test_a_path_that_no_command_line_could_have():
    with pytest.raises(ValueError, match="must be YAML, got: embedded null byte"):
        config_files.read([Path("a\0b")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, d: 2,\n c: 3}\n", "line 3: key 'c' again, first in line 2"),
        ("a: 010", "line 1: 010, which YAML reads as 8; write digits or quotation marks"),
        ("a:\n- 1\n- 190:20:30\n", "line 3: 190:20:30, which YAML reads as 685230"),
        ("a: 1_000.5", "line 1: 1_000.5, which YAML reads as 1000.5"),
        ("a: 1\n'a': 2\n", "line 2: key 'a' again, first in line 1"),
        ("a: [1\nb: 2", "line 2: "),
    ],
)
def test_yaml_that_says_something_else_than_it_seems_to_is_refused(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="must be YAML, got") as caught:
        validation.read_yaml(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_name_of_a_task_that_is_too_long_for_a_file(capsys, checkout):
    text = yaml.safe_dump({"experiments": {"tiny": {"tasks": ["a" * 300]}}, "tasks": {"a" * 300: {"base": "toy"}}})
    (checkout / "config.yaml").write_text(text)
    assert "tasks must be text of at most 80 characters, got 'aaa" in _refused(checkout / "config.yaml", capsys)


def test_a_task_of_the_config_that_lacks_a_key_is_mended_in_the_config(checkout, capsys):
    text = {"experiments": {"tiny": {"tasks": ["mine"]}}, "tasks": {"mine": {"network": {"name": "mlp"}}}}
    (checkout / "config.yaml").write_text(yaml.safe_dump(text))
    said = _refused(checkout / "config.yaml", capsys)
    assert said == "error: task mine must have 'dataset', got none; add it to tasks.mine, or name a base there"


def test_what_holds_itself_is_refused(checkout, capsys):
    (checkout / "config.yaml").write_text("experiments: &a {tiny: *a}\n")
    assert "must end somewhere" in _refused(checkout / "config.yaml", capsys)


def test_anchors_may_live_under_keys_of_their_own(checkout):
    text = "x-common: &common {seeds: 1, seeds_of: .nan}\nx-grid: &grid {rewind: [0, 2], levels: 1}\n"
    path = checkout / "config.yaml"
    path.write_text(text + "experiments: {a: {<<: *grid, tasks: [toy], levels: 2}, b: {<<: *grid, tasks: [toy]}}\n")
    (checkout / "toy.yaml").write_text("x-rates: [&low 0.01, &high 0.1]\n" + TASK.replace("lr: 0.1", "lr: *low"))
    found = config.resolve(validation.read_yaml(path))
    assert [e.grids["toy"].levels for e in found.experiments.values()] == [2, 1]
    assert found.experiments["a"].grids["toy"].task["optimiser"]["lr"] == 0.01
    assert config.resolve({"x-anything": [1], **validation.read_yaml(path)}) == found


@pytest.mark.parametrize("lr", ["1e-1", "0.1", "'0.1'", ".1", "1.0e-1"])
def test_a_number_is_one_number_however_it_is_written(checkout, lr):
    before = config.load_task("toy")
    (checkout / "toy.yaml").write_text(TASK.replace("lr: 0.1", f"lr: {lr}"))
    assert config.load_task("toy") == before
    assert repr(config.load_task("toy", {"toy": {"optimiser": {"lr": "1e-1"}}})) == repr(before)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"planes": {"margin": 1}}, {"planes": {"margin": 1.0}}),
        ({"lemma": {"distances": [1, 2], "epsilon": 1}}, {"lemma": {"distances": [1.0, 2.0], "epsilon": 1.0}}),
        ({"starts": ["k0 | noise(1)"]}, {"starts": ["k0 | noise(1.0)"]}),
    ],
)
def test_whole_numbers_and_fractions_that_are_equal_make_one_config(first, second):
    assert repr(config.resolve(toys.raw_config(**first))) == repr(config.resolve(toys.raw_config(**second)))


def test_a_name_that_looks_like_a_number_stays_text():
    folder = {"name": "image_folder", "num_train": 100, "num_classes": 2, "folder": "2012"}
    raw = toys.raw_config() | {"tasks": {"toy": toys.task(dataset=folder, optimiser={"name": "sgd", "lr": "1e-1"})}}
    for given in (raw, config.typed(raw)):
        task = config.resolve(given).experiments["tiny"].grids["toy"].task
        assert (task["dataset"]["folder"], task["optimiser"]["lr"]) == ("2012", 0.1)


def test_a_start_keeps_every_digit_of_its_numbers():
    e = config.resolve(toys.raw_config(starts=["k0 | noise(0.12345678)", "k0 | noise(0.12345679)"])).experiments["tiny"]
    assert e.grids["toy"].starts == ("k0 | noise(0.12345678)", "k0 | noise(0.12345679)")


def _leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], set[str]]]:
    """List the places of a schema where a scalar may stand, items of lists included, with the types that it may have."""
    alternatives = validation._alternatives(schema)
    types = {each["type"] for each in alternatives if isinstance(each.get("type"), str)} - {"array", "object"}
    found = [(path, types)] if types else []
    for each in alternatives:
        found += [leaf for key, inner in each.get("properties", {}).items() for leaf in _leaves(inner, (*path, key))]
        found += _leaves(each["items"], (*path, "0")) if "items" in each else []
    return found


NUMBERS = [leaf for leaf in _leaves(schema.schema()["$defs"]["experiment"]) if leaf[1] & {"integer", "number"}]


@pytest.mark.parametrize(("path", "types"), NUMBERS, ids=[".".join(path) for path, _ in NUMBERS])
def test_a_wrong_number_of_an_experiment_is_refused_by_its_place(path, types):
    wrong = [float("nan"), float("inf"), -float("inf"), 10**400, 10**14, -1, -0.5, True, "fast", {"a": 1}]
    for value in [*wrong, *([] if "number" in types else [0.5])]:
        given: Any = value
        for key in reversed(path):
            given = [given] if key == "0" else {key: given}
        with pytest.raises(ValueError, match=rf"{path[0]}.* must .*, got ") as caught:
            config.resolve(toys.raw_config(**given))
        assert "\n" not in str(caught.value)
