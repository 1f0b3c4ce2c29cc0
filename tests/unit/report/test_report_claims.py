"""Claims in a report."""

from __future__ import annotations

import pandas as pd
import reported

from pipeline_lib.report import claims


def _read():
    return claims.read(pd.DataFrame(reported.claims()))


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
    (share,) = claims.read(pd.DataFrame([reported.claim("share", unit="1")]))
    assert (share.measured, share.papers) == ("2 (1.5 to 2.5)", "1.9 ± 0.1")
    assert first.seeds == "3 of 3"


def test_each_has_an_id_of_its_own():
    twice = claims.read(pd.DataFrame([reported.claim("a b"), reported.claim("a b", setting="x<y")]))
    assert [each.anchor for each in twice] == ["claim-B-a_b-toy", "claim-B-a_b-x_y"]


def test_what_was_measured_comes_first():
    found = claims.read(pd.DataFrame(reported.claims()[::-1]))
    assert [each.verdict for each in found] == ["holds", "fails", "undecided", "not measured"]


def test_verdicts_are_counted_in_their_order():
    assert list(claims.verdicts(_read()).items()) == [("holds", 1), ("fails", 1), ("undecided", 1), ("not measured", 1)]
