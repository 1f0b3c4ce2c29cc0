from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import toys
import yaml

from pipeline_lib.experiments import config
from pipeline_lib.planning import adoption, declared, driver, nodes, plan
from pipeline_lib.planning.keys import fingerprint, known_code
from pipeline_lib.planning.plan_file import Written
from pipeline_lib.store import artifacts, environment
from pipeline_lib.tables import tabulation


@pytest.fixture
def planned(tmp_path):
    """A config file and the plan that it gives, written."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(toys.raw_config(tmp_path / "results", figures=["paths_dense"], rewind=[0], levels=0, seeds=1)))
    made = driver.load([path])
    return path, made, driver.write_plan(made, [path])


def _prepare(made: nodes.Plan) -> nodes.Node:
    return next(node for node in made.nodes.values() if node.stage == "prepare")


def _make(planned) -> Path:
    _, made, plan_file = planned
    folder = made.config.results / _prepare(made).folder
    driver.run_node("prepare", folder, plan_file)
    return folder


def test_the_plan_file_is_named_by_its_content_and_left_alone_when_equal(planned):
    path, made, plan_file = planned
    assert plan_file == made.config.results / "plans" / f"{made.identity()}.jsonl"
    before = plan_file.stat().st_mtime_ns
    assert driver.write_plan(made, [path]) == plan_file
    assert plan_file.stat().st_mtime_ns == before


def test_a_damaged_plan_file_is_written_anew(planned):
    path, made, plan_file = planned
    whole = plan_file.read_bytes()
    for damaged in (whole.replace(b"a", b"\xf4"), whole[:100], b""):
        plan_file.write_bytes(damaged)
        assert driver.write_plan(made, [path]).read_bytes() == whole


def test_a_node_is_made_with_a_record_of_what_made_it(planned):
    folder = _make(planned)
    assert {p.name for p in folder.iterdir()} == {"data.safetensors", "spec.json"}
    record = json.loads((folder / "spec.json").read_text())
    assert record["spec"] == {"dataset": {"name": "digits", "size": 8, "num_train": 1440}}
    assert record["key"] == artifacts.read_meta(folder / "data.safetensors")["key"]
    assert set(record["versions"]) == {"python", "torch", "numpy", "safetensors"}
    made = {name: record[name] for name in ("code", "versions", "processor", "threads", "number_format", "made_in")}
    assert artifacts.read_meta(folder / "data.safetensors").items() >= made.items()
    assert record["code"] == nodes.stage_code("prepare", record["spec"])


def _strictly(tmp_path: Path) -> Path:
    path = tmp_path / "strict.yaml"
    raw = toys.raw_config(tmp_path / "results", figures=["paths_dense"], rewind=[0], levels=0, seeds=1, orders=2)
    path.write_text(yaml.safe_dump(raw | {"environment": "strict"}))
    return path


def test_with_a_strict_environment_a_job_runs_in_the_one_that_was_planned(tmp_path):
    path = _strictly(tmp_path)
    made = driver.load([path])
    for stage in ("prepare", "pretrain"):
        node = next(node for node in made.nodes.values() if node.stage == stage)
        driver.run_node(stage, made.config.results / node.folder, driver.write_plan(made, [path]))
        assert (made.config.results / node.folder / "spec.json").is_file()


@pytest.mark.parametrize(("stage", "refuses"), [("prepare", False), ("pretrain", True)])
def test_a_job_on_another_processor_than_its_key_says_is_refused_if_it_computes_on_it(tmp_path, monkeypatch, stage, refuses):
    path = _strictly(tmp_path)
    monkeypatch.setenv("PIPELINE_DEVICE_NAME", "NVIDIA H200")
    made = driver.load([path])
    plan_file = driver.write_plan(made, [path])
    nodes_of = {node.stage: made.config.results / node.folder for node in made.nodes.values() if node.stage in ("prepare", stage)}
    driver.run_node("prepare", nodes_of["prepare"], plan_file)
    if refuses:
        message = f"environment of stage {stage} must be what its key says, got .* instead of NVIDIA H200; .*PIPELINE_DEVICE_NAME"
        with pytest.raises(ValueError, match=message):
            driver.run_node(stage, nodes_of[stage], plan_file)
        assert not nodes_of[stage].exists()


def test_a_job_with_another_version_than_its_key_says_is_refused(tmp_path, monkeypatch):
    path = _strictly(tmp_path)
    made = driver.load([path])
    plan_file, here = driver.write_plan(made, [path]), environment.versions()
    monkeypatch.setattr(environment, "versions", lambda: here | {"torch": "1.0"})
    got = re.escape(f"got torch 1.0 instead of torch {here['torch']}; run it there")
    with pytest.raises(ValueError, match=f"environment of stage prepare must be what its key says, {got}"):
        driver.run_node("prepare", made.config.results / _prepare(made).folder, plan_file)


def test_by_default_another_environment_is_only_recorded(planned, monkeypatch):
    here = environment.versions()
    monkeypatch.setattr(environment, "versions", lambda: here | {"torch": "1.0"})
    assert json.loads((_make(planned) / "spec.json").read_text())["versions"]["torch"] == "1.0"


def test_a_comment_in_the_config_does_not_stop_a_run(planned):
    path, _, _ = planned
    path.write_text(f"# a comment\n{path.read_text()}")
    assert _make(planned).is_dir()


def test_a_changed_config_is_refused(planned):
    path, made, _ = planned
    path.write_text(path.read_text().replace("alphas: 3", "alphas: 4"))
    with pytest.raises(
        ValueError, match=r"config must stay as it was planned .* got a changed config\.yaml; start the run again"
    ):
        _make(planned)
    assert not (made.config.results / "artifacts").exists()


def test_a_removed_config_is_refused(planned):
    planned[0].unlink()
    with pytest.raises(ValueError, match=r"got a changed config\.yaml"):
        _make(planned)


def test_changed_code_is_refused(planned, monkeypatch):
    monkeypatch.setattr(nodes, "fingerprint", lambda *code: "f" * 12)
    monkeypatch.setattr(driver.fingerprint.CODE, "sources", "of other files")
    with pytest.raises(ValueError, match="code of stage prepare must stay as it was planned during a run, got an edit"):
        _make(planned)


def test_what_other_code_made_is_not_made_by_this_one_under_its_key(planned, monkeypatch):
    path, made, _ = planned
    _make(planned)
    own = nodes.fingerprint
    monkeypatch.setattr(nodes, "fingerprint", lambda stage, named: "f" * 12 if stage == "prepare" else own(stage, named))
    every = adoption.follow(driver.load([path]), adoption.Shelf(made.config.results))
    adoption.keep(made, every)
    kept = driver.load([path])
    assert _prepare(kept).key == _prepare(made).key
    with pytest.raises(ValueError, match=r"must be left as other code made it, got a job .* remove its folder and start the run"):
        _make((path, kept, driver.write_plan(kept, [path])))


def test_a_record_has_the_code_and_the_plan_what_it_was(planned):
    record = json.loads((_make(planned) / "spec.json").read_text())
    assert record["format"] == fingerprint.FORMAT
    assert known_code.read(planned[1].config.results)[record["code"]] == known_code.of("prepare", (("datasets", "digits"),))


def test_a_kind_of_functions_that_no_spec_names_is_refused(planned, monkeypatch):
    monkeypatch.delitem(nodes._NAMES, "datasets")
    rule = "kind datasets, which stage prepare asks for, must have its names in nodes._NAMES, got none"
    with pytest.raises(ValueError, match=rule):
        driver.load([planned[0]])


def test_a_node_of_another_stage_or_plan_is_refused(planned):
    _, made, plan_file = planned
    folder = made.config.results / _prepare(made).folder
    with pytest.raises(ValueError, match="must be made by stage prepare, got train; use that one"):
        driver.run_node("train", folder, plan_file)
    with pytest.raises(ValueError, match=r"node must be part of the plan .*, got key 000000000000; plan again"):
        driver.run_node("prepare", folder.with_name("digits-000000000000"), plan_file)


def test_published_files_are_copies_of_every_table_and_figure(planned):
    published = Written(planned[2]).published
    measured = [name for name, stage in declared.TABLES.items() if stage in ("train", "interpolate")]
    tables = {f"tiny/{name}.parquet" for name in [*measured, "means", "onsets", "networks"]}
    assert set(published) == tables | {f"tiny/figures/paths_dense.{suffix}" for suffix in ("svg", "png", "pdf")}


@pytest.fixture
def run(planned, monkeypatch):
    """The config file, as Snakemake starts with it: no run is going on."""
    monkeypatch.delenv(driver.PLAN_ID, raising=False)
    return planned[0]


OTHER = {"experiments": {"tiny": {"alphas": 4}}}


def _no_planning(monkeypatch):
    def fail(*args):
        raise AssertionError("planned anew")

    monkeypatch.setattr(plan, "make_plan", fail)


def test_a_job_reads_what_its_run_planned(run, planned, monkeypatch):
    first = driver.planned([run], {}, main=True)
    assert os.environ[driver.PLAN_ID] == planned[1].identity()
    _no_planning(monkeypatch)
    again = driver.planned([run], {}, main=False)
    assert (again.path, again.results, again.published) == (first.path, first.results, first.published)


def test_a_job_that_sees_no_plan_file_plans_for_itself(run):
    written = driver.planned([run], {}, main=True).path
    written.unlink()
    assert driver.planned([run], {}, main=False).path == written
    assert written.is_file()


def test_a_job_that_plans_otherwise_is_refused(run):
    written = driver.planned([run], {}, main=True).path
    written.unlink()
    with pytest.raises(ValueError, match=r"config and code must stay as they were planned .* start the run again"):
        driver.planned([run], OTHER, main=False)


def test_a_new_run_in_the_same_process_plans_anew(run):
    first = driver.planned([run], {}, main=True)
    assert driver.planned([run], OTHER, main=True).path != first.path


def test_a_node_goes_where_its_name_says(planned):
    _, made, plan_file = planned
    node = _prepare(made)
    elsewhere = made.config.results.parent / "storage" / node.folder
    driver.run_node("prepare", elsewhere, plan_file)
    assert (elsewhere / "spec.json").is_file()
    with pytest.raises(ValueError, match=rf"folder must end with {node.folder}, got .*; use that one"):
        driver.run_node("prepare", made.config.results / "artifacts" / "train" / Path(node.folder).name, plan_file)


def test_the_index_has_a_row_an_artifact(planned):
    folder, results = _make(planned), planned[1].config.results
    driver.write_index(results)
    row = pq.read_table(results / "index.parquet").to_pylist()[0]
    assert folder.name == f"{row['label']}-{row['key']}"
    assert json.loads(row["spec"]) == _prepare(planned[1]).spec
    record = json.loads((folder / "spec.json").read_text())
    assert {name: row[name] for name in ("code", "processor", "threads")} == {
        n: record[n] for n in ("code", "processor", "threads")
    }
    assert {name: row[name] for name in ("python", "torch", "numpy")}.items() <= record["versions"].items()
    assert row["environment"] in record["made_in"]


def test_a_results_folder_that_is_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    made = plan.make_plan(config.resolve(toys.raw_config(tmp_path / "file" / "results")))
    with pytest.raises(ValueError, match="must be writable, got"):
        driver.write_plan(made, [])


def test_a_further_round_is_a_whole_config(tmp_path):
    raw = toys.raw_config(tmp_path, levels=0, rewind=[0, 5])
    made = toys.make_plan(raw)
    with pytest.raises(ValueError, match=r"means\.parquet must exist, got no such file; run the experiment first"):
        driver.refined(made, raw, 0, 0.1)
    row = {"task": "toy", "kind": "dense", "level": 0, "density": 1.0, "split": "test", "batchnorm": "averaged"}
    row |= {"deviation": 0.0, "error": 0.0, "seed_error": 0.0, "num_pairs": 3, "num_seeds": 1}
    rows = [row | {"k": k, "instability": value, "stable": value < 0.02} for k, value in ((0, 0.3), (5, 0.0))]
    artifacts.write_table(tmp_path / "tiny" / "means.parquet", tabulation.to_arrow(rows, declared.COLUMNS["means"]))
    found = config.resolve(driver.refined(made, raw, 0, 0.1))
    assert found.experiments["tiny"].grids["toy"].rewind == (0, 2, 5)
    assert found.results == tmp_path
    with pytest.raises(ValueError, match="got none; nothing to refine"):
        driver.refined(made, raw, 0, 1.0)


@pytest.mark.parametrize("change", [{"code": "f" * 12}, {"spec": {"dataset": {"name": "digits", "num_train": 3}}}])
def test_a_node_that_was_changed_in_the_plan_is_refused_also_where_no_file_was_edited(planned, change):
    *_, path = planned
    header, *lines = path.read_text().splitlines()
    assert json.loads(header)["sources"] == fingerprint.CODE.sources
    path.write_text("\n".join([header, *(json.dumps(json.loads(line) | change) for line in lines)]) + "\n")
    with pytest.raises(ValueError, match="code of stage prepare must stay as it was planned during a run, got an edit"):
        _make(planned)
