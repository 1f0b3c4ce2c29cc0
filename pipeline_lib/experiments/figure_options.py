"""Options of an experiment that only some figures ask for: checked, and completed with defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline_lib.experiments import comparisons, lengths, starts

Asked = Mapping[str, Any]


def _check_different(place: str, given: Sequence[Any], meant: Sequence[Any]) -> None:
    """Refuse a list that says one thing twice in different words, such as 10 and 10it."""
    for i, each in enumerate(meant):
        if each in meant[:i]:
            both = f"{given[meant.index(each)]} and {given[i]}"
            raise ValueError(f"{place} must be a list without repetitions, got {both}, which are both {each}; remove one")


def rewind_steps(place: str, given: Sequence[Any], task: Mapping[str, Any]) -> tuple[int, ...]:
    """Read steps to start from, each below the end of training and said once, in ascending order."""
    steps = lengths.to_steps(given, task)
    _check_different(place, given, steps)
    for k in steps:
        if k >= task["steps"]:
            raise ValueError(f"{place} must be below {task['name']}'s {task['steps']} steps, got {k}; lower it")
    return tuple(sorted(steps))


def _throughout(place: str, given: Mapping[str, Any], e: Mapping[str, Any], task: Any) -> dict[str, Any]:
    """Complete what is asked about instability during training: from which rewind steps, how often, at how many points."""
    found = {"every": "1ep", "rewind": list(e["rewind"]), "alphas": e["alphas"], **given}
    found = lengths.to_steps(found, task)
    _check_different(f"{place}.throughout.rewind", given.get("rewind", ()), found["rewind"] if "rewind" in given else ())
    if found["every"] < 1:
        raise ValueError(f"{place}.throughout.every must be at least one step, got {found['every']}; lengthen it")
    rewind = list(e["rewind"])
    strange = [k for k in found["rewind"] if k not in rewind]
    if strange:
        raise ValueError(f"{place}.throughout.rewind must be steps of rewind, {rewind}, got {strange[0]}; add it there")
    return found


def _pretraining(place: str, given: Mapping[str, Any], e: Mapping[str, Any], task: Any) -> dict[str, Any]:
    """Complete what is asked about pretraining: on which pretexts, for how long, and the ladder to compare with."""
    last = list(e["perturbed"] or e["rewind"])[-1]
    found = {
        "pretexts": list(comparisons.PRETEXTS),
        "durations": ["2ep", "5ep", "10ep", "20ep", "40ep"],
        "reference": last,
        **given,
    }
    found["reference"] = lengths.to_steps(found["reference"], task)
    durations = [str(each) for each in found["durations"]]
    _check_different(f"{place}.pretraining.durations", durations, [lengths.read(each, task) for each in durations])
    found["durations"] = sorted(durations, key=lambda each: lengths.read(each, task))
    for duration in durations:
        texts = [f"k0 | {pretext} for {duration}" for pretext in found["pretexts"]]
        taught = [starts.parse(text, task, f"{place}.pretraining").text for text in texts]
        _check_different(f"{place}.pretraining.pretexts", found["pretexts"], taught)
    return found


def _curvature(place: str, given: Mapping[str, Any], e: Mapping[str, Any], task: Any) -> dict[str, Any]:
    """Complete what is asked about the Hessian: at which steps, and how closely."""
    found = {"steps": list(e["rewind"]), "iterations": 60, "probes": 2, "examples": 2000, "subspace": 10, **given}
    found["steps"] = list(rewind_steps(f"{place}.curvature.steps", found["steps"], task))
    return found


def _telemetry(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about the first steps: how many, and how often the test split is evaluated."""
    found = lengths.to_steps({"steps": 4000, "evaluate_every": 200, **given}, task)
    for key, steps in found.items():
        if steps < 1:
            raise ValueError(f"{place}.telemetry.{key} must be at least one step, got {given[key]}; lengthen it")
    return {**found, "steps": min(found["steps"], task["steps"])}


def _connectivity(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about lines between levels: at how many points, and of which ladders all pairs count."""
    found = {"alphas": 11, "splits": ["test"], **given}
    found["rewind"] = list(rewind_steps(f"{place}.connectivity.rewind", given.get("rewind", e["rewind"][-1:]), task))
    return found


def _levels(place: str, levels: Sequence[int], highest: int) -> list[int]:
    """Check that levels are those of a ladder up to one."""
    for level in levels:
        if level > highest:
            raise ValueError(f"{place} must be at most {highest}, got {level}; raise levels or leave it out")
    return sorted(levels)


def _planes(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about planes: at which levels, how fine and wide they are, and for how many seeds."""
    found = {"levels": list(range(e["levels"])), "points": 51, "margin": 0.5, "seeds": 1, **given}
    found["levels"] = _levels(f"{place}.planes.levels", found["levels"], e["levels"] - 1)
    return found


def _limits(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about limits of pruning: at which levels and ratios, and how closely spectra are measured."""
    found: dict[str, Any] = {"levels": list(range(0, e["levels"], 2)), "fractions": [i / 10 for i in range(1, 10)]}
    found |= {"small_fractions": [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14], "fit_level": min(4, e["levels"])}
    found |= {"iterations": 100, "probes": 4, "examples": 10000, "operators": ["hessian"], "subspace": 10, **given}
    found["levels"] = _levels(f"{place}.limits.levels", found["levels"], e["levels"])
    _levels(f"{place}.limits.fit_level", [found["fit_level"]], e["levels"])
    return found


def _adaptive(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about ratios that adapt: how many levels, and the rule in a start's wording."""
    found = {"levels": e["levels"], "rule": "adaptive", **given}
    _levels(f"{place}.adaptive.levels", [found["levels"]], e["levels"])
    found["rule"] = starts.parse(f"k0 | {found['rule']}", task, f"{place}.adaptive.rule").text.partition(" | ")[2]
    return found


def _lemma(place: str, given: Asked, e: Asked, task: Any) -> dict[str, Any]:
    """Complete what is asked about planted wells."""
    return {"dimension": 500, "distances": [0.5, 1.0, 2.0, 4.0], "epsilon": 0.1, "trials": 200, "subspaces": 50, **given}


_OPTIONS: dict[str, Callable[[str, Asked, Asked, Any], dict[str, Any]]] = {
    "throughout": _throughout, "pretraining": _pretraining, "telemetry": _telemetry, "curvature": _curvature,
    "connectivity": _connectivity, "planes": _planes, "limits": _limits, "adaptive": _adaptive, "lemma": _lemma,
}  # fmt: skip


def complete(place: str, e: Asked, task: Any) -> dict[str, Any]:
    """Complete the options of one task's part of an experiment; None for those that are not asked for.

    Args:
        place: where the experiment is in the config, for errors.
        e: what is asked, defaults laid under it, rewind steps read.
        task: its full description.

    Raises:
        ValueError: naming the key, the rule and the remedy.
    """
    found: dict[str, Any] = {
        name: read(place, e[name], e, task) if e.get(name) is not None else None for name, read in _OPTIONS.items()
    }
    found["perturbed"] = rewind_steps(f"{place}.perturbed", e["perturbed"], task)
    found["starts"] = tuple(starts.parse(text, task, f"{place}.starts").text for text in e["starts"])
    strategies = (starts.parse(f"k0 | {text}", task, f"{place}.retraining") for text in e["retraining"])
    found["retraining"] = tuple(start.text.partition(" | ")[2] for start in strategies)
    for key in ("starts", "retraining"):
        _check_different(f"{place}.{key}", e[key], found[key])
    return found
