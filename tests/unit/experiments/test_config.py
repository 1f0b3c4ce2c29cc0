from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.experiments import config, validation
from pipeline_lib.experiments.settings.basics import Pruning


def _with_task(**more: Any) -> dict[str, Any]:
    return toys.raw_config() | {"tasks": {"toy": toys.task(**more)}}


def _without(key: str) -> dict[str, Any]:
    return toys.raw_config() | {"tasks": {"toy": {k: v for k, v in toys.task().items() if k != key}}}


MISTAKES = {
    "key": (toys.raw_config() | {"experimets": {}}, "key of config must be one of .*, got 'experimets'; .* 'experiments'"),
    "experiment key": (toys.raw_config(levls=2), r"key of experiments\.tiny must be one of .*, got 'levls'; .* 'levels'"),
    "task key": (_with_task(batchsize=2), r"key of tasks\.toy must be one of .*, got 'batchsize'; .* 'batch_size'"),
    "task": (toys.raw_config(tasks=["lenet_mnst"]), "task must be one of .*, got 'lenet_mnst'; did you mean 'lenet_mnist'"),
    "network": (_with_task(network={"name": "mpl"}), r"toy\.network\.name must be one of .*, got 'mpl'; did you mean 'mlp'"),
    "data set": (_with_task(dataset={"name": "mnits"}), r"toy\.dataset\.name must be .*, got 'mnits'; did you mean 'mnist'"),
    "schedule": (_with_task(schedule={"name": "drops"}), r"toy\.schedule\.name must be one of constant, .*, got 'drops'"),
    "figure": (toys.raw_config(figures=["paths"]), "figures must be one of .*, got 'paths'"),
    "criterion": (toys.raw_config(pruning={"criterion": "shuffled"}), "must be one of grasp, magnitude, .*, got 'shuffled'"),
    "control": (toys.raw_config(controls=["reint"]), "must be one of random_prune, reinit, got 'reint'; .* 'reinit'"),
    "option": (_with_task(network={"name": "mlp", "width": [2]}), "must be one of widths, got 'width'; did you mean 'widths'"),
    "no name": (_with_task(network={"widths": [2]}), r"toy\.network must have a name, got .*; add name: to it"),
    "length": (_with_task(steps="6 epochs"), r"tasks\.toy\.steps must be a length such as 500 .*, got '6 epochs'"),
    "no steps": (_without("steps"), "task toy must have 'steps', got none"),
    "no optimiser": (_without("optimiser"), "task toy must have 'optimiser', got none"),
    "late rewind": (toys.raw_config(rewind=[0, 6]), r"experiments\.tiny\.rewind must be below toy's 6 steps, got 6; lower it"),
    "early rewind": (toys.raw_config(rewind=[-1]), r"experiments\.tiny\.rewind\.0 must be at least 0, got -1"),
    "level": (toys.raw_config(levels=-1), r"experiments\.tiny\.levels must be at least 0, got -1"),
    "sparse level": (toys.raw_config(sparse_level=3), r"experiments\.tiny\.sparse_level must be at most levels = 2, got 3"),
    "no level": (toys.raw_config(levels=0, figures=["best_rewind"]), "levels must be at least 1 for figure best_rewind, got 0"),
    "zero density": (toys.raw_config(pruning={"densities": [0.5, 0]}), r"pruning\.densities\.1 must be above 0, got 0"),
    "great density": (toys.raw_config(pruning={"densities": [1.5, 0.1]}), r"densities\.0 must be at most 1, got 1\.5"),
    "rising": (toys.raw_config(pruning={"densities": [0.2, 0.5]}), r"densities must fall from level to level, .*\[0\.2, 0\.5\]"),
    "equal": (toys.raw_config(pruning={"densities": [0.5, 0.5]}), "densities must fall from level to level"),
    "few": (toys.raw_config(pruning={"densities": [0.5]}), "one below 1 for each of 2 levels"),
    "fraction": (toys.raw_config(pruning={"fraction": 1}), r"pruning\.fraction must be below 1, got 1"),
    "alphas": (toys.raw_config(alphas=1), r"experiments\.tiny\.alphas must be at least 2, got 1"),
    "seeds": (toys.raw_config(seeds=0), r"experiments\.tiny\.seeds must be at least 1, got 0"),
    "pin": (toys.raw_config() | {"fingerprints": {"train": "0" * 12}}, r"fingerprints must be left .*rewind adopt"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_by_its_place(mistake):
    raw, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        config.resolve(raw)


def test_the_defaults_are_complete():
    raw = {"experiments": {"e": {"tasks": ["digits_mlp"]}}}
    e = config.resolve(raw).experiments["e"].grids["digits_mlp"]
    assert (e.seeds, e.orders, e.rewind, e.levels, e.sparse_level, e.alphas) == ((0, 1, 2), (0, 1, 2), (0,), 0, 0, 30)
    assert e.pruning == Pruning(
        criterion="magnitude", scope="global", fraction=0.2, examples=2000, at="end", densities=None, one_shot=False
    )
    assert e.splits == ("train", "test")


def test_replicates_are_a_number_or_a_list():
    e = config.resolve(toys.raw_config(seeds=3, orders=[7, 2])).experiments["tiny"].grids["toy"]
    assert (e.seeds, e.orders) == ((0, 1, 2), (2, 7))


def test_every_option_of_a_task_is_spelled_out():
    task = config.load_task("lenet_mnist")
    assert task["optimiser"] == {"name": "adam", "lr": 0.0012, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert task["schedule"] == {"name": "constant", "warmup": 0}
    assert task["initialisation"] == {"name": "kaiming_normal", "batchnorm_scale": "uniform"}
    assert (task["precision"], task["channels_last"], task["flip"]) == ("fp32", False, False)
    assert (task["pad"], task["name"]) == (0, "lenet_mnist")


@pytest.mark.parametrize("name", config.task_files())
def test_every_task_file_is_valid(name):
    assert config.load_task(name)["name"] == name


@pytest.mark.parametrize(
    "path", [*sorted((config.ROOT / "config").glob("experiments/*.yaml")), config.ROOT / "config" / "config.yaml"]
)
def test_every_experiment_file_is_valid(path):
    assert config.resolve(validation.read_yaml(path)).experiments


def test_fashionmnist_is_an_inline_task_that_names_it():
    inline = {"lenet_fashion": {"base": "lenet_mnist", "dataset": {"name": "fashionmnist"}}}
    task, base = config.load_task("lenet_fashion", inline), config.load_task("lenet_mnist")
    assert {k for k in task if task[k] != base[k]} == {"name", "dataset"}
    assert task["dataset"] == {"name": "fashionmnist", "num_train": 60_000}


@pytest.mark.parametrize(
    ("inline", "chain"),
    [({"a": {"base": "b"}, "b": {"base": "a"}}, "a > b > a"), ({"a": {"base": "a"}}, "a > a")],
)
def test_a_base_that_leads_back_is_refused(inline, chain):
    with pytest.raises(ValueError, match=f"base of task 'a' must not lead back to itself, got {chain}"):
        config.load_task("a", inline)


def test_an_unknown_base_is_refused():
    with pytest.raises(ValueError, match="got 'lenet_mnis'; did you mean 'lenet_mnist'"):
        config.load_task("a", {"a": {"base": "lenet_mnis"}})


def test_merge_lays_nested_mappings_over_and_replaces_lists():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert config.merge(base, {"a": {"y": [3]}, "b": {"z": 1}}) == {"a": {"x": 1, "y": [3]}, "b": {"z": 1}}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


NESTED = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))


@given(st.dictionaries(st.sampled_from("abc"), NESTED, max_size=3))
def test_merging_a_mapping_with_itself_or_nothing_changes_nothing(mapping):
    assert config.merge(mapping, mapping) == config.merge(mapping, {}) == config.merge({}, mapping) == mapping


def test_typed_gives_text_its_types_back():
    asked = {"levels": "3", "rewind": ["0", "10it"], "lemma": {"epsilon": "1e-1"}, "layerwise": "true", "tasks": {"toy": "null"}}
    typed = {"levels": 3, "rewind": [0, "10it"], "lemma": {"epsilon": 0.1}, "layerwise": True, "tasks": {"toy": None}}
    assert config.typed({"experiments": {"e": asked}, "per_job": {"seeds": "2"}}) == {
        "experiments": {"e": typed}, "per_job": {"seeds": 2},
    }  # fmt: skip


def test_typed_leaves_text_that_may_be_text():
    text = {
        "results": "2024",
        "tasks": {"toy": {"base": "10", "dataset": {"folder": "2012"}, "optimiser": {"lr": "1e-1"}}},
        "experiments": {"e": {"tasks": ["10"]}},
    }
    assert config.typed(text) == text


@pytest.mark.parametrize("text", ["040", "0x1f", "1_000", "1:30", "nan", "inf", "1e999", "9" * 5000])
def test_typed_guesses_no_odd_numbers(text):
    with pytest.raises(ValueError, match=r"experiments\.tiny\.levels must be a whole number, got '"):
        config.resolve(config.typed(toys.raw_config(levels=text)))


def test_text_values_resolve_like_numbers():
    assert config.resolve(config.typed(toys.raw_config(levels="2", rewind=["0", "2"]))) == config.resolve(toys.raw_config())


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(1, 5))
def test_more_replicates_never_regroup_full_chunks(first, more, size):
    before = list(config.chunks(sorted(first), size))
    after = list(config.chunks(sorted(first | more), size))
    assert [v for chunk in after for v in chunk] == sorted(first | more)
    assert all(chunk in after for chunk in before if len(chunk) == size)


