"""What other code made is kept: nothing runs again, tables stay as they are, and it is told."""

from __future__ import annotations

import json
import signal

import checkout as co
from checkout import Checkout

EDIT = ("pipeline_lib/training/loop.py", "CHECK_EVERY = 100", "CHECK_EVERY = 101")


def _adopt(checkout: Checkout, *arguments: str, **options: object) -> co.Outcome:
    return co.call(checkout.root, "-m", "pipeline_lib", "adopt", checkout.config.name, *arguments, **options)


def test_a_kept_stage_and_what_follows_need_no_job(single: Checkout) -> None:
    before = co.contents(single.results / "single")
    single.edit(*EDIT)
    assert co.dry(single)["train"] == 6
    everything = co.contents(single.results)
    listed = _adopt(single)
    assert listed.code == 0, listed.text
    assert "-CHECK_EVERY = 100\n+CHECK_EVERY = 101\n" in listed.text
    assert "--keep pretrain --keep train" in listed.text
    for refused in (_adopt(single, "--keep", "train", input="n\n"), _adopt(single, "--keep", "train", input="")):
        assert "to be kept: pretrain 1, train 6" in refused.text
    assert "error: keeping must be agreed to, got no answer; add --yes" in refused.text
    assert co.contents(single.results) == everything
    agreed = _adopt(single, "--keep", "train", input="y\n")
    assert (agreed.code, "still to run: nothing" in agreed.text) == (0, True), agreed.text
    assert co.dry(single) == {}
    co.succeed(single)
    assert co.contents(single.results / "single") == before
    told = co.call(single.root, "-m", "pipeline_lib", "verify").text
    assert "train: 6 artifacts of code " in told
    assert "count as made by code " in told
    again = _adopt(single, "--keep", "train")
    assert "stage to keep must have artifacts that differ by code alone, got none of train" in again.text
    report = single.root / "report.html"
    co.succeed(single, "--report", report.name)
    assert "train: 6 artifacts of code " in report.read_text(encoding="utf-8")
    assert _adopt(single, "--undo").code == 0
    assert co.dry(single)["train"] == 6


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline_lib import __main__

replace = Path.replace

def dying(self, target):
    if Path(target).name == "adopted.json":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = dying
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_a_killed_adopt_changes_nothing_and_can_be_repeated(single: Checkout) -> None:
    single.edit(*EDIT)
    before = co.dry(single)
    killed = co.call(single.root, "-c", KILLED, "adopt", single.config.name, "--keep", "train", "--yes")
    assert killed.code == -signal.SIGKILL, killed.text
    assert co.dry(single) == before
    assert _adopt(single, "--keep", "train", "--yes").code == 0
    assert co.dry(single) == {}


def test_results_of_an_earlier_kind_are_made_once_more_and_told_once(single: Checkout) -> None:
    for path in single.results.glob("artifacts/*/*/spec.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({name: fact for name, fact in record.items() if name not in ("code", "format")}))
    single.edit("pipeline_lib/planning/keys/fingerprint.py", "FORMAT = 1 ", "FORMAT = 2 ")
    told = f"what is left over then is removed by: rewind gc {single.config} --remove"
    assert co.succeed(single, "--dry-run").count(told) == 1
    co.make(single)
    assert told not in co.succeed(single, "--dry-run")
    outcome = co.call(single.root, "-m", "pipeline_lib", "gc", str(single.config), "--remove", "--yes")
    assert "24 artifacts moved" in outcome.text
    assert set(co.dry(single)) == {"publish"}, "Snakemake's own records are of the copies that were there before"
