"""`python -m pipeline_lib make PLAN`: the files that Snakemake's run makes, where there is no Snakemake."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import checkout as co
from checkout import Checkout

# Nothing that is imported may be Snakemake, or what only planning and the command for people need.
BARE = "import sys; sys.modules |= dict.fromkeys(['snakemake', 'typer', 'rich', 'jsonschema', 'platformdirs', 'pygments']); "
MAKE = f"{BARE}from pipeline_lib import __main__ as command; sys.exit(command.main(sys.argv[1:]))"


def _words(checkout: Checkout, *more: str) -> list[str]:
    return ["-c", MAKE, "make", str(checkout.plan_file().relative_to(checkout.root)), *more]


def _results(checkout: Checkout) -> dict[str, str]:
    """Digests of all that is made and published."""
    return {name: digest for name, digest in co.contents(checkout.results).items() if name.startswith(("artifacts/", "single/"))}


def _forget(checkout: Checkout) -> None:
    """Remove all that was made, and Snakemake's memory of it; its records of how long jobs took stay."""
    for folder in ("results/artifacts", "results/single", ".snakemake"):
        shutil.rmtree(checkout.root / folder)


def _trained(checkout: Checkout) -> list[str]:
    return [str(path) for path in checkout.results.glob("artifacts/train/*/spec.json")]


def test_a_plan_is_made_without_snakemake_to_the_same_bytes_and_goes_on_after_a_kill(single: Checkout) -> None:
    whole = _results(single)
    _forget(single)
    job = subprocess.Popen([sys.executable, *_words(single)], cwd=single.root, env=co.environment(), stderr=subprocess.PIPE)
    while job.poll() is None and not _trained(single):
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert job.returncode == -signal.SIGKILL, "it was to be interrupted in the middle"
    begun = {path: (single.root / path).stat().st_mtime_ns for path in _trained(single)}
    outcome = co.call(single.root, *_words(single))
    assert outcome.code == 0, outcome.text
    assert _results(single) == whole
    assert all((single.root / path).stat().st_mtime_ns == made for path, made in begun.items()), "what was made is not made again"
    assert "figures: results/single/figures, tables: results/single" in outcome.text
    assert co.dry(single) == {}, "Snakemake takes it for its own"


def test_it_lets_go_as_a_run_does_and_what_was_let_go_is_made_again_to_the_same_bytes(single: Checkout) -> None:
    (state,) = single.results.glob("artifacts/train/*-L1-imp-o0-*/state.safetensors")
    before = state.read_bytes()
    single.configure({**co.SINGLE, "keep": "measured"})
    assert co.call(single.root, "-m", "pipeline_lib", "plan", str(single.config), "--write").code == 0
    outcome = co.call(single.root, *_words(single))
    assert outcome.code == 0, outcome.text
    assert "files of states and masks are removed" in outcome.text
    assert not state.exists()
    outcome = co.call(single.root, "-m", "pipeline_lib", "remake", state.parent.name[-12:])
    assert outcome.code == 0, outcome.text
    assert state.read_bytes() == before
    assert co.dry(single) == {}


def test_it_ends_with_a_stage_publishes_nothing_then_and_names_the_node_that_fails(single: Checkout) -> None:
    (wrong,) = single.results.glob("artifacts/prune/*-L1-*/mask.safetensors")
    for folder in ("rewind", "interpolate", "plot"):
        shutil.rmtree(single.results / "artifacts" / folder)
    wrong.write_bytes(wrong.read_bytes()[:100])
    outcome = co.call(single.root, *_words(single, "--until", "rewind"))
    assert outcome.code == 1
    last = outcome.text.splitlines()[-1]
    assert last.startswith("error: node artifacts/rewind/toy-s0-k0-L1-imp-"), last
    assert f"artifact {wrong.relative_to(single.root)} must be" in last
    shutil.rmtree(wrong.parent)
    assert co.call(single.root, *_words(single, "--until", "rewind")).code == 0
    there = {path.name for path in (single.results / "artifacts").iterdir()}
    assert "rewind" in there
    assert not there & {"plot", "interpolate"}
    outcome = co.call(single.root, *_words(single, "--until", "rewnd"))
    assert outcome.text.splitlines()[-1].startswith("error: stage must be one of")