def test_level_density_is_listed_or_geometric():
    plain = config.resolve(toys.raw_config()).experiments["tiny"].grids["toy"].pruning
    assert [plain.density(level) for level in (0, 1, 15)] == pytest.approx([1, 0.8, 0.8**15])
    assert [replace(plain, densities=(0.5, 0.1)).density(level) for level in (0, 1, 2)] == [1, 0.5, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config file must exist"),
        ("a: [", "must be YAML"),
        ("- 1", "must be a mapping, got list"),
        ("", "got an empty file"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    path: Path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        validation.read_yaml(path)


def test_the_data_root_comes_from_the_config_before_the_environment(monkeypatch):
    monkeypatch.setenv("PIPELINE_DATA_ROOT", "from_environment")
    assert config.resolve(toys.raw_config()).data_root == Path("from_environment")
    assert config.resolve(toys.raw_config() | {"data_root": "given"}).data_root == Path("given")


def test_lengths_in_epochs_are_reckoned_by_task():
    long = toys.task(steps="2ep", schedule={"name": "step_drops", "drops": ["1ep", "60it"]}, evaluate_every="1ep")
    raw = toys.raw_config(rewind=[0, "1ep"], tasks=["toy", "small"])
    raw["tasks"] = {"toy": long, "small": {"base": "toy", "batch_size": 48}}
    grids = config.resolve(raw).experiments["tiny"].grids
    assert {name: grid.task["steps"] for name, grid in grids.items()} == {"toy": 90, "small": 60}
    assert {name: grid.rewind for name, grid in grids.items()} == {"toy": (0, 45), "small": (0, 30)}
    assert grids["toy"].task["schedule"]["drops"] == [45, 60]
    assert grids["toy"].task["evaluate_every"] == 45


def test_a_task_may_differ_from_its_experiment():
    raw = toys.raw_config(tasks={"toy": {"levels": 1, "rewind": [1]}, "other": None})
    raw["tasks"]["other"] = {"base": "toy"}
    grids = config.resolve(raw).experiments["tiny"].grids
    assert [(g.levels, g.sparse_level, g.rewind, g.seeds) for g in grids.values()] == [
        (1, 1, (1,), (0, 1)),
        (2, 2, (0, 2), (0, 1)),
    ]


def test_a_mistake_in_a_tasks_own_options_is_refused_by_its_place():
    with pytest.raises(ValueError, match=r"experiments\.tiny\.tasks\.toy\.sparse_level must be at most levels = 2, got 3"):
        config.resolve(toys.raw_config(tasks={"toy": {"sparse_level": 3}}))
    with pytest.raises(ValueError, match=r"key of experiments\.tiny\.tasks\.toy must be one of .*, got 'level'"):
        config.resolve(toys.raw_config(tasks={"toy": {"level": 3}}))


def test_another_name_replaces_a_part_and_its_options():
    inline = {"a": toys.task(network={"name": "mlp", "widths": [5]}), "b": {"base": "a", "network": {"name": "vgg"}}}
    assert config.load_task("b", inline)["network"] == {"name": "vgg", "depth": 16, "prune_head": False}


def _titles(tasks: dict[str, object]) -> dict[str, str]:
    raw = toys.raw_config()
    raw["tasks"] = {name: {"base": "digits_mlp", **task} for name, task in tasks.items()}
    raw["experiments"] = {"e": {"tasks": list(tasks), "figures": ["paths_dense"]}}
    return {name: grid.title for name, grid in config.resolve(raw).experiments["e"].grids.items()}


def test_a_title_is_a_tasks_own_and_else_its_name():
    assert _titles({"a": {"title": "A network"}, "b": {}, "c": {"base": "a"}}) == {"a": "A network", "b": "b", "c": "c"}


def test_a_title_is_no_part_of_what_a_task_is():
    assert config.load_task("x", {"x": {"base": "digits_mlp", "title": "X"}}) == config.load_task(
        "x", {"x": {"base": "digits_mlp"}}
    )


def test_two_tasks_of_one_title_are_refused_as_a_figure_would_mix_them():
    with pytest.raises(ValueError, match=r"titles of experiments\.e\.tasks must be a list without repetitions, got a and b"):
        _titles({"a": {"title": "A"}, "b": {"title": "A"}})


def test_tasks_that_are_shipped_have_titles_of_their_own():
    titles = [validation.read_yaml(path).get("title") for path in config.task_files().values()]
    assert None not in titles
    assert len(set(titles)) == len(titles)
