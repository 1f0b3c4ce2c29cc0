"""Each figure in extreme forms, laid out once: what a reader must be able to see, by matplotlib's own geometry.

It cannot tell whether lines cover each other, or whether a figure is beautiful.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import combinations, pairwise, product, starmap

import made_up
import made_up_worlds
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from pipeline_lib.core import registry
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.figures.support import finish, layout, style

Frames = dict[str, pd.DataFrame]
Change = Callable[[pd.DataFrame], pd.DataFrame]
LONG = "A residual network with a long name, task {}"
# What counts and places is left alone where all values are made zero.
KEPT = {
    *made_up_worlds.KNOWN,
    "headroom",
    "threshold",
    "distance",
    "x",
    "y",
    "num_trials",
    "dimension",
    "epsilon",
    "rank",
    "weight",
}


def _only(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    known = {name: value for name, value in values.items() if name in frame}
    return frame[(frame[list(known)] == known).all(axis=1)]


def _one(frame: pd.DataFrame) -> pd.DataFrame:
    """One task, one seed, one rewind step, one order: n = 1."""
    return _only(frame, task="a", seed=0, k=0, noise_order=0)


def _zero(frame: pd.DataFrame) -> pd.DataFrame:
    """Nothing but zeros were measured."""
    frame = _only(frame, task="a")
    measured = [name for name in frame if pd.api.types.is_float_dtype(frame[name]) and name not in KEPT]
    return frame.assign(**dict.fromkeys(measured, 0.0))


def _many(frame: pd.DataFrame, num: int) -> pd.DataFrame:
    """Tasks with long names, of one seed."""
    if "task" not in frame:
        return frame
    return pd.concat([_one(frame).assign(task=LONG.format(i)) for i in range(num)], ignore_index=True)


def _lost(frame: pd.DataFrame) -> pd.DataFrame:
    """One seed of two has diverged."""
    frame = _only(frame, task="a")
    return made_up_worlds.without_values(frame, frame["seed"] == 1) if "seed" in frame and len(frame) else frame


FEW, MANY = layout.ACROSS + 1, 10  # tasks: the panels of a few go on below as those of many do, and take half as long to lay out
FORMS = {"n is 1": _one, "zeros": _zero, "tasks": partial(_many, num=FEW), "one seed diverged": _lost}


@pytest.fixture(scope="module")
def tables() -> Frames:
    return made_up.frames()


@pytest.fixture(params=FORMS)
def form(request) -> str:
    return request.param


def _drawn(name: str, tables: Frames, form: str, change: Change) -> Figure:
    lost = form == "one seed diverged"
    frames = {table: tables[table] for table in FIGURES[name].tables}
    frames = {t: f if lost and t in (*made_up_worlds.LOST, *made_up_worlds.APART) else change(f) for t, f in frames.items()}
    frames = made_up.divided(frames)
    tasks = {str(task) for frame in frames.values() if "task" in frame for task in frame["task"].unique()}
    return finish.finish(registry.entries("figures")[name].load()(frames, sparse_levels=dict.fromkeys(tasks, 2)))


@pytest.fixture(params=FIGURES)
def laid_out(request, form, tables):
    """A figure, finished and laid out."""
    with style.applied():
        figure = _drawn(request.param, tables, form, FORMS[form])
        if form == "tasks" and not any(f"task {FEW - 1}" in " ".join(axes.get_title().split()) for axes in figure.axes):
            # They share panels.
            style.close(figure)
            figure = _drawn(request.param, tables, form, partial(_many, num=MANY))
        figure.set_dpi(40)
        figure.get_layout_engine().execute(figure)
        yield figure
        style.close(figure)


def _overlap(one, other, slack: float = 1.5) -> bool:
    """Whether two boxes share more than a little."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > slack and height > slack


def _shown(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def _tick_labels(axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1 for tick in ticks if tick.label1.get_visible() and tick.label1.get_text()]


def _parts(axes) -> list[Bbox]:
    """Boxes of a panel's frame and words."""
    words = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *_tick_labels(axes.xaxis), *_tick_labels(axes.yaxis)]
    return [axes.get_window_extent(), *(text.get_window_extent() for text in words if text.get_text())]


def _crowded(labels: list[Text]) -> list[tuple[str, str]]:
    """Neighbours that overlap; turned texts need a line's height between them."""
    found = []
    for one, other in pairwise(labels):
        first, second = one.get_window_extent(), other.get_window_extent()
        if 0 < one.get_rotation() < 90:
            line = one.get_fontsize() * one.get_figure().dpi / 72
            near = abs(first.x1 - second.x1) < line and abs(first.y0 - second.y0) < line
        else:
            near = _overlap(first, second, 0.5)
        if near:
            found.append((one.get_text(), other.get_text()))
    return found


def _said(figure) -> str:
    texts = [
        *figure.findobj(Text),
        *(cell.get_text() for axes in figure.axes for t in axes.tables for cell in t.get_celld().values()),
    ]
    return "\n".join(text.get_text() for text in texts)


def _alike(axes) -> list[tuple[str, str]]:
    """Lines with names that black-and-white print does not tell apart, among the first few."""
    lines = [line for line in made_up.labelled(axes) if len(line.get_xdata()) and len(np.unique(line.get_xdata())) > 1]
    looks = {line.get_label(): (line.get_marker(), str(line._unscaled_dash_pattern), line.get_linewidth()) for line in lines}
    return [pair for pair in combinations(list(looks)[:8], 2) if looks[pair[0]] == looks[pair[1]]]


def test_it_can_be_read(laid_out):
    """One test a drawing, as laying out takes long: nothing covered, nothing empty, n said."""
    axes = _shown(laid_out)
    boxes = [panel.get_tightbbox() for panel in axes]
    assert [panel.get_title() for panel in axes if panel.get_legend() is not None] == [], "legends on data"
    for legend in laid_out.legends:
        box = legend.get_window_extent()
        assert [p.get_title() for p, own in zip(axes, boxes, strict=True) if _overlap(box, own)] == [], "under the legend"
        assert box.x0 >= -2, "the legend leaves the figure"
        assert box.x1 <= laid_out.bbox.x1 + 2, "the legend leaves the figure"
    near = [(i, j) for i, j in combinations(range(len(axes)), 2) if _overlap(boxes[i], boxes[j])]
    parts = {i: _parts(axes[i]) for pair in near for i in pair}
    assert [
        (axes[i].get_title(), axes[j].get_title()) for i, j in near if any(starmap(_overlap, product(parts[i], parts[j])))
    ] == []
    assert [c for panel in axes for axis in (panel.xaxis, panel.yaxis) for c in _crowded(_tick_labels(axis))] == []
    for panel in axes:
        inside = panel.get_window_extent()
        for text in filter(Text.get_text, panel.texts):
            box = text.get_window_extent()
            crosses = _overlap(box, inside) and (box.x0 < inside.x0 - 2 or box.x1 > inside.x1 + 2)
            assert not crosses, f"{text.get_text()} crosses the edge"
        assert panel.has_data() or panel.tables or any(map(Text.get_text, panel.texts)), "an empty panel"
        assert _alike(panel) == []
    assert re.search(r"\bn = \d", _said(laid_out)) or not any(map(made_up.labelled, axes)), "n is not said"
    whole = Bbox.union([*boxes, *(legend.get_window_extent() for legend in laid_out.legends)])
    assert whole.width < 16 * laid_out.dpi, "too wide for a page"
