from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import made_up
import made_up_worlds
import numpy as np
import pandas as pd
import pytest

from pipeline_lib.core import registry
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.figures.support import finish, style
from pipeline_lib.store import verification
from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Frames = dict[str, pd.DataFrame]


@contextmanager
def _drawing(name: str, frames: Frames) -> Iterator[Figure]:
    with style.applied():
        drawn = registry.entries("figures")[name].load()(frames, sparse_levels={"a": 2, "b": 2})
        yield drawn
        style.close(drawn)


def _draw(name: str, frames: Frames, folder: Path, *suffixes: str) -> tuple[bytes, ...]:
    folder.mkdir()
    with _drawing(name, frames) as drawn:
        finish.finish(drawn)
        for suffix in suffixes:
            style.save(drawn, folder / f"figure.{suffix}", suffix)
    return tuple((folder / f"figure.{suffix}").read_bytes() for suffix in suffixes)


def _numbers(drawn: Figure) -> list[object]:
    """All numbers of a drawing: of lines, areas, points, images and tables."""
    found: list[object] = []
    for axes in drawn.axes:
        found += [np.asarray(line.get_xydata()).tolist() for line in axes.lines]
        found += [[path.vertices.tolist() for path in area.get_paths()] for area in axes.collections]
        found += [np.asarray(area.get_offsets()).tolist() for area in axes.collections]
        found += [np.asarray(image.get_array()).tolist() for image in axes.images]
        found += [[cell.get_text().get_text() for cell in table.get_celld().values()] for table in axes.tables]
        found += [text.get_text() for text in axes.texts]
    return found


WORLDS = {
    "whole": made_up.frames,
    "diverged": made_up_worlds.diverged,
    "no weights": lambda: made_up_worlds.without_weights(measured=True),
    "no weights, not trained": lambda: made_up_worlds.without_weights(measured=False),
    "empty": made_up_worlds.empty,
}


@cache
def _tables(world: str) -> Frames:
    """All tables of a world, made once: drawing leaves them alone."""
    return {name: made_up.with_parts(frame) for name, frame in WORLDS[world]().items()}


def _used(name: str, world: str = "whole") -> Frames:
    """What a figure is drawn from."""
    return tabulation.divided({table: frame for table, frame in _tables(world).items() if table in FIGURES[name].tables})


# One of each file is saved again: saving takes most of the time.
AGAIN = {registry.entries("figures")[name].module: name for name in FIGURES}.values()


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_has_words_and_the_same_bytes_again_and_leaves_the_tables_alone(name, tmp_path):
    frames = _used(name)
    before = {table: frame.copy() for table, frame in frames.items()}
    (svg,) = _draw(name, frames, tmp_path / "first", "svg")
    assert svg[:5] == b"<?xml"
    assert b"<text" in svg, "words are words: they can be searched for and read aloud"
    assert all(frames[table].equals(before[table]) for table in before)
    if name in AGAIN:
        assert _draw(name, frames, tmp_path / "again", "svg") == (svg,)


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_other_formats_have_the_same_bytes_each_time(suffix, tmp_path):
    name = "instability_sparse"
    first, second = (_draw(name, _used(name), tmp_path / folder, suffix) for folder in ("first", "second"))
    assert first == second


@pytest.mark.parametrize("suffix", style.SUFFIXES)
def test_a_file_says_which_job_made_it(suffix, tmp_path):
    with _drawing("lemma", _used("lemma")) as drawn:
        style.save(drawn, tmp_path / "figure", suffix, verification.mark("0123456789ab"))
    assert verification.marked((tmp_path / "figure").read_bytes())


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_picture_and_others_another(name):
    columns = ["error", "test_error", "instability", "l2_params", "accuracy", "rise", "cka"]
    columns += ["deviation", "changed", "top", "high", "distance", "midpoint_error", "clamped", "node", "ratio", "probability"]
    columns += ["share", "class_means", "after", "barrier"]
    squared = {t: f.assign(**{c: f[c] ** 2 for c in columns if c in f.columns}) for t, f in _used(name).items()}
    with _drawing(name, _used(name)) as one, _drawing(name, _used(name)) as again, _drawing(name, squared) as other:
        assert _numbers(one) != _numbers(other)
        assert repr(_numbers(one)) == repr(_numbers(again))  # as text: what is not a number equals itself
        assert _numbers(one)


def _is_drawn(axes: object) -> bool:
    """Whether a reader sees something in a panel: a point, an area, a table or words."""

    def seen(line: object) -> bool:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data(orig=False))
        finite = np.isfinite(x) & np.isfinite(y)
        finite &= (x > 0) | (axes.get_xscale() != "log")
        return all(line.get_transform().contains_branch_seperately(axes.transData)) and bool(
            (finite & ((y > 0) | (axes.get_yscale() != "log"))).any()
        )

    words = [text.get_text().strip() for text in axes.texts]
    return any(map(seen, axes.get_lines())) or any(words) or bool(axes.tables) or bool(axes.collections)


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "whole"])
@pytest.mark.parametrize("name", FIGURES)
def test_no_panel_is_blank_without_words(name, world):
    with _drawing(name, _used(name, world)) as drawn:
        finish.finish(drawn)
        shown = [axes for axes in drawn.axes if axes.get_visible()]
        assert shown
        assert [axes.get_title() for axes in shown if not _is_drawn(axes)] == []
