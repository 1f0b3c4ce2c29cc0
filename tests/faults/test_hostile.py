"""Configs and files that somebody else made: none runs code, leaves the results folder, or reaches a shell."""

from __future__ import annotations

import copy
import io
import json
import pickle
from pathlib import Path
from typing import Any

import checkout as co
import numpy as np
import pytest
import toys
import yaml
from safetensors.numpy import save_file

from pipeline_lib.claims import loading
from pipeline_lib.experiments import config, validation
from pipeline_lib.planning import driver, nodes, plan_file
from pipeline_lib.store import artifacts, verification
from pipeline_lib.tables import tabulation

KEY = "0123456789ab"
TRICKS = ["../up", "a/b", "a b", "a;b", "$(touch x)", "`x`", "a\n", "a|b", "{input}", "", "-rf", "é", "A"]


class Bait:
    """Unpickling it, or building it from YAML, makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("name", [*TRICKS, 1, None, True])
@pytest.mark.parametrize("place", ["experiments", "tasks"])
def test_a_name_that_could_mean_more_is_refused(place, name):
    raw = toys.raw_config()
    raw[place][name] = next(iter(raw[place].values()))
    with pytest.raises(ValueError, match=rf"^({place}|config).* must be .*; correct the config"):
        config.resolve(raw)


@pytest.mark.parametrize("results", ["a;b", "$(touch x)", "`x`", "a\n", "a|b", "{input}", "", "-rf", "a*", "a'b", 'a"b', "a&b"])
def test_a_results_folder_that_could_mean_more_is_refused(results):
    with pytest.raises(ValueError, match=r"^results must be text that matches"):
        config.resolve(toys.raw_config(results))


@pytest.mark.parametrize("results", ["results", "/scratch/me/re sults-2", "../elsewhere/x_1", "é"])
def test_other_results_folders_are_a_users_choice(results):
    assert config.resolve(toys.raw_config(results)).results == Path(results)


@pytest.mark.parametrize("name", sorted({*TRICKS} - {"A", "-rf"}))  # these are harmless inside a path
def test_a_label_that_could_mean_more_is_refused(name):
    with pytest.raises(ValueError, match=r"^label must be letters, digits, _ and -"):
        nodes.Plan(config.resolve(toys.raw_config())).add_declared("tabulate", name, {"table": "runs"}, {})


def test_folders_of_starts_are_plain_whatever_the_start_says():
    raw = toys.raw_config(
        levels=1, rewind=[0], perturbed=[0], starts=["k0 | shuffle(layer) in stém", "k0 | noise(0.5) in body.fc1"]
    )
    for node in toys.make_plan(raw).nodes.values():
        assert plan_file._FOLDER.fullmatch(node.folder)


@pytest.fixture
def planned(tmp_path):
    made = toys.make_plan(toys.raw_config(tmp_path / "results", rewind=[0], levels=0))
    return made, driver.write_plan(made, [])


def _forge(path: Path, key: str, change) -> None:
    """Change one node of a plan file."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    for i, text in enumerate(lines):
        line = json.loads(text)
        if line["key"] == key:
            change(line)
            lines[i] = json.dumps(line)
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("where", ["folder", "reads", "label"])
@pytest.mark.parametrize(
    "to", ["../../../etc/x-{key}", "/etc/x-{key}", "artifacts/tabulate/../../x-{key}", "artifacts/tabulate/a b-{key}"]
)
def test_a_plan_cannot_send_a_job_elsewhere(planned, tmp_path, where, to):
    made, path = planned
    node = next(node for node in made.nodes.values() if node.stage == "tabulate")
    before = set(tmp_path.rglob("*"))
    forged = {"reads": {"parts": [to.format(key=KEY)]}}.get(where, to.format(key=node.key))
    _forge(path, node.key, lambda line: line.update({where: forged}))
    with pytest.raises(ValueError, match=r"^plan .* must be whole, got: .*; remove it and start the run again"):
        driver.run_node("tabulate", made.config.results / node.folder, path)
    assert set(tmp_path.rglob("*")) == before


YAMLS = [
    "!!python/object/apply:pathlib.Path.touch [[{bait}]]",
    "a: !!python/object/apply:os.system ['touch {bait}']",
    "!!python/object/new:type ['x', [], {{}}]",
    "a: !!python/name:os.system",
]


@pytest.mark.parametrize("text", YAMLS)
@pytest.mark.parametrize("read", [validation.read_yaml, loading.load])
def test_yaml_builds_no_objects(tmp_path, text, read):
    path, bait = tmp_path / "c.yaml", tmp_path / "created"
    path.write_text(text.format(bait=bait))
    with pytest.raises(ValueError, match=r"must be YAML, got"):
        read(path)
    assert not bait.exists()


