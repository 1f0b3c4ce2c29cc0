"""One style for all figures: what tells lines apart, and files that are the same each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colour = str | tuple[float, ...]
Dash = Any  # a name, or an offset and lengths
Key = TypeVar("Key")


@dataclass(frozen=True)
class Look:
    """What tells a line apart: on paper without colour, markers and dashes do.

    Args:
        colour: of line, marker and band.
        marker: at its points; empty for none.
        dash: matplotlib's line style.
        width: of the line, in points; None for that of the style.
    """

    colour: Colour
    marker: str = "o"
    dash: Dash = "-"
    width: float | None = None

    def line(self) -> dict[str, Any]:
        """Say it in matplotlib's words."""
        size = 4.0 if self.marker in ("", "o", "s", "D", "X", "x") else 5.0
        found: dict[str, Any] = {"color": self.colour, "marker": self.marker or None, "linestyle": self.dash, "markersize": size}
        return found if self.width is None else {**found, "linewidth": self.width}

    def without_markers(self) -> Look:
        """Draw the line alone."""
        return replace(self, marker="")


MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*")
DASHES: tuple[Dash, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 3)))
SOLID, DASHED, DOTTED = DASHES[:3]

# Okabe and Ito's colour-blind-safe palette; each kind of network keeps its colour in every figure.
COLOURS = {"imp": "#0072B2", "random_prune": "#E69F00", "reinit": "#009E73", "dense": "#D55E00", "best": "#CC79A7"}
NAMES = {"imp": "IMP", "random_prune": "random pruning", "reinit": "random reinit", "dense": "dense", "best": "IMP, best k"}
LOOKS = {
    kind: Look(colour, marker, dash)
    for (kind, colour), marker, dash in zip(COLOURS.items(), MARKERS, (*DASHES[:4], SOLID), strict=False)
}
SPLITS = {"train": Look("#CC79A7", "s", DASHED), "test": Look("#D55E00", "o"), "batch": Look("#56B4E9", "^", DOTTED)}
FIRST = Look("#56B4E9", "v", DASHED)  # IMP at the first rewind step, where one other step is drawn in IMP's blue
PALETTE = ("#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000")  # what is compared with IMP
GREY = "0.4"  # thresholds and words
BAND, SMALL = 0.2, 7  # opacity of bands, font size of legends and of notes


def others(num: int, colours: Sequence[Colour] = PALETTE, first: int = 1) -> list[Look]:
    """Give looks to what is compared with IMP, in order.

    Args:
        num: how many.
        colours: of the first ones; they begin again with other dashes.
        first: where markers and dashes begin.
    """
    turn = [divmod(i, len(colours)) for i in range(num)]
    return [
        Look(colours[at], MARKERS[(i + first) % len(MARKERS)], DASHES[(i + first + again) % len(DASHES)])
        for i, (again, at) in enumerate(turn)
    ]


def steps(values: Iterable[Key], first: int = 0) -> dict[Key, Look]:
    """Give a look to each rewind step, level or other ordered value, from light green to dark violet.

    Args:
        values: in any order.
        first: where markers and dashes begin, as others are beside these.
    """
    import matplotlib as mpl

    found = sorted(values)  # type: ignore[type-var]
    places = [0.5] if len(found) == 1 else [0.76 - 0.72 * i / (len(found) - 1) for i in range(len(found))]
    colours = [tuple(map(float, mpl.colormaps["viridis"](place)[:3])) for place in places]
    return {
        value: Look(colour, MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, (value, colour) in enumerate(zip(found, colours, strict=True), first)
    }


@contextmanager
def applied() -> Iterator[None]:
    """Draw without a display, in this project's style; settings are put back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    style: dict[str, object] = {
        "svg.hashsalt": "rewind", "svg.fonttype": "none", "pdf.fonttype": 42, "font.family": "DejaVu Sans", "font.size": 9,
        "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.5, "savefig.dpi": 150,
        "legend.frameon": False, "legend.handlelength": 3.6, "legend.fontsize": SMALL, "legend.title_fontsize": SMALL,
    }  # fmt: skip
    with mpl.rc_context(), sns.axes_style("ticks"):
        mpl.rcParams.update(style)  # type: ignore[arg-type]
        yield


SUFFIXES = ("svg", "png", "pdf")
_SOURCE = {"svg": "Source", "png": "Source", "pdf": "Keywords"}  # where a file says what it comes from
_CHANGING = {"svg": ("Date", "Creator"), "png": ("Software",), "pdf": ("CreationDate", "Creator", "Producer")}


def save(figure: Figure, path: Path, suffix: str, source: str | None = None) -> None:
    """Save without dates and versions, so that the same figure has the same bytes.

    Args:
        figure: what to save.
        path: where to.
        suffix: one of `SUFFIXES`.
        source: what the file says of where it comes from.
    """
    metadata = {_SOURCE[suffix]: source, **dict.fromkeys(_CHANGING[suffix])}
    figure.savefig(path, format=suffix, metadata=metadata, bbox_inches="tight")


def close(figure: Figure) -> None:
    """Forget a figure, which pyplot keeps otherwise."""
    import matplotlib.pyplot as plt

    plt.close(figure)
