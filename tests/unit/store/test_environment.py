from __future__ import annotations

import ast

import pytest
import toys

from pipeline_lib.experiments import config, config_files
from pipeline_lib.planning import declared, nodes
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.store import environment
from pipeline_lib.store.environment import Environment

HERE = Environment("a processor", {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "safetensors": "0.8.0"})
WORDS = "a processor, python 3.11.7, torch 2.13.0, numpy 2.4.6"


def test_words_say_what_decides_results():
    assert HERE.words() == WORDS
    assert HERE.words(with_processor=False) == WORDS.removeprefix("a processor, ")


def test_differences_are_named_one_by_one():
    other = Environment("another", HERE.versions | {"torch": "2.12.0", "safetensors": "0.1"})
    assert HERE.differences(HERE) == ""
    assert HERE.differences(other) == "torch 2.13.0 instead of torch 2.12.0 and a processor instead of another"
    assert HERE.differences(other, with_processor=False) == "torch 2.13.0 instead of torch 2.12.0"


CPUINFO = "processor\t: 0\nvendor_id\t: X\nmodel name\t: A  Processor (R) @ 2.60GHz\n\nprocessor\t: 1\nmodel name\t: Another\n"


def test_the_processor_has_its_makers_name(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_CPU", tmp_path / "cpuinfo")
    assert environment.processor()  # of another system, by what Python knows
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    assert environment.processor() == "A Processor (R) @ 2.60GHz"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "NVIDIA H200"),
        ({"PIPELINE_DEVICE": "cpu"}, "a processor"),
        ({"PIPELINE_DEVICE": "cuda"}, "NVIDIA H200"),
        ({"PIPELINE_DEVICE_NAME": "NVIDIA A100"}, "NVIDIA A100"),
    ],
)
def test_a_plan_names_the_device_without_torch(tmp_path, monkeypatch, variables, name):
    for variable in ("PIPELINE_DEVICE", "PIPELINE_DEVICE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(environment, "processor", lambda: "a processor")
    monkeypatch.setattr(environment, "_GPUS", tmp_path)
    if "PIPELINE_DEVICE_NAME" not in variables:
        (tmp_path / "0000:01").mkdir()
        (tmp_path / "0000:01" / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 18\n")
    assert environment.planned() == Environment(name, environment.versions())


def test_the_module_imports_no_torch_when_planning():
    tree = ast.parse((fingerprint.CODE.root / "store" / "environment.py").read_text(encoding="utf-8"))
    imported = [name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names]
    assert "torch" not in imported


def test_a_job_names_the_gpu_only_where_its_stage_computes_on_it(monkeypatch):
    import torch

    monkeypatch.delenv("PIPELINE_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert environment.current(True).processor == "NVIDIA H200"
    assert environment.current(False).processor == environment.processor()
    monkeypatch.setenv("PIPELINE_DEVICE", "cpu")
    assert environment.current(True).processor == environment.processor()


def test_a_package_that_is_not_there_has_no_version(monkeypatch):
    def missing(name: str) -> str:
        raise environment.PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", missing)
    assert environment.versions()["torch"] == "none"


def test_threads_are_said_where_they_are_several(monkeypatch):
    monkeypatch.setattr(environment, "threads", lambda: 2)
    found = environment.facts(HERE, "train", {"task": {"precision": "bf16"}}, "c0de", {"there": ["prepare"]})
    assert found == {
        "code": "c0de", "versions": HERE.versions, "processor": "a processor", "threads": 2, "number_format": "bf16",
        "made_in": {f"{WORDS}, 2 threads": ["train"], "there": ["prepare"]},
    }  # fmt: skip
    monkeypatch.setattr(environment, "threads", lambda: 1)
    assert environment.facts(HERE, "prune", {}, "c0de", {})["made_in"] == {WORDS: ["prune"]}


def test_what_is_made_of_several_things_was_made_where_they_were():
    made = environment.united([{"b": ["train"]}, {"a": ["prune", "train"]}, {"b": ["prepare"]}])
    assert made == {"a": ["prune", "train"], "b": ["prepare", "train"]}
    assert environment.summary(made) == "a; b"
    assert environment.summary({}) is None


def test_a_stage_in_two_places_is_a_mixture_and_two_stages_in_two_are_none():
    assert environment.mixed({"gpu": ["train"], "cpu": ["prune", "tabulate"]}) == {}
    assert environment.mixed({"b": ["prune", "train"], "a": ["train"]}) == {"train": ["a", "b"]}


def _keys(**more: object) -> dict[str, set[str]]:
    made = toys.make_plan(toys.raw_config() | more)
    return {stage: {node.key for node in made.nodes.values() if node.stage == stage} for stage in declared.STAGES}


def test_with_record_the_environment_has_no_part_in_keys(monkeypatch):
    before = _keys()
    monkeypatch.setattr(environment, "planned", lambda: HERE)
    assert before == _keys() == _keys(environment="record")


def test_with_strict_versions_are_part_of_all_keys_and_the_device_of_those_that_use_it(monkeypatch):
    found = []
    for place in (HERE, Environment("another", HERE.versions), Environment(HERE.processor, HERE.versions | {"numpy": "1.0"})):
        monkeypatch.setattr(environment, "planned", lambda place=place: place)
        found.append(_keys(environment="strict"))
    first, processor, version = found
    plain = _keys()
    made = [stage for stage in declared.STAGES if first[stage]]
    assert not any(first[stage] & plain[stage] for stage in made)
    assert not any(first[stage] & version[stage] for stage in made)
    assert first["prepare"] == processor["prepare"]
    assert not any(first[stage] & processor[stage] for stage in made if stage != "prepare")


def test_stages_that_compute_on_the_device_are_those_that_ask_for_one():
    texts = {path.stem: path.read_text() for path in (fingerprint.CODE.root / "stages").glob("*/*.py")}
    asking = {stage for stage, text in texts.items() if "device.pick(" in text or "data.world(" in text}
    assert {stage for stage in declared.STAGES if nodes.on_device(stage)} == (asking | {"trace"}) & set(declared.STAGES)


@pytest.mark.parametrize("value", ["strictly", True, None, ["strict"]])
def test_another_policy_is_refused(value):
    with pytest.raises(ValueError, match="environment must be"):
        config.resolve(toys.raw_config() | {"environment": value})


def test_config_files_must_agree_on_the_policy(tmp_path):
    import yaml

    for name, policy in (("one", "strict"), ("two", "record")):
        raw = toys.raw_config() | {"environment": policy}
        raw["experiments"] = {name: raw["experiments"]["tiny"]}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(ValueError, match=r"environment must be one thing in all config files, got strict in .* and record in"):
        config_files.read([tmp_path / "one.yaml", tmp_path / "two.yaml"])
