"""What became of a paper's claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.claims.rules import VERDICTS
from pipeline_lib.figures.support import layout, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES = {
    "claims_board": {
        "runs": "nothing", "tables": ["claims"], "option": "claims",
        "caption": (
            "Verdicts on the papers' claims, by paper and by setting that any was judged on. A claim holds if the whole interval "
            "of what was measured obeys its rule, fails if none of it does, and is undecided else; what the tables lack is not "
            "measured. Beside: how many were judged, and how many of them would hold by chance if none were true."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]
_COLOURS = dict(zip(VERDICTS, ("imp", "dense", "random_prune"), strict=False))


def _by_chance(rows: pd.DataFrame) -> float:
    """Expect so many false `holds` among judged claims if none were true: half of what each interval leaves out.

    What is counted has no interval, and cannot hold by chance.
    """
    judged = rows[(rows["verdict"] != "not measured") & (rows["low"] != rows["high"])]
    return float(((1 - judged["level"]) / 2).sum())


def claims_board(frames: Frames, sparse_levels: Levels) -> Figure:
    """How many claims of each paper hold, fail, and are undecided on each setting."""
    frame = frames["claims"]
    figure, panels = layout.placed([[family] for family in sorted(frame["family"].unique().tolist())])
    for axis, family in panels:
        own = frame[frame["family"] == family]
        judged_on = set(own[own["verdict"] != "not measured"]["setting"]) or set(own["setting"])
        settings = [setting for setting in dict.fromkeys(own["setting"]) if setting in judged_on][::-1]
        for place, setting in enumerate(settings):
            rows, left = own[own["setting"] == setting], 0
            for verdict in VERDICTS:
                num = int((rows["verdict"] == verdict).sum())
                colour = style.COLOURS[_COLOURS[verdict]] if verdict in _COLOURS else "0.85"
                axis.barh(place, num, left=left, color=colour, label=verdict if place == 0 else None)
                left += num
            judged = int((rows["verdict"] != "not measured").sum())
            axis.text(left, place, f" {judged} judged, {_by_chance(rows):.1f} by chance", va="center", fontsize="small")
        axis.set_yticks(range(len(settings)), settings)
        axis.set_xlim(0, 1.6 * max(own.groupby("setting").size()))
        total = int((own["verdict"] != "not measured").sum())
        axis.set_title(f"{family}: {total} judged, {_by_chance(own):.1f} by chance")
        axis.set_xlabel("claims")
    layout.legend_below(figure)
    return figure
