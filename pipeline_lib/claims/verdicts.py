"""Verdicts: what was measured of each claim on each setting, and whether it obeys the claim's rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline_lib.claims import evidence, rules
from pipeline_lib.claims.evidence import Evidence, Frames, Missing
from pipeline_lib.claims.loading import ANY, NONE, OWN, Claim
from pipeline_lib.claims.rules import Measured
from pipeline_lib.claims.wording import Words, settled
from pipeline_lib.core import registry

Roles = Mapping[str, Words]


def settings_of(claim: Claim, tasks: Iterable[str], named: set[str]) -> list[str]:
    """List the settings that a claim is judged on.

    Args:
        claim: the claim.
        tasks: those of the experiment.
        named: those that claims of the same paper name.
    """
    if claim.tasks == (NONE,):
        return ["-"]
    known = list(tasks)
    if claim.tasks == (ANY,):
        return known
    own = [task for task in known if task not in named] if OWN in claim.tasks else []
    return [task for task in claim.tasks if task != OWN] + own


def named_tasks(claims: Iterable[Claim]) -> dict[str, set[str]]:
    """List the tasks that each paper's claims name."""
    found: dict[str, set[str]] = {}
    for claim in claims:
        found.setdefault(claim.family, set()).update(set(claim.tasks) - {ANY, OWN, NONE})
    return found


def _words(claim: Claim, found: Measured | None) -> str:
    options = {key: value for key, value in claim.rule.items() if key != "name"}
    words = rules.RULES[claim.rule["name"]][1].format(**options)
    return words if found is None or found.p is None else f"{words}, and not by chance"


def _row(claim: Claim, setting: str, found: Measured | None, needs: str) -> dict[str, Any]:
    verdict = "not measured"
    if found is not None:
        options = {key: value for key, value in claim.rule.items() if key != "name"}
        allowed = rules.RULES[claim.rule["name"]][0](found, claim.paper, **options)
        verdict = rules.verdict(found, allowed, claim.level)
    value, low, high = (None if found is None or math.isnan(end := getattr(found, name)) else float(end)
                        for name in ("value", "low", "high"))  # fmt: skip
    return {
        "claim": claim.id, "family": claim.family, "setting": setting, "text": claim.text, "source": claim.source,
        "unit": claim.paper.unit, "measured": value, "low": low, "high": high, "level": claim.level,
        "p": None if found is None else found.p, "num": None if found is None else found.num,
        "asked": None if found is None else found.asked, "paper_value": claim.paper.value,
        "paper_spread": claim.paper.spread, "rule": _words(claim, found), "verdict": verdict, "needs": needs or None,
    }  # fmt: skip


def measure(claim: Claim, ev: Evidence, words: Words) -> Measured:
    """Measure one claim on one setting.

    Raises:
        Missing: the tables, or the grid, lack what it takes.
    """
    try:
        options = settled(claim.measure, words)
    except ValueError as error:
        raise Missing(str(error)) from None
    return registry.entries("measures")[claim.measure["name"]].load()(ev, **options)


def judge(
    claims: Sequence[Claim], frames: Frames, roles: Roles, seeds: Mapping[str, Iterable[int]] | None = None
) -> list[dict[str, Any]]:
    """Judge claims on what was measured.

    Args:
        claims: what to judge.
        frames: the tables by name; those that are missing leave their claims unmeasured.
        roles: for each task that was run, what the words of claims stand for: see `wording.roles`.
        seeds: those that were asked for, by task; those in its tables, where they are not given.

    Returns:
        One row of the table `claims` a claim and setting.
    """
    tables = {task: evidence.of_task(frames, task) for task in roles} | {"-": frames}
    asked = {name: evidence.seeds_of(own) | frozenset((seeds or {}).get(name, ())) for name, own in tables.items()}
    named, rows = named_tasks(claims), []
    for claim in claims:
        for setting in settings_of(claim, roles, named[claim.family]):
            found, needs = None, ""
            if setting in tables:
                words = roles.get(setting, {})
                ev = Evidence(tables[setting], words.get("sparse", 0), claim.level, claim.least, asked[setting])
                try:
                    found = measure(claim, ev, words)
                except Missing as missing:
                    needs = str(missing)
            else:
                needs = f"task {setting}"
            rows.append(_row(claim, setting, found, needs))
    return rows
