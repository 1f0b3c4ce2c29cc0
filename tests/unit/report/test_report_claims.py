"""Claims in a report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import reported

from pipeline_lib.planning.claims_cost import Costs
from pipeline_lib.report import claims


def _read():
    return claims.read(pd.DataFrame(reported.claims()), Costs(Path("none")))


def test_values_have_intervals_and_units_and_are_sorted_by_number():
    first, second, third, fourth = _read()
    assert (first.measured, first.sort_measured) == ("2 (1.5 to 2.5) %", "2.0")
    assert (first.papers, first.sort_papers) == ("1.9 ± 0.1 %", "1.9")
    assert second.measured == "10 (9 to ∞) %"
    assert second.papers == "1.9 %"
    assert third.measured == "beyond the grid (-1 to ∞) %"
    assert float(third.sort_measured.replace("Infinity", "inf")) == float("inf")
    assert (fourth.measured, fourth.sort_measured, fourth.papers, fourth.seeds) == ("", "", "", "")
    assert fourth.needs == "task other"
    (share,) = claims.read(pd.DataFrame([reported.claim("share", unit="1")]), Costs(Path("none")))
    assert (share.measured, share.papers) == ("2 (1.5 to 2.5)", "1.9 ± 0.1")
    assert first.seeds == "3 of 3"


def test_each_has_an_id_of_its_own():
    twice = claims.read(pd.DataFrame([reported.claim("a b"), reported.claim("a b", setting="x<y")]), Costs(Path("none")))
    assert [each.anchor for each in twice] == ["claim-B-a_b-toy", "claim-B-a_b-x_y"]


def test_what_was_measured_comes_first():
    found = claims.read(pd.DataFrame(reported.claims()[::-1]), Costs(Path("none")))
    assert [each.verdict for each in found] == ["holds", "fails", "undecided", "not measured"]


def test_verdicts_are_counted_in_their_order():
    counted = claims.verdicts(each.verdict for each in _read())
    assert list(counted.items()) == [("holds", 1), ("fails", 1), ("undecided", 1), ("not measured", 1)]


def test_a_claim_that_needs_a_task_says_what_that_takes():
    lost = reported.claim("lost", family="paper B", verdict="not measured", needs="task vgg16")
    table = pd.DataFrame([lost, lost | {"needs": "3 seeds"}])
    first, second = claims.read(table, Costs(Path("none")))
    assert first.cost.endswith(" steps, unknown hours")
    assert second.cost == ""
    rest = claims.rest(table, "tiny", Costs(Path("none")))
    assert [row["needs"] for row in rest] == ["task vgg16", "3 seeds"]
    assert claims.rest(None, "tiny", Costs(Path("none"))) == []
