"""What a run starts from, as a config words it.

    start        = ( "k" length | checkpoint ) { "|" change }   names that the config has under `checkpoints`
    change       = "mask" | "mask(" name ")" | perturbation | teaching | strategy | rule | further
    perturbation = call [ "in" layer ]                          a name of `perturbations/`; tensors whose names begin so
    teaching     = call { "+" call } ("for" | "until") length   names of `pretexts/`
    strategy     = call                                         a name of `retraining`: how pruned networks are trained
    rule         = call                                         a name of `adaptive`: how much a ladder prunes at each level
    further      = "prune(" fraction [ "," criterion ] ")"      a name of `criteria`: the solution is pruned once more
    call         = name [ "(" value { "," value } ")" ]         options in order, or option=value

`k500 | shuffle(layer, same_sign)` is W_500, masked, its weights shuffled. `k0 | rotation for 40ep` is W_0 after 40 epochs of
predicting rotations, from which training begins anew at step 0; `until 40ep` instead trains to that step of the task's own
schedule and goes on from there. What is taught before the first perturbation, the dense network learns, and a ladder of its
own rewinds to the result; a strategy or rule there is that ladder's own. `mask` moves that border: `k500 | mask | rotation
for 40ep` teaches each sparse network, whose mask comes from the ladder of W_500, and `k500 | lr_rewinding | mask |
weight_rewinding` rewinds to W_500 with the masks of a ladder that only rewound its learning rate. `a | mask(snip)` is the
config's checkpoint a, under its mask snip instead of a ladder's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from pipeline_lib.core import registry
from pipeline_lib.experiments import criteria, lengths
from pipeline_lib.experiments.brought import NONE, Own
from pipeline_lib.experiments.changes import Bound, Change, Further, Masked, Perturbation, Retraining, Rule, Start, Teaching

_LENGTH = r"\d+(?:\.\d+)?(?:ep|it)?"
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")
_LAYER = re.compile(r"(.+?)\s+in\s+([A-Za-z_][\w.]*)\s*")
_TEACHING = re.compile(rf"(.+?)\s+(for|until)\s+({_LENGTH})\s*")
_MASK = re.compile(r"\s*mask\s*\(\s*(\w+)\s*\)\s*")
_PRUNE = re.compile(r"\s*prune\s*\(\s*(\d*\.?\d+(?:e-\d+)?)\s*(?:,\s*(\w+)\s*)?\)\s*")
_SUPPLIED = ("weights", "around", "rng", "next_mask", "dense_batches", "dense_examples", "highest_loss", "floor")
_EXAMPLE = "write it like 'k500 | shuffle(layer, same_sign)' or 'k0 | blur + rotation for 40ep'"


def number(value: float) -> str:
    """Word a number so that reading it gives it back."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else number(value) if isinstance(value, float) else str(value)


def _call(kind: str, text: str, what: str) -> tuple[Bound, str]:
    """Bind one call to its registered function; return it and its canonical wording.

    That has the options in order, without last ones that are at their defaults; the first one is always there.
    """
    match = _CALL.fullmatch(text)
    if match is None:
        raise ValueError(f"{what} must be a name with options in brackets, got {text.strip()!r}; {_EXAMPLE}")
    entry = registry.lookup(kind, match[1], what)
    valid = [name for name in [*entry.required, *entry.defaults] if name not in _SUPPLIED]
    given: Bound = {}
    words = [word.strip() for word in match[2].split(",")] if (match[2] or "").strip() else []
    for i, word in enumerate(words):
        option, equals, value = word.rpartition("=")
        if not equals and i >= len(valid):
            raise ValueError(f"{what} {match[1]} must have at most {len(valid)} options, got {len(words)}: {text.strip()!r}")
        given[option.strip() if equals else valid[i]] = value.strip()
    bound = registry.bind(kind, {"name": match[1], **given}, _SUPPLIED, what)
    while len(valid) > 1 and bound[valid[-1]] == entry.defaults.get(valid[-1]):
        valid.pop()
    values = ", ".join(_show(bound[name]) for name in valid)
    return bound, f"{match[1]}({values})" if values else match[1]


def _further(text: str, what: str) -> Further:
    match = _PRUNE.fullmatch(text)
    if match is None or not 0 < float(match[1]) < 1:
        raise ValueError(f"{what} must prune a fraction in (0, 1), got {text.strip()!r}; write it like 'prune(0.3, random)'")
    criterion = match[2] or "magnitude"
    criteria.derivatives(criterion, f"criterion of {what}")
    return Further(f"prune({number(float(match[1]))}, {criterion})", float(match[1]), criterion)


def _teaching(match: re.Match[str], task: Mapping[str, Any], step: int, what: str) -> Teaching:
    restart = match[2] == "for"
    until = lengths.read(match[3], task)
    if until <= (0 if restart else step):
        raise ValueError(f"{what} must last at least one step, got {match[0].strip()!r} at step {step}; lengthen it")
    if not restart and until >= task["steps"]:
        raise ValueError(f"{what} must end before {task['name']}'s {task['steps']} steps, got {match[3]!r}; shorten it")
    calls = [_call("pretexts", call, what) for call in match[1].split("+")]
    called, length = " + ".join(shown for _, shown in calls), f"{match[2]} {match[3].removesuffix('it')}"
    return Teaching(f"{called} {length}", tuple(bound for bound, _ in calls), until, restart, called, length)


