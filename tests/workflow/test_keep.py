"""With `keep: measured`, states go once all is measured that reads them, and come back when something has to read them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import checkout as co
from checkout import Checkout


def _states(checkout: Checkout) -> set[Path]:
    return {path for path in checkout.results.glob("artifacts/*/*/*.safetensors") if path.parents[1].name != "prepare"}


def _verified(checkout: Checkout) -> bool:
    outcome = co.call(checkout.root, "-m", "pipeline_lib", "verify", "results")
    assert outcome.code == 0, outcome.text
    return True


def _measure_lines_anew(checkout: Checkout) -> tuple[Counter[str], dict[str, int]]:
    """Edit what lines are measured by: all networks are trained again for it. Gives the plan's and the run's jobs by stage."""
    stages = Counter(node["stage"] for node in checkout.nodes().values())
    checkout.edit("pipeline_lib/analysis/paths.py", "algebra.distance(first.params, second.params, prunable)", "12.5")
    jobs = co.dry(checkout)
    again = ("pretrain", "rewind", "train", "prune", "interpolate")
    assert {stage: jobs[stage] for stage in again} == {stage: stages[stage] for stage in again}
    return stages, jobs


def test_states_go_and_an_edit_then_makes_what_it_reads_and_nothing_else(single: Checkout) -> None:
    before = len(_states(single))
    single.configure({**co.SINGLE, "keep": "measured"})
    assert co.dry(single) == {}

    # A figure is drawn again from tables.
    single.edit(*co.OTHER_FIGURE)
    assert co.dry(single) == {"plot": 1, "publish": 1}
    assert f"keep: measured: {before} files of states and masks are removed" in co.succeed(single)
    assert _states(single) == set()
    assert _verified(single)
    assert co.dry(single) == {}

    # A measurement is made again from networks that are trained again, for which nothing else is measured again.
    stages, jobs = _measure_lines_anew(single)
    assert jobs["tabulate"] < stages["tabulate"]  # not that of runs
    co.succeed(single)
    assert (single.table("single", "distances")["l2_weights"] == 12.5).all()
    assert _states(single) == set()
    assert _verified(single)
    assert co.dry(single) == {}


def test_states_go_where_nothing_has_to_run_and_are_not_made_again_for_what_is_there(single: Checkout) -> None:
    before = len(_states(single))
    single.configure({**co.SINGLE, "keep": "measured"})
    outcome = co.call(single.root, "-m", "pipeline_lib", "run", co.CONFIG_NAME, "--cores", "1")
    assert outcome.code == 0, outcome.text
    assert f"keep: measured: {before} files of states and masks are removed" in outcome.text
    assert _states(single) == set()

    single.configure(co.SINGLE)
    assert co.dry(single) == {}
    _measure_lines_anew(single)
    co.succeed(single)
    assert len(_states(single)) == before, "all is kept again"
    assert co.dry(single) == {}
