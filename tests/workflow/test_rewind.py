"""`rewind run` as a user calls it, on a toy: to the end, to a failure, and on from there."""

from __future__ import annotations

import re
import zipfile

import checkout as co
from checkout import Checkout

from pipeline_lib.commands.support import snakemake
from pipeline_lib.store import lease, progress

BROKEN = ('_by_density(selection.ladders(frames["runs"]), _lines)', '_by_density(selection.ladders(frames["rums"]), _lines)')


def _rewind(checkout: Checkout, *arguments: str) -> co.Outcome:
    return co.call(checkout.root, "-m", "pipeline_lib", *arguments)


def _run(checkout: Checkout, *arguments: str) -> co.Outcome:
    return _rewind(checkout, "run", checkout.config.name, "--cores", "2", *arguments)


def test_a_run_says_what_it_does_and_ends_with_a_summary(tmp_path) -> None:
    checkout = co.blank(tmp_path / "checkout", co.SINGLE)
    outcome = _run(checkout, "--set", "single.levels=1", "--set", "toy.steps=24")
    assert outcome.code == 0, outcome.text
    lines = outcome.text.splitlines()
    told = [line for line in lines if re.match(r"\d\d:\d\d:\d\d ", line)]
    ended = [re.match(r"\S+ (\w+) done \(\d+\)", line) for line in told]
    assert {"prepare", "train", "interpolate", "plot"} <= {found[1] for found in ended if found}
    assert len(lines) < 30, "3,000 lines are for the log"
    assert any(re.match(r"  toy, dense: test error [\d.]+ %, instability [\d.]+ points from k = 0", line) for line in lines)
    assert any(line.startswith("  toy, IMP 64 %: test error") for line in lines)
    assert "figures: results/single/figures, tables: results/single" in lines
    assert set(checkout.table("single", "runs")["steps"]) == {24}
    (log,) = (checkout.results / snakemake.LOGS).iterdir()
    assert f"log: {log.relative_to(checkout.root)}" in lines
    assert "(100%) done" in log.read_text()
    assert progress.going(checkout.results) == []
    status = _rewind(checkout, "status").text
    assert re.match(r"plan \w{12}: (\d+) of \1 artifacts are made\n", status), status
    assert "no run works in this folder" in status
    report = _rewind(checkout, "report", checkout.config.name, "--set", "toy.steps=24")
    assert report.text.splitlines()[-1] == "report: results/single/report/index.html", report.text
    assert zipfile.is_zipfile(checkout.results / "single" / "report.zip")


def test_a_job_that_fails_is_told_with_its_log_and_the_rest_is_kept(single: Checkout) -> None:
    single.edit("pipeline_lib/figures/density.py", *BROKEN)
    outcome = _run(single)
    assert outcome.code == 1, outcome.text
    failed = next(line for line in outcome.text.splitlines() if line.startswith("failed: plot of "))
    log = failed.rpartition("log ")[2]
    assert (single.root / log).is_file()
    assert "    KeyError: 'rums'" in outcome.text.splitlines()
    assert re.search(r"exit code 1; \d+ of \d+ artifacts are made and kept; go on with: rewind run experiment.yaml", outcome.text)
    single.edit("pipeline_lib/figures/density.py", *reversed(BROKEN))
    (single.results / "single" / "figures" / "instability_sparse.svg").unlink()
    assert _run(single, "--figure", "accuracy_by_density").code == 0
    drawn = [path.name for path in (single.results / "single" / "figures").glob("*.svg")]
    assert drawn == ["accuracy_by_density.svg"], "what was not asked for is not made"


def test_after_a_kill_the_lock_is_told_of_and_removed_when_asked(single: Checkout) -> None:
    locks = single.root / ".snakemake" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    left = list((single.results / "single" / "figures").glob("*.svg"))
    for name in ("0.input.lock", "0.output.lock"):
        (locks / name).write_text("".join(f"{path.relative_to(single.root)}\n" for path in left))
    left[0].unlink()
    refused = _run(single)
    assert refused.code == 1
    assert refused.text.splitlines()[-2].endswith("or one was killed; if so, go on with: rewind run experiment.yaml --unlock")
    assert _run(single, "--unlock").code == 0
    assert left[0].is_file()
    held = lease.Lease(single.results, single.root)
    working = _run(single, "--unlock")
    held.release()
    assert working.code == 1
    assert re.match(r"error: run that left a lock must have ended, got process \d+ on .*; wait until it has", working.text)


def test_a_dry_run_counts_jobs_and_a_mistake_is_one_line(single: Checkout) -> None:
    outcome = _run(single, "--dry-run", "--set", "single.seeds=2")
    assert outcome.code == 0
    assert co.job_counts(outcome.text)["train"] > 0
    assert not (single.results / snakemake.LOGS).exists()
    wrong = _run(single, "--set", "single.level=2")
    assert wrong.code == 1
    assert wrong.text.startswith("error: key of single must be one of ")
    assert len(wrong.text.splitlines()) == 1
