"""Words that claims have for steps, levels and pretexts, where they need no number of the paper's scale.

Each task that an experiment has gives them its own: `late | shuffle(layer)` is about the last step of its `perturbed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from string import Formatter
from typing import Any

from pipeline_lib.experiments import comparisons

# Words for a rewind step, for a level, and where they may stand. `early` and `late` are the first and last step of `perturbed`;
# where nothing is perturbed, the second and the last of `rewind`, if it has three. `reference` is what pretraining is compared
# with.
STEPS = ("first", "early", "late", "last", "reference")
# Levels: `half` begins the second half of the ladder, `last_pair` is the first of its last two levels.
LEVELS = ("sparse", "half", "last_pair", "deepest")
ROLES = {
    **dict.fromkeys(("k", "through", "reach", "from_k", "to_k"), STEPS),
    **dict.fromkeys(("level", "from_level", "to_level"), LEVELS),
    "later": STEPS,
    **dict.fromkeys(("from_step", "border", "to_step"), STEPS),
    "durations": ("every",),
}
_STARTS = ("start", "against", "reference")  # `late | shuffle(layer)`
# What pretexts and durations of `pretraining` are called: `{rotation}` is an experiment's own, with its options. Where there are
# two of a family, a claim on it is about neither.
_LESSONS = ("random_labels", "rotation", "blur", "blur + rotation")
_LENGTHS = ("shortest", "longest")
BRACED = tuple(f"{{{name}}}" for name in (*_LESSONS, *_LENGTHS))
Words = Mapping[str, Any]


def roles(rewind: tuple[int, ...], perturbed: tuple[int, ...], levels: int, sparse_level: int) -> dict[str, Any]:
    """Say which steps and levels of a grid the words of claims stand for."""
    special = perturbed or rewind[1:] or rewind
    steps = dict(zip(STEPS, (rewind[0], special[0], special[-1], rewind[-1]), strict=False))
    if len(perturbed) == 1:  # what is said of the early step would be said again of the late one
        del steps["late"]
    elif not perturbed and len(rewind) < 3:  # one later step is the late one: none comes early that may be too early
        del steps["early"]
    return steps | dict(zip(LEVELS, (sparse_level, (levels + 1) // 2, max(levels - 1, 0), levels), strict=True))


def lesson_roles(reference: int, pretexts: Sequence[str], durations: Sequence[str]) -> dict[str, Any]:
    """Say which pretexts and durations the words of claims stand for.

    Args:
        reference: rewind step of the ladder to compare with.
        pretexts: as tables word them.
        durations: from short to long.
    """
    families = [comparisons.family(pretext) for pretext in pretexts]
    named = {name: pretext for name, pretext in zip(families, pretexts, strict=True) if families.count(name) == 1}
    found = {"reference": reference} | {f"{{{name}}}": named[name] for name in _LESSONS if name in named}
    found |= {f"{{{name}}}": durations[i] for name, i in zip(_LENGTHS, (0, -1), strict=True)}
    if len(durations) == 1:  # it would be compared with itself
        del found["{shortest}"]
    epochs = [float(each.removesuffix("ep")) for each in durations if each.endswith("ep")]
    return found | ({"every": epochs} if len(epochs) == len(durations) else {})


def braced(given: object) -> list[str]:
    """List the words in braces that a text has."""
    return [f"{{{name}}}" for _, name, *_ in Formatter().parse(given) if name is not None] if isinstance(given, str) else []


def _begins(start: str) -> str:
    """Give the word for a step that a start begins with, if any."""
    return next((word for word in STEPS if start == word or start.startswith(f"{word} |")), "")


def _worded(option: str, given: Any, words: Words) -> Any:
    """Put a task's own numbers and texts where an option has words for them.

    Raises:
        ValueError: the task has nothing for a word.
    """
    if not isinstance(given, str):
        return given
    is_start = option in _STARTS
    word = _begins(given) if is_start else given if given in ROLES.get(option, ()) else ""
    for each in [*([word] if word else []), *braced(given)]:
        if each not in words:
            one = f"option pretraining with one pretext {each}" if each in BRACED else "option pretraining"
            others = {
                "late": "a second step of perturbed",
                "early": "a third rewind step",
                "{shortest}": "a second duration of pretraining",
                **dict.fromkeys(ROLES["durations"], "durations in epochs"),
            }
            raise ValueError(others.get(each, one))
    for each in braced(given):
        given = given.replace(each, words[each])
    if not word:
        return given
    return f"k{words[word]}{given[len(word) :]}" if is_start else words[word]


def settled(measure: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Give a measure's options, with a task's own numbers for words.

    Raises:
        ValueError: a word stands for nothing, or two words for steps for the same one.
    """
    found = {option: _worded(option, given, words) for option, given in measure.items() if option != "name"}
    begun = [_begins(str(given)) for option, given in measure.items() if option in _STARTS or option in ROLES]
    same = sorted({word for word in begun if word in words and word in STEPS}, key=STEPS.index)
    if len({words[word] for word in same}) < len(same):
        raise ValueError(f"{' and '.join(same)} rewind steps that differ")
    return found


def named_steps(measure: Mapping[str, Any]) -> list[int]:
    """List the rewind steps that a measure names by their numbers."""
    steps = [measure[option] for option in ("k", "through", "reach", "from_k", "to_k") if option in measure]
    texts = [str(measure.get(option, "")) for option in _STARTS]
    digits = ["".join(takewhile(str.isdecimal, text[1:])) for text in texts if text.startswith("k")]
    return [step for step in steps if isinstance(step, int)] + [int(number) for number in digits if number]
