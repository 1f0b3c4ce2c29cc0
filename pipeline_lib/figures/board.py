"""What became of a paper's claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_lib.claims.rules import VERDICTS
from pipeline_lib.figures.support import layout, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES = {
    "claims_board": {
        "runs": "nothing", "tables": ["claims"], "option": "claims", "as_table": True,
        "caption": (
            "Verdicts on the papers' claims, by paper and by setting that any was judged on. A claim holds if the whole interval "
            "of what was measured obeys its rule, fails if none of it does, and is undecided otherwise; what the tables lack is "
            "not measured. Beside: how many were judged, and how many of them would hold by chance if none were true."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]
_COLOURS = dict(zip(VERDICTS, ("#0072B2", "#D55E00", "#E69F00", "0.85"), strict=True))
_COLUMNS = ("family", "setting", "claim", "text", "verdict", "measured", "low", "high", "unit", "paper")  # of the table beside it
_HATCHES = dict(zip(VERDICTS, ("", "///", "...", ""), strict=True))


def _by_chance(rows: pd.DataFrame) -> float:
    """Expect so many false `holds` among judged claims if none were true: half of what each interval leaves out.

    What is counted has no interval, and cannot hold by chance.
    """
    judged = rows[(rows["verdict"] != "not measured") & (rows["low"] != rows["high"])]
    return float(((1 - judged["level"]) / 2).sum())


def _settings(own: pd.DataFrame) -> list[str]:
    """List the settings that any claim of a paper was judged on; all where none was."""
    judged_on = set(own[own["verdict"] != "not measured"]["setting"]) or set(own["setting"])
    return [setting for setting in dict.fromkeys(own["setting"]) if setting in judged_on]


def claims_board(frames: Frames, sparse_levels: Levels) -> Figure:
    """How many claims of each paper hold, fail, and are undecided on each setting: a bar a setting."""
    frame = frames["claims"]
    families = {str(family): own for family, own in frame.groupby("family")}
    bars = [(family, setting) for family, own in families.items() for setting in _settings(own)]
    figure, axes = layout.panels(1, 1)
    figure.set_size_inches(6.5, 1.2 + 0.28 * len(bars))
    axis = axes[0][0]
    for place, (family, setting) in enumerate(bars):
        rows, left = selection.where(families[family], setting=setting), 0
        for verdict in VERDICTS:
            num = int((rows["verdict"] == verdict).sum())
            look: dict[str, Any] = {"color": _COLOURS[verdict], "hatch": _HATCHES[verdict], "edgecolor": "white", "linewidth": 0}
            axis.barh(place, num, 0.7, left, label=verdict if place == 0 else None, **look)
            left += num
        judged = int((rows["verdict"] != "not measured").sum())
        axis.text(left, place, f" n = {judged} judged, {_by_chance(rows):.1f} by chance", va="center", fontsize=style.SMALL)
    axis.set_yticks(range(len(bars)), [f"{family}: {setting}" for family, setting in bars])
    if bars:
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.set_xlim(0, 1.6 * max(frame.groupby(["family", "setting"]).size()))
    judged = int((frame["verdict"] != "not measured").sum())
    axis.set_title(f"n = {judged} judged, {_by_chance(frame):.1f} by chance")
    axis.set_xlabel("claims")
    axis.words = frame[[column for column in _COLUMNS if column in frame]]
    return figure
