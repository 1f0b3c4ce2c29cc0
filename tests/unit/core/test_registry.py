from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline_lib.core import registry
from pipeline_lib.experiments import figure_needs
from pipeline_lib.networks.mlp import mlp

SGD = {"name": "sgd", "lr": 0.1}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("networks", {"mlp", "resnet_cifar"}),
        ("datasets", {"digits", "mnist", "fashionmnist"}),
        ("schedules", {"constant", "step_drops"}),
        ("figures", set(figure_needs.FIGURES)),
    ],
)
def test_a_folder_or_module_is_its_registry(kind, names):
    assert names <= set(registry.entries(kind))


def test_every_figure_is_demanded_and_every_demand_has_a_figure():
    assert set(registry.entries("figures")) == set(figure_needs.FIGURES)


def test_an_entry_loads_its_function_and_knows_its_options():
    entry = registry.entries("networks")["mlp"]
    assert entry.load() is mlp
    assert (entry.required, entry.defaults) == (("input_shape", "num_classes"), {"widths": [300, 100]})


def test_a_file_added_to_a_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "new.py").write_text("def new(size, depth: int = 2):\n    ...\n\ndef _helper():\n    ...\n")
    (tmp_path / "networks" / "_private.py").write_text("def hidden():\n    ...\n")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    registry.entries.cache_clear()
    try:
        found = registry.entries("networks")
    finally:
        registry.entries.cache_clear()
    assert found == {
        "new": registry.Entry("pipeline_lib.networks.new", "new", ("size",), {"depth": 2}, {"size": None, "depth": int})
    }


def test_reading_names_imports_no_torch():
    code = "import sys; from pipeline_lib.core import registry; registry.entries('networks'); sys.exit('torch' in sys.modules)"
    root = registry.PACKAGE.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_bind_completes_the_defaults():
    bound = registry.bind("optimisers", SGD, ("vector",), "toy.optimiser")
    assert bound == {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}


def test_a_whole_number_stands_for_the_fraction():
    bound = registry.bind("schedules", {"name": "step_drops", "drops": [3], "factor": 5}, (), "toy.schedule")
    assert (bound["factor"], type(bound["factor"])) == (5.0, float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            SGD | {"name": "agd"},
            r"toy\.optimiser\.name must be one of adam, adamw, decoupled_sgd, sgd, got 'agd'; did you mean 'sgd'\?",
        ),
        (
            SGD | {"name": "zzzz"},
            "must be one of adam, adamw, decoupled_sgd, sgd, got 'zzzz'; add one in pipeline_lib/training/optimisers",
        ),
        (SGD | {"name": "get_slots"}, "must be one of adam, adamw, decoupled_sgd, sgd, got 'get_slots'"),
        (
            SGD | {"momentun": 0.9},
            r"optimiser sgd must be one of lr, momentum, nesterov, weight_decay, got 'momentun'; did you mean 'momentum'\?",
        ),
        (SGD | {"vector": 1}, "option of toy.optimiser sgd must be one of .*, got 'vector'"),
        ({"name": "sgd"}, r"toy\.optimiser sgd must have 'lr', got none; add it to the config"),
    ],
)
def test_a_mistake_is_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        registry.bind("optimisers", given, ("vector",), "toy.optimiser")


def test_call_fills_in_options_and_what_the_caller_supplies():
    network = registry.call("networks", {"name": "mlp", "widths": [2]}, input_shape=(1, 2, 2), num_classes=3)
    assert sum(p.numel() for p in network.parameters()) == 4 * 2 + 2 + 2 * 3 + 3


def test_an_option_of_given_words_is_checked_when_it_is_named():
    with pytest.raises(ValueError, match=r"scope of start shuffle must be one of .*, got 'layers'; did you mean 'layer'"):
        registry.bind("perturbations", {"name": "shuffle", "scope": "layers"}, ("weights", "around", "rng"), "start")


def test_files_declare_names_under_a_constant():
    assert registry.declared("datasets", "IN_FILES") == {"image_folder"}
    assert registry.declared("datasets", "IN_FILES") <= set(registry.entries("datasets"))
    assert not registry.declared("networks", "IN_FILES")


def test_a_name_that_two_files_define_is_refused(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / "kinds").mkdir(exist_ok=True)
        (tmp_path / "kinds" / f"{name}.py").write_text("def build(size):\n    return size\n")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    monkeypatch.setitem(registry.PLACES, "kinds", "kinds")
    both = r"pipeline_lib\.kinds\.one and pipeline_lib\.kinds\.two"
    with pytest.raises(ValueError, match=f"function build of kinds must be defined once, got two in {both}; rename one"):
        registry.entries.__wrapped__("kinds")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["SAID = {'a': 1}\n", "SAID = {'b': 2}\n"], None),
        (["SAID = {'a': 1}\n", "SAID = {'a': 2}\n"], "SAID must speak of a in one file, got two, one of them 1.py; remove one"),
        (["SAID = dict(a=1)\n"], "SAID of 0.py must be a mapping in so many words, got more; write it out"),
    ],
)
def test_what_files_state_is_joined(tmp_path, monkeypatch, texts, words):
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.py").write_text(text)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    monkeypatch.setitem(registry.PLACES, "kinds", ".")
    if words:
        with pytest.raises(ValueError, match=words):
            registry.stated.__wrapped__("kinds", "SAID")
    else:
        assert registry.stated.__wrapped__("kinds", "SAID") == {"a": 1, "b": 2}
