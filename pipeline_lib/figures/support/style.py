"""One style for all figures, and byte-stable files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.figures.support import gaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colour = gaps.Colour

# Okabe and Ito's colour-blind-safe palette; each kind of network keeps its colour in every figure.
COLOURS = {"imp": "#0072B2", "random_prune": "#E69F00", "reinit": "#009E73", "dense": "#D55E00", "best": "#CC79A7"}
NAMES = {"imp": "IMP", "random_prune": "random pruning", "reinit": "random reinit", "dense": "dense", "best": "IMP, best k"}
SPLITS = {"train": "#CC79A7", "test": "#D55E00", "batch": "#56B4E9"}
FIRST = "#56B4E9"  # IMP at the first rewind step, where one other step is drawn in IMP's blue
REWINDS = ("#762A83", "#E69F00", "#009E73")  # the first rewind step, those between, and the last: the colours of paper C
PALETTE = ("#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000")  # what is compared with IMP
BAND, SMALL = 0.2, 7  # opacity of bands, font size of long legends and of notes


@contextmanager
def applied() -> Iterator[None]:
    """Draw without a display, in this project's style; settings are put back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    style: dict[str, object] = {
        "svg.hashsalt": "rewind", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.6, "savefig.dpi": 150,
        "legend.frameon": True, "legend.framealpha": 0.7, "legend.edgecolor": "none",
    }  # fmt: skip
    with mpl.rc_context(), sns.axes_style("ticks"):
        mpl.rcParams.update(style)  # type: ignore[arg-type]
        yield


def save(figure: Figure, path: Path, suffix: str, source: str | None = None) -> None:
    """Say what could not be drawn, and save without dates and versions, so that the same figure has the same bytes.

    Args:
        figure: what to save.
        path: where to.
        suffix: svg or png.
        source: what the file says of where it comes from.
    """
    gaps.explain(figure)
    metadata: dict[str, str | None] = {
        "Source": source,
        **({"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}),
    }
    figure.savefig(path, format=suffix, metadata=metadata, bbox_inches="tight")


def close(figure: Figure) -> None:
    """Forget a figure, which pyplot keeps otherwise."""
    import matplotlib.pyplot as plt

    plt.close(figure)


def rewind_colours(steps: Iterable[int]) -> dict[int, Colour]:
    """Give each rewind step its colour: purple for the first, green for the last, shades of orange between."""
    found = sorted(steps)
    first, between, last = REWINDS
    middle = shades(max(0, len(found) - 2), between)
    colours: list[Colour] = [first, *middle, last]
    return dict(zip(found, colours[-len(found) :], strict=True))


def shades(num: int, colour: str) -> list[tuple[float, ...]]:
    """Make shades of a colour from light to dark, one a rewind step."""
    import seaborn as sns

    return list(sns.light_palette(colour, n_colors=num + 2)[2:])
