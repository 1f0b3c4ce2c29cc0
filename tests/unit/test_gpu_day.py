"""A rehearsal of the day on which there is a GPU, with the CPU in its place and a toy for a network."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import sys
import tarfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
import toys
import yaml

from benchmarks.gpu import carrying, checks, phases, science, speeds
from benchmarks.gpu import rows as found
from benchmarks.gpu.bench import Asked
from benchmarks.gpu.rows import Rows
from pipeline_lib.planning import driver, plan_file
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.store import verification

# On a CPU, convolutions of several members have no kernels in bf16.
KNOWN = [
    {"phase": "correct", "check": "vmap = called", "precision": "bf16"},
    {"phase": "ladder", "way": "vmap", "precision": "bf16"},
]


@pytest.fixture
def asked(tmp_path):
    return Asked(torch.device("cpu"), tmp_path / "out", tmp_path / "work", 600.0, tiny=True)


@pytest.mark.parametrize(
    "phase", [checks.place, checks.correct, speeds.speed, speeds.ladder, speeds.compiled, speeds.micro, speeds.measure]
)
def test_a_phase_runs_and_what_it_checks_is_right(asked, phase):
    phase(Rows(asked.out, phase.__name__), asked)
    rows = found.read(asked.out) if (asked.out / found.NAME).is_file() else []
    wrong = [row for row in rows if "error" in row or row.get("good") is False]
    assert [row for row in wrong if not any(each.items() <= row.items() for each in KNOWN)] == []
    assert rows or phase is speeds.compiled, "a compiler takes too long for a rehearsal"


def _command(name: str, left: float) -> list[str]:
    code = {"hangs": "time.sleep(60)", "dies": "os.kill(os.getpid(), signal.SIGKILL)", "works": "print(sys.argv[1:])"}[name]
    return [sys.executable, "-c", f"import os, signal, sys, time; {code}", str(left)]


def test_a_phase_that_hangs_or_dies_costs_itself_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "LEAST", 0.5)
    asked = [phases.Phase("hangs", 1.0), phases.Phase("dies", 20.0), phases.Phase("works", 20.0), phases.Phase("works", 0.1)]
    phases.run(asked, 50.0, _command, Rows(tmp_path, "driver"))
    rows = found.read(tmp_path)
    assert [row.get("code") for row in rows] == ["out of time, -9", "-9", "0", None]
    assert rows[-1]["skipped"] == "works"


def test_a_torn_line_of_a_killed_phase_loses_no_other(tmp_path):
    Rows(tmp_path, "one")(value=1)
    with (tmp_path / found.NAME).open("a") as file:
        file.write('{"phase": "one", "va')
    assert [row["value"] for row in found.read(tmp_path)] == [1]


def test_all_phases_are_there():
    modules = {"checks": checks, "speeds": speeds, "science": science}
    for phase in (*phases.FIRST, *phases.SECOND):
        module, _, function = phase.name.partition(".")
        assert callable(getattr(modules[module], function))


def test_jobs_need_neither_snakemake_nor_what_only_planning_needs():
    listed = {line.partition("==")[0] for line in carrying.missing_wheels(["Torch", "numpy"])}
    assert {"safetensors", "pandas", "wadler-lindig"} <= listed, "with what they need themselves"
    assert not {"torch", "numpy", "snakemake", "jsonschema", "typer", "rewind-pipeline"} & listed


def test_a_job_that_is_stopped_while_it_trains_is_found_to_have_gone_on(asked, tmp_path):
    raw = toys.raw_config(tmp_path / "home", figures=["instability_dense"], levels=0, seeds=1, rewind=[0])
    raw["tasks"]["toy"] |= {"steps": 1000, "evaluate_every": 500}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    carrying.pack(tmp_path / "packed", {"check": path}, [])
    carrying.collect(asked.work, tmp_path / "packed")
    checks.resume(Rows(asked.out, "resume"), asked)
    *stages, stopped = found.read(asked.out)
    assert [(row["check"], row["good"]) for row in stages] == [(f"stage {s}", True) for s in (*checks.ON_DEVICE, checks.TABLES)]
    assert stopped["good"], stopped
    assert (stopped["code"], stopped["kept"]) == (143, 1)
    assert stopped["same"] == stopped["of"] > 0


def test_the_plan_of_checks_has_every_stage_that_computes_on_the_device():
    made = driver.load([carrying.CONFIGS["check"]])
    assert set(checks.ON_DEVICE) <= {node.stage for node in made.nodes.values()}


def _digests(results: Path) -> dict[str, str]:
    files = sorted(path for path in (results / "artifacts").rglob("*") if path.is_file())
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _kill_in_the_middle(results: Path) -> None:
    """Kill the job that makes the plan as soon as one run is trained."""
    while not list(results.glob("artifacts/train/*/spec.json")):
        time.sleep(0.01)
    (child,) = [each for each in psutil.Process(os.getpid()).children() if "make" in each.cmdline()]
    child.send_signal(signal.SIGKILL)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A results folder at home, and a config whose plan is carried."""
    monkeypatch.setattr(carrying, "PART", 10_000)
    raw = toys.raw_config(tmp_path / "home", figures=["instability_dense"], levels=0, seeds=1, rewind=[0])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    monkeypatch.setattr(carrying, "missing_wheels", lambda installed: [])
    return path


