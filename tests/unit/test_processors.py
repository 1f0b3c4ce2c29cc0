from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline_lib import processors


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
    code = "from pipeline_lib import __main__, processors; __main__.main(['tasks']); import torch; print(torch.get_num_threads())"
    environment = os.environ | given | {processors.VARIABLE: "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "1"
