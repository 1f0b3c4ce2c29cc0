from __future__ import annotations

import pytest
import toys
import yaml

from pipeline_lib.experiments import config, config_files
from pipeline_lib.experiments.settings.basics import PerJob


@pytest.mark.parametrize(
    ("text", "same"),
    [("a: 1 # why\nb: [1,2]\n", True), ("b:\n- 1\n- 2\na: 1", True), ("a: 1\nb: [2, 1]", False), ("a: '1'\nb: [1, 2]", False)],
)
def test_the_content_hash_sees_what_a_file_says(tmp_path, text, same):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("a: 1\nb: [1, 2]\n")
    second.write_text(text)
    assert (config_files.content_hash(first) == config_files.content_hash(second)) is same


def test_a_file_of_the_same_bytes_is_not_parsed(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    note = config_files.noted(path)
    path.write_text("# why\na: 1\n")
    assert config_files.is_as_noted(path, note), "a comment does not count"
    assert not config_files.is_as_noted(tmp_path / "gone.yaml", note)
    path.write_text("a: 2\n")
    assert not config_files.is_as_noted(path, note)
    path.write_text("a: 1\n")
    monkeypatch.setattr(config_files, "read_yaml", None)
    assert config_files.is_as_noted(path, note)


def _file(tmp_path, name, **parts):
    path = tmp_path / f"{name}.yaml"
    whole = toys.raw_config() | parts
    path.write_text(yaml.safe_dump({key: part for key, part in whole.items() if part is not None}))
    return path


def _other(**more):
    return {"other": {"tasks": ["toy"], "rewind": [0], **more}}


def test_each_file_keeps_its_own_grouping(tmp_path):
    first = _file(tmp_path, "a", per_job={"seeds": 2, "orders": 2})
    second = _file(tmp_path, "b", experiments=_other())
    for files in ([first, second], [second, first]):
        e = config_files.read(files).experiments
        assert e["tiny"].grids["toy"].per_job == PerJob(seeds=2, orders=2)
        assert e["other"].grids["toy"].per_job == PerJob(seeds=1, orders=1)


def test_only_some_experiments_are_asked_for_whichever_file_has_them(tmp_path):
    files = [_file(tmp_path, "a"), _file(tmp_path, "b", experiments=_other())]
    whole = config_files.read(files)
    for name in ("tiny", "other"):
        found = config_files.read(files, {"only": [name]})
        assert found.experiments == {name: whole.experiments[name]}
        assert found.results == whole.results
    assert list(config_files.read([_file(tmp_path, "c", only=["tiny"])]).experiments) == ["tiny"]


@pytest.mark.parametrize(
    ("only", "error"),
    [
        (["tinny"], "experiment of only must be one of other, tiny, got 'tinny'; did you mean 'tiny'"),
        ([], "only must"),
        ("tiny", "only must"),
        ([3], "only"),
    ],
)
def test_what_is_asked_for_must_be_experiments(tmp_path, only, error):
    with pytest.raises(ValueError, match=error):
        config_files.read([_file(tmp_path, "a"), _file(tmp_path, "b", experiments=_other())], {"only": only})


def test_what_files_agree_on_is_one_thing(tmp_path):
    first, second = _file(tmp_path, "a"), _file(tmp_path, "b")
    assert config_files.read([first, second]) == config_files.read([first])


def test_overrides_lie_over_the_file_that_has_the_experiment(tmp_path):
    first, second = _file(tmp_path, "a"), _file(tmp_path, "b", experiments=_other())
    e = config_files.read([first, second], {"experiments": {"other": {"seeds": 5}}}).experiments
    assert (len(e["tiny"].grids["toy"].seeds), len(e["other"].grids["toy"].seeds)) == (2, 5)
    whole = config_files.read([first], {"experiments": _other(), "results": "elsewhere"})
    assert (set(whole.experiments), str(whole.results)) == ({"tiny", "other"}, "elsewhere")


def test_without_a_file_the_overrides_are_the_config():
    assert config_files.read([], toys.raw_config()) == config.resolve(toys.raw_config())


def test_a_silent_file_takes_the_others_results_folder(tmp_path):
    files = _file(tmp_path, "a", results=None), _file(tmp_path, "b", results="there", experiments=_other())
    assert str(config_files.read(files).results) == "there"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"tasks": {"toy": toys.task(steps=8)}},
            r"tasks\.toy\.steps must be one thing in all config files, got 6 in .*a\.yaml and 8 in",
        ),
        (
            {"experiments": toys.raw_config(alphas=5)["experiments"]},
            r"experiments\.tiny\.grids\.toy\.alphas .* got 3 in .* and 5 in",
        ),
        ({"per_job": {"seeds": 2}}, r"experiments\.tiny\.grids\.toy\.per_job\.seeds .* got 1 in .* and 2 in"),
        ({"results": "elsewhere"}, r"results must be one thing in all config files, got results in .* and elsewhere in"),
        ({"data_root": "there"}, None),
    ],
)
def test_files_that_say_different_things_are_refused_by_name(tmp_path, parts, words):
    first, second = _file(tmp_path, "a"), _file(tmp_path, "b", **parts)
    if words is None:  # one of them says nothing of it
        assert str(config_files.read([first, second]).data_root) == "there"
        return
    with pytest.raises(
        ValueError, match=words + r".*b\.yaml; give one of them another name, or use the files one after the other"
    ):
        config_files.read([first, second])


def test_a_task_of_the_same_name_is_the_same_in_other_experiments_too(tmp_path):
    first = _file(tmp_path, "a")
    second = _file(tmp_path, "b", tasks={"toy": toys.task(batch_size=16)}, experiments=_other())
    with pytest.raises(ValueError, match=r"tasks\.toy\.batch_size must be one thing in all config files, got 32 in"):
        config_files.read([first, second])


def test_the_files_of_a_task_are_its_own_and_its_bases(tmp_path):
    tasks = {"toy": {"base": "resnet20_warmup"}}
    made = config_files.read([_file(tmp_path, "a", tasks=tasks)])
    assert {task: [path.name for path in files] for task, files in config_files.task_files(made).items()} == {
        "toy": ["resnet20_warmup.yaml", "resnet20.yaml"]
    }


@pytest.mark.parametrize("results", ["/", "..", ".", "results/.."])
def test_results_have_a_folder_of_their_own(monkeypatch, results):
    monkeypatch.chdir(config.ROOT)
    with pytest.raises(
        ValueError, match=r"results must be a folder of its own, got .*, which holds this checkout; name one in it"
    ):
        config_files.read([], toys.raw_config(results))
