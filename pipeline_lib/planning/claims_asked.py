"""Which claims a plan cannot decide, whatever is measured, and what they would need."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline_lib.claims import loading, verdicts, wording
from pipeline_lib.claims.evidence import Evidence, Missing
from pipeline_lib.claims.loading import Claim
from pipeline_lib.claims.wording import Words
from pipeline_lib.experiments.config import CLAIMS
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.planning.nodes import Plan
from pipeline_lib.planning.plan import roles

_MOST = 4  # needs that are named


class _Reached(Exception):  # noqa: N818 - no fault
    """A measure got to a table that is planned."""


class _Planned:
    """Stands for a table that there will be."""

    def __len__(self) -> int:
        raise _Reached

    def __getattr__(self, name: str) -> Any:
        raise _Reached

    def __getitem__(self, name: object) -> Any:
        raise _Reached

    def __contains__(self, name: object) -> bool:
        raise _Reached


def _grid_lacks(claim: Claim, options: dict[str, Any], roles: Words, steps: tuple[int, ...], num_seeds: int) -> str | None:
    """Name what a task's grid lacks for a claim."""
    if num_seeds < claim.least and claim.rule["name"] != "equal":
        return f"{claim.least} seeds"
    missing = sorted(set(wording.named_steps(options)) - set(steps))
    if missing:
        return f"rewind step {missing[0]}"
    levels = [options[name] for name in ("level", "from_level", "to_level") if name in options]
    if max(levels, default=0) > roles["deepest"]:
        return f"{max(levels)} levels"
    return None


def _needs(claim: Claim, setting: str, e: Experiment, tables: dict[str, Any]) -> str | None:
    """Name what keeps a claim from being decided on a setting; None if nothing is known to."""
    own: dict[str, Any] = {}
    if setting != "-":
        if setting not in e.grids:
            return f"task {setting}"
        grid = e.grids[setting]
        own = roles(grid)
        try:
            options = wording.settled(claim.measure, own)
        except ValueError as error:
            return str(error)
        lacks = _grid_lacks(claim, options, own, grid.rewind, len(grid.seeds))
        if lacks:
            return lacks
    ev = Evidence(tables, own.get("sparse", 0), claim.level, claim.least)
    try:
        verdicts.measure(claim, ev, own)
    except Missing as missing:
        return str(missing)
    except _Reached:
        pass
    return None


def needs(e: Experiment, plan: Plan) -> dict[tuple[str, str], str | None]:
    """Say of each claim of an experiment and setting what it would need to be decided; None if nothing is known to be lacking."""
    claims = [claim for name in e.claims for claim in loading.load(CLAIMS / f"{name}.yaml")]
    tables: dict[str, Any] = {name: _Planned() for name in plan.tables[e.name]}
    tables |= {f"changed_{name}": tables[name] for name in ("runs", "curves") if name in tables}
    named = verdicts.named_tasks(claims)
    pairs = [(claim, setting) for claim in claims for setting in verdicts.settings_of(claim, e.grids, named[claim.family])]
    return {(claim.id, setting): _needs(claim, setting, e, tables) for claim, setting in pairs}


def report(plan: Plan) -> list[str]:
    """Write, a line an experiment that asks for claims, how many of them can be decided, and what the others need."""
    lines = []
    for e in (e for e in plan.config.experiments.values() if e.claims):
        found = needs(e, plan)
        lacking = Counter("another task of the papers" if need.startswith("task ") else need for need in found.values() if need)
        most = [f"{num} need {what}" for what, num in lacking.most_common(_MOST)]
        rest = lacking.total() - sum(num for _, num in lacking.most_common(_MOST))
        words = "; ".join([*most, *([f"{rest} need other things"] if rest else [])])
        line = f"claims of {e.name}: {len(found) - lacking.total()} of {len(found)} can be decided"
        lines.append(f"{line} ({words})" if words else line)
    return lines
