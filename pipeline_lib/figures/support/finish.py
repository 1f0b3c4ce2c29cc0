"""What is done to a figure when all is drawn: spreads, marks of gaps, titles, notes and one legend below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import gaps, layout, marks, samples, style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

_TITLE, _LABEL = 0.078, 0.054  # width of a character in a title and in a legend, inches


def wrapped(text: str, width: int) -> str:
    """Break lines after commas, else at spaces, but none inside of `k = 100` or `25 %`.

    Args:
        text: may have lines.
        width: the most characters in a line.
    """
    kept = text.replace(" = ", "\0=\0").replace(" %", "\0%").replace(" ± ", "\0±\0")
    lines: list[str] = []
    for each in kept.splitlines():
        for i, part in enumerate(each.replace(", ", ",\n").splitlines() or [""]):
            if i and len(f"{lines[-1]} {part}") <= width:
                lines[-1] += f" {part}"
            else:
                lines += textwrap.wrap(part, max(8, width), break_long_words=False) or [""]
    return "\n".join(lines).replace("\0", " ")


def _shown(figure: Figure) -> Iterator[Panel]:
    from pipeline_lib.figures.support.panel import Panel

    return (axes for axes in figure.axes if isinstance(axes, Panel) and axes.get_visible())  # and no colour bars


def _titles(figure: Figure) -> None:
    """Break long titles, and say above panels what their points are of if that is not the same everywhere."""
    for axes in _shown(figure):
        width = figure.get_figwidth() / layout.across(figure)
        axes.set_title(wrapped(axes.get_title(), int(0.92 * width / _TITLE)))


def _note(figure: Figure) -> str:
    """Give what all panels' points are of; where panels differ, write it above each of them instead."""
    said = {axes: samples.words(axes) for axes in _shown(figure)}
    if len({words for words in said.values() if words}) < 2:
        return next((words for words in said.values() if words), "")
    for axes, words in said.items():
        if words:
            axes.set_title(axes.get_title(), pad=15)
            axes.annotate(words, (0.5, 1), (0, 4), "axes fraction", "offset points", ha="center", fontsize=6.5, color=style.GREY)
    return ""


def _legend(figure: Figure, note: str) -> None:
    """Add one legend for all panels below them, in as many columns as fit, and the note over it."""
    found: dict[str, Artist] = {}
    for axes in _shown(figure):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(wrapped(label, 50), handle)
    if not found and not note:
        return
    longest = max((len(line) for label in found for line in label.splitlines()), default=0)
    num_columns = max(1, min(len(found), int(figure.get_figwidth() / (0.62 + _LABEL * longest))))
    num_rows = -(-sum(label.count("\n") + 1 for label in found) // num_columns) + 1
    figure.set_figheight(figure.get_figheight() + 0.15 * num_rows)
    figure.legend(
        list(found.values()),
        list(found),
        loc="outside lower center",
        ncols=num_columns,
        title=wrapped(note, int(figure.get_figwidth() / _LABEL)),
    )


def finish(figure: Figure) -> Figure:
    """Add what depends on all that was drawn, once: spreads, marks of gaps, notes and the legend.

    Args:
        figure: drawn whole.

    Returns:
        The same figure.
    """
    for axes in _shown(figure):
        marks.spread(axes)
        gaps.explain(axes)
        if axes.dataLim.y0 == axes.dataLim.y1 == 0 and axes.get_yscale() == "linear" and axes.get_autoscaley_on():
            axes.set_ylim(-0.05, 1)  # nothing but zeros
    _titles(figure)
    _legend(figure, _note(figure))
    return figure