def test_the_yaml_baits_do_work(tmp_path):
    bait = tmp_path / "created"
    yaml.unsafe_load(YAMLS[1].format(bait=bait))
    assert bait.exists()


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{b: " * 5000, "{" * 5000, "a: 2026-13-41", "\x00", "a: \ud800"])
def test_yaml_that_breaks_parsers_is_one_error(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"config file .* must be YAML, got: .+; mend it"):
        validation.read_yaml(path)


def test_a_config_with_expressions_is_refused_by_planning(tmp_path):
    """Snakemake evaluates such a file; `plan` is what looks at a stranger's config first."""
    path, bait = tmp_path / "c.yaml", tmp_path / "created"
    raw = {"__use_yte__": True, "__definitions__": [f"import pathlib; pathlib.Path({str(bait)!r}).touch()"]}
    path.write_text(yaml.safe_dump(raw | toys.raw_config()))
    with pytest.raises(ValueError, match=r"key of config must be one of .*, got '__(use_yte|definitions)__'"):
        driver.load([path])
    assert not bait.exists()


@pytest.mark.parametrize(
    "read", [artifacts.read_meta, artifacts.read_arrays, artifacts.read_tensors, artifacts.read_states, tabulation.read]
)
@pytest.mark.parametrize("as_torch", [False, True])
def test_a_pickle_is_no_artifact(tmp_path, read, as_torch):
    import torch

    path, bait = tmp_path / f"x-{KEY}" / "state.safetensors", tmp_path / "created"
    path.parent.mkdir()
    torch.save(Bait(bait), path) if as_torch else path.write_bytes(pickle.dumps(Bait(bait)))
    with pytest.raises(ValueError, match=r"must be a whole"):
        read(path)
    assert not bait.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False) if as_torch else pickle.loads(path.read_bytes())
    assert bait.exists()


def test_a_table_with_a_pickled_type_is_not_unpickled(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, bait = tmp_path / "t.parquet", tmp_path / "created"
    extension = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Bait(bait))}
    schema = pa.schema([pa.field("a", pa.int64(), metadata=extension)])
    pq.write_table(pa.table({"a": [1]}, schema), path)
    tabulation.read(path)
    assert not bait.exists()


@pytest.mark.parametrize(
    "meta",
    [
        [],
        None,
        1,
        "x",
        {},
        {"key": []},
        {"key": KEY},
        {"key": KEY, "params": 3, "step": 1},
        {"key": KEY, "params": ["a"], "step": "x"},
    ],
)
def test_a_forged_header_with_right_digests_is_refused(tmp_path, meta):
    path = tmp_path / f"x-{KEY}" / "state.safetensors"
    arrays = {"params/b": np.zeros((1, 2), dtype=np.float32)}
    path.parent.mkdir()
    save_file(arrays, path, artifacts._header(arrays, meta) if isinstance(meta, dict) else {"rewind": json.dumps(meta)})
    with pytest.raises(ValueError, match=r"artifact .* must .*, got.*; remove"):
        artifacts.read_states(path)


def test_digests_of_arrays_and_tensors_agree(tmp_path):
    import torch

    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([True, False]),
        "c": np.array(3),
        "d": np.zeros((0, 2)),
    }
    assert artifacts._content(arrays) == artifacts._content({name: torch.from_numpy(array) for name, array in arrays.items()})
    for other in (arrays["a"].reshape(3, 2), arrays["a"].view(np.int32), -arrays["a"]):
        assert artifacts._content(arrays | {"a": other}) != artifacts._content(arrays)


@pytest.mark.parametrize("record", ["{", "[]", '{"sha256": 3}', "null", "[" * 5000])
def test_a_damaged_record_is_one_error(tmp_path, record):
    path = tmp_path / "t.parquet"
    artifacts.write_rows(path, [{"a": 1}])
    tabulation.read(path)
    (tmp_path / verification.RECORD).write_text(record)
    with pytest.raises(
        ValueError, match=r"record .*spec\.json must be what its job wrote, got a damaged file; remove the folder"
    ):
        tabulation.read(path)


def test_no_module_can_run_what_it_reads():
    """Words that load objects or run text stand where arrays or tensors alone are admitted, and where our own is started."""
    words = (
        "import pickle",
        "marshal",
        "shelve",
        "joblib",
        "eval(",
        "exec(",
        "yaml.load(",
        "torch.load",
        "allow_pickle",
        "os.system",
        "subprocess",
        "shell=True",
    )
    admit_arrays = {("_archives.py", "import pickle"), ("arrays.py", "allow_pickle"), ("foreign.py", "torch.load")}
    admit_arrays |= {("foreign.py", "import pickle")}  # for the name of the error
    start_our_own = {(name, "subprocess") for name in ("start.py", "running.py", "reporting.py", "snakemake.py")}
    package = co.PROJECT / "pipeline_lib"
    found = {
        (p.name, w)
        for p in package.rglob("*.py")
        for w in words
        if w in p.read_text(encoding="utf-8").replace(".eval()", "").replace("literal_eval(", "")
    }
    import_as_python_does = {("sources.py", "exec("), ("sources.py", "marshal")}
    assert found == admit_arrays | start_our_own | import_as_python_does
    saying = {"arrays.py": "allow_pickle=False", "foreign.py": "weights_only=True"}
    assert [name for name, words in saying.items() if words not in next(package.rglob(name)).read_text(encoding="utf-8")] == []


def test_a_checkout_and_results_with_awkward_names_run(tmp_path):
    checkout = co.blank(tmp_path / "it's; a checkout $(touch x) & more", _small())
    co.succeed(checkout)
    assert (checkout.root / "my results" / "single" / "runs.parquet").is_file()
    assert not [path for path in tmp_path.rglob("x") if path.is_file()]


def _small() -> co.Config:
    small = copy.deepcopy(co.SINGLE)
    small["experiments"]["single"] |= {"levels": 0, "orders": 1, "figures": ["learning_curves"]}
    small["tasks"]["toy"] = co.TOY | {"steps": 4, "evaluate_every": 2}
    return small | {"results": "my results"}
