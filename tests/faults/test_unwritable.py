"""Folders that may be read and not written: results, where a run is started, the checkout itself. Home folders: test_homes.py."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import checkout as co
import pytest

from pipeline_lib.store import lease

SMALL: co.Config = {
    "tasks": {"toy": co.TOY},
    "experiments": {"small": {"tasks": ["toy"], "seeds": 1, "orders": 1, "levels": 0, "figures": ["learning_curves"]}},
}
_DROP, _OVERRIDE = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def _bound() -> None:
    """Let file modes bind what this process starts, as they bind everyone but root."""
    if os.getuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(_DROP, _OVERRIDE, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "root cannot give up to write anywhere")


def _call(root: Path, *words: str) -> co.Outcome:
    environment = co.environment(PYTHONPATH=str(co.PROJECT), OMP_NUM_THREADS="1")
    return co.call(root, "-m", *words, env=environment, preexec_fn=_bound)


def _set(folder: Path, mode: int) -> None:
    for each in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        each.chmod(mode)


@pytest.fixture
def work(tmp_path: Path):
    """A folder with a config, where a run may be started, and results."""
    (tmp_path / "here").mkdir()
    co.Checkout(tmp_path / "here", tmp_path / "here" / co.CONFIG_NAME).configure(SMALL | {"results": str(tmp_path / "results")})
    yield tmp_path
    _set(tmp_path, 0o755)  # so that pytest can remove it


def _assert_refused(outcome: co.Outcome, *expected: str) -> None:
    assert outcome.code == 1, outcome.text
    assert "Traceback" not in outcome.text
    (line,) = [line for line in outcome.text.splitlines() if "must be writable" in line]
    assert [text for text in ("got", "Permission denied; ", *expected) if text not in line] == [], line


@pytest.mark.parametrize("words", [("plan", "--write"), ("run", "--cores", "1"), ("run", "--dry-run", "--cores", "1")])
def test_results_that_may_not_be_written_are_named(work: Path, words: tuple[str, ...]) -> None:
    (work / "results" / "plans").mkdir(parents=True)
    _set(work / "results", 0o555)
    before = co.contents(work)
    told = _call(work / "here", "pipeline_lib", words[0], co.CONFIG_NAME, *words[1:])
    _assert_refused(told, f"{work}/results/plans/", "set results in the config")
    assert co.contents(work / "results") == {}
    assert before.items() <= co.contents(work).items()


def test_finished_results_that_may_not_be_written_can_be_read(single: co.Checkout) -> None:
    _set(single.results, 0o555)
    before = co.contents(single.results)
    for words in (
        ("plan", co.CONFIG_NAME),
        ("gc", co.CONFIG_NAME),
        ("status",),
        ("list", "runs"),
        ("show", "single/runs:0"),
        ("verify",),
    ):
        outcome = _call(single.root, "pipeline_lib", *words)
        assert outcome.code == 0, outcome.text
    refused = {
        ("run", co.CONFIG_NAME, "--cores", "1"): "logs/runs/",
        ("report", co.CONFIG_NAME): "single/report/index.html",
        ("gc", co.CONFIG_NAME, "--undo"): lease.FILE,
    }
    for words, name in refused.items():
        _assert_refused(_call(single.root, "pipeline_lib", *words), f"results/{name}")
    snakemake = _call(single.root, *co.snakemake_command(single, "--forcerun", "publish_table", cores=1)[1:])
    _assert_refused(snakemake, f"results/{lease.FILE}")
    assert co.contents(single.results) == before
    _set(single.results, 0o755)


def test_a_run_is_not_started_where_snakemake_can_keep_no_records(work: Path) -> None:
    _set(work / "here", 0o555)
    began = _call(work / "here", "pipeline_lib", "run", co.CONFIG_NAME, "--cores", "1")
    _assert_refused(began, f"working folder must be writable, as Snakemake keeps its records in it, got {work}/here/.snakemake: ")
    config = (f"--configfile={work}/here/{co.CONFIG_NAME}", f"--snakefile={co.PROJECT}/workflow/Snakefile")
    _assert_refused(_call(work / "here", "snakemake", "--cores", "1", *config), "working folder must be writable")
    assert not (work / "results").exists(), "nothing is begun"
    found = _call(work / "here", "pipeline_lib", "doctor", "--results", str(work / "results"))
    assert found.code == 1
    assert f"missing  records: {work}/here/.snakemake cannot be written: Permission denied; start runs in another" in found.text


def test_a_checkout_that_may_not_be_written_makes_results_elsewhere(work: Path) -> None:
    checkout = co.blank(work / "checkout", SMALL)
    _set(checkout.root, 0o555)
    before = co.contents(checkout.root)
    environment = co.environment(PYTHONPATH=str(checkout.root), OMP_NUM_THREADS="1")
    for words in (("plan", co.CONFIG_NAME, "--write"), ("make",)):
        plans = map(str, (work / "results" / "plans").glob("*.jsonl"))
        given = [*words, *(plans if words == ("make",) else ())]
        outcome = co.call(work / "here", "-P", "-m", "pipeline_lib", *given, env=environment, preexec_fn=_bound)
        assert outcome.code == 0, outcome.text
    assert (work / "results" / "small" / "figures" / "learning_curves.svg").is_file()
    assert co.contents(checkout.root) == before