def test_results_come_home_as_if_they_had_been_made_there(home, asked, tmp_path):
    packed, results = tmp_path / "packed", asked.work / "results"
    index = carrying.pack(packed, {"science": home}, [])
    first, *others = index["parts"]
    assert others, "several parts"
    assert all((packed / name).stat().st_size <= carrying.PART for name in index["parts"])
    (tmp_path / "kept").mkdir()
    for name in others:  # each call brings some
        (packed / name).rename(tmp_path / "kept" / name)
    assert carrying.collect(asked.work, packed) == others
    for name in others:
        (tmp_path / "kept" / name).rename(packed / name)
    (packed / first).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=f"part {first} must be what was packed"):
        carrying.collect(asked.work, packed)
    (packed / first).unlink()
    assert carrying.collect(asked.work, packed) == [first], "a damaged part counts as none"
    carrying.pack(packed, {"science": home}, [])
    assert carrying.collect(asked.work, packed) == []

    killer = threading.Thread(target=_kill_in_the_middle, args=(results,))
    killer.start()
    science.science(Rows(asked.out, "science"), asked)
    killer.join()
    rows = found.read(asked.out)
    assert [row["code"] for row in rows if row.get("what") == "science"] == [-signal.SIGKILL, 0], "it is begun again"
    assert len([row for row in rows if row.get("what") == "run"]) == 2

    plan = carrying.plan_of(asked.work, "science")
    with tarfile.open(fileobj=io.BytesIO(b"".join(path.read_bytes() for path in sorted(asked.out.glob("back-*"))))) as archive:
        names = archive.getnames()
    assert not [name for name in names if name.startswith("artifacts/prepare/")], "what was carried there stays there"
    carrying.unpack(asked.out, tmp_path / "home")
    assert _digests(tmp_path / "home") == _digests(results)
    made = driver.load([home])
    assert made.identity() == plan.stem
    assert all(
        verification.is_whole(tmp_path / "home" / node["folder"], STAGES[node["stage"]].files) for node in plan_file.nodes(plan)
    )
    times = {
        name: [path.stat().st_mtime_ns for path in (tmp_path / "home" / name).iterdir()]
        for name in (n.folder for n in made.nodes.values())
    }
    for node in made.nodes.values():
        for parent in (each for several in made.parents(node).values() for each in several):
            assert max(times[parent.folder]) <= min(times[node.folder]), "Snakemake takes nothing for outdated"
