from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_lib.core import processors


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch):
    """No number of processors from outside; two that the process may run on."""
    for name in (processors.VARIABLE, "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)


def test_they_are_those_that_the_process_may_run_on():
    assert processors.usable() == 2


def test_the_threads_of_arithmetic_do_not_count(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert processors.usable() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert processors.usable() == 2


def test_slurm_says_how_many_it_gave(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert processors.usable() == 8


def test_what_a_rule_gives_goes_first(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    monkeypatch.setenv(processors.VARIABLE, "4")
    assert processors.usable() == 4


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5", " "])
def test_another_number_is_refused(given, monkeypatch):
    monkeypatch.setenv(processors.VARIABLE, given)
    with pytest.raises(ValueError, match=r"^PIPELINE_THREADS must be a whole number above 0, got .*; change or unset it$"):
        processors.usable()


def test_a_system_without_affinities_gives_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors.usable() == 6


def test_a_job_that_was_given_several_does_arithmetic_with_one():
    """Snakemake sets all of these to the threads of a rule."""
    given = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "3")
    code = "from pipeline_lib import __main__; __main__.main(['tasks']); import torch; print(torch.get_num_threads())"
    environment = os.environ | given | {processors.VARIABLE: "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "1"


JOB = """
import sys
sys.path.insert(0, {tests!r})
{first}
import hashlib
from pathlib import Path
import toys
from pipeline_lib.planning import driver
made = toys.make_plan(toys.raw_config(Path({results!r}), seeds=1, orders=1, rewind=[0], levels=0, figures=["learning_curves"]))
plan, nodes = driver.write_plan(made, []), {{node.stage: node for node in made.nodes.values()}}
for stage in ("prepare", "pretrain", "train"):
    driver.run_node(stage, made.config.results / nodes[stage].folder, plan)
import torch
folder = made.config.results / nodes["train"].folder
print(torch.get_num_threads(), [(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in sorted(folder.iterdir())])
"""


@pytest.mark.parametrize("first", ["", "import torch"])
def test_the_threads_of_the_environment_change_no_bit(tmp_path, first):
    """Also where torch was there before the job: a product over 512 units is split among threads, and sums differ."""
    found = []
    for threads in ("1", "2"):
        given = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        code = JOB.format(tests=str(Path(__file__).parents[2]), results=str(tmp_path / threads), first=first)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | given)
        found.append(done.stdout.splitlines()[-1])
    assert found[0] == found[1]
    assert found[0].startswith("1 [('curves.parquet'")
