"""The claims of a report: what was measured beside what the paper says, each with its verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_lib.claims.rules import VERDICTS
from pipeline_lib.planning import claims_cost
from pipeline_lib.planning.claims_cost import Cost, Costs
from pipeline_lib.report.contents import anchor

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Judged:
    """A claim on a task.

    Args:
        paper, task, verdict: by which claims are filtered.
        claim, text, source: what the paper says, and where.
        measured, papers: values in words, the measured one with its interval.
        sort_measured, sort_papers: by which they are sorted; empty for no value.
        rule: what the measured value must obey.
        seeds: how many it is known of, out of those that were asked for.
        needs: what the tables lack, where it was not measured.
        cost: what measuring it takes, in words, where it needs a whole task that a config of the paper has.
    """

    paper: str
    task: str
    verdict: str
    claim: str
    text: str
    source: str
    measured: str
    sort_measured: str
    papers: str
    sort_papers: str
    rule: str
    seeds: str
    needs: str
    cost: str

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return anchor("claim", self.paper, self.claim, self.task)


def _is_there(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: float, beyond: str = "∞") -> str:
    if math.isinf(value):
        return beyond if value > 0 else f"−{beyond}"
    return f"{value:.4g}"


def _unit(row: Any) -> str:
    return "" if row.unit in ("", "-", "1") else f" {row.unit}"


def _measured(row: Any) -> str:
    """Write a measured value with its interval."""
    if not _is_there(row.measured):
        return ""
    ends = _is_there(row.low) and _is_there(row.high) and (row.low, row.high) != (row.measured, row.measured)
    interval = f" ({_number(row.low)} to {_number(row.high)})" if ends else ""
    return f"{_number(row.measured, 'beyond the grid')}{interval}{_unit(row)}"


def _papers(row: Any) -> str:
    """Write the paper's value with its standard deviation."""
    if not _is_there(row.paper_value):
        return ""
    spread = f" ± {_number(row.paper_spread)}" if _is_there(row.paper_spread) else ""
    return f"{_number(row.paper_value)}{spread}{_unit(row)}"


def _sorted_by(value: Any) -> str:
    return repr(float(value)).replace("inf", "Infinity") if _is_there(value) else ""


def _judged(row: Any, cost: Cost | None) -> Judged:
    values = _measured(row), _sorted_by(row.measured), _papers(row), _sorted_by(row.paper_value)
    seeds = f"{row.num:.0f} of {row.asked:.0f}" if _is_there(row.num) and row.num else ""
    who = row.family, row.setting, row.verdict, row.claim, row.text, row.source
    return Judged(*who, *values, row.rule or "", seeds, row.needs or "", str(cost or ""))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.astype(object).to_dict("records")]


def read(table: pd.DataFrame, costs: Costs) -> list[Judged]:
    """Read the table of claims; what was measured comes first, by verdict.

    Args:
        table: as `judge` makes it.
        costs: what measuring those takes that were not.
    """
    rows = zip(table.astype(object).itertuples(), _records(table), strict=True)
    found = [_judged(row, costs.of(record)) for row, record in rows]
    return sorted(found, key=lambda each: VERDICTS.index(each.verdict))


def verdicts(found: Iterable[str]) -> dict[str, int]:
    """Count verdicts, in their usual order."""
    counts = Counter(found)
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def rest(table: pd.DataFrame | None, experiment: str, costs: Costs) -> list[dict[str, Any]]:
    """List what claims that were not measured need, and what that takes: see `claims_cost.rows`.

    Args:
        table: of claims, None where there is none.
        experiment: whose it is.
        costs: what papers' experiments cost.
    """
    found = [] if table is None else _records(table)
    return claims_cost.rows([{"experiment": experiment} | row for row in found], costs)