def _change(text: str, task: Mapping[str, Any], step: int, what: str) -> Change:
    teaching = _TEACHING.fullmatch(text.strip())
    if teaching:
        return _teaching(teaching, task, step, what)
    call = _CALL.fullmatch(text)
    name = call[1] if call else ""
    if name in registry.entries("pretexts"):
        raise ValueError(f"{what} {name} must say how long it lasts, got {text.strip()!r}; add 'for 40ep' or 'until 500'")
    if name == "prune":
        return _further(text, what)
    if name in registry.entries("strategies"):
        bound, shown = _call("strategies", text, what)
        strategy = registry.call("strategies", bound)
        return Retraining(shown, bound, strategy.resumes, strategy.restarts)
    if name in registry.entries("ratios"):
        bound, shown = _call("ratios", text, what)
        return Rule(shown, bound)
    in_layer = _LAYER.fullmatch(text)
    if name and name not in registry.entries("perturbations"):
        valid = [entry for kind in ("perturbations", "strategies", "ratios") for entry in registry.entries(kind)]
        raise registry.unknown(what, name, ["mask", "prune", *valid], "add one as a file in pipeline_lib/perturbations")
    bound, shown = _call("perturbations", in_layer[1] if in_layer else text, what)
    if in_layer is None:
        return Perturbation(shown, (bound,))
    return Perturbation(f"{shown} in {in_layer[2]}", ({**bound, "layer": in_layer[2]},))


def _split(changes: Sequence[Change | None]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Divide changes at the mask (None), or else before the first change of masked networks."""
    masks = any(change is None or isinstance(change, Masked) for change in changes)
    is_border: Callable[[Change | None], bool] = (
        (lambda c: c is None or isinstance(c, Masked)) if masks else lambda c: isinstance(c, Perturbation | Further)
    )
    border = next((i for i, change in enumerate(changes) if is_border(change)), len(changes))
    before, after = changes[:border], changes[border:]
    return tuple(c for c in before if c), tuple(c for c in after if c)


def _begun(text: str, task: Mapping[str, Any], what: str, own: Own) -> tuple[int, str]:
    """Read what a start begins with: the step, and the checkpoint if it is one."""
    base = text.partition("|")[0].strip()
    match, named = re.fullmatch(rf"k({_LENGTH})", base), [each for each in own.checkpoints if each.name == base]
    if match is None and not named:
        others = f", or a checkpoint of {task['name']}: {', '.join(each.name for each in own.checkpoints)}"
        rule = f"{what} must begin with a rewind step such as k500{others if own.checkpoints else ''}"
        raise ValueError(f"{rule}, got {text!r}; {_EXAMPLE}")
    k = lengths.read(match[1], task) if match else named[0].step
    if k >= task["steps"]:
        shown = f"{base} at step {k}; give its step" if named else f"k{k}; lower it"
        raise ValueError(f"{what} must begin below {task['name']}'s {task['steps']} steps, got {shown}")
    return k, "" if match else base


@cache
def _parse(text: str, name: str, steps: int, batch_size: int, num_train: int, what: str, own: Own) -> Start:
    task = {"name": name, "steps": steps, "batch_size": batch_size, "dataset": {"num_train": num_train}}
    k, checkpoint = _begun(text, task, what, own)
    changes: list[Change | None] = []
    for part in text.split("|")[1:]:
        brought = _MASK.fullmatch(part)
        if part.strip() == "mask":
            changes.append(None)
        elif brought:
            changes.append(Masked(f"mask({brought[1]})", own.mask(brought[1], f"mask of {what}").name))
        else:
            step = Start(k, tuple(c for c in changes if c)).step()
            changes.append(_change(part, task, step, what))
    if sum(change is None or isinstance(change, Masked) for change in changes) > 1:
        raise ValueError(f"{what} must have at most one mask, got {text!r}; remove one")
    start = Start(k, *_split(changes), checkpoint)
    of_ladder = [each for each in (*start.before, *start.after) if isinstance(each, Further | Retraining | Rule)]
    if start.masked and of_ladder:
        raise ValueError(f"{what} must have a ladder's mask for {of_ladder[0].text}, got {text!r}; leave one of them out")
    return start


def parse(text: str, task: Mapping[str, Any], what: str = "start", own: Own = NONE) -> Start:
    """Read a start.

    Args:
        text: as above.
        task: its full description, for lengths.
        what: the start's place in the config, for errors.
        own: checkpoints and masks that it may name.

    Raises:
        ValueError: it does not follow the grammar, an unknown name or option, or lengths that do not fit the task.
    """
    return _parse(text, task["name"], task["steps"], task["batch_size"], task["dataset"]["num_train"], what, own)


def forget() -> None:
    """Read starts anew, as their words have come to mean something else."""
    _parse.cache_clear()
