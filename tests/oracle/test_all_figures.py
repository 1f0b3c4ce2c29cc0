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


def _saved(drawn: Figure, path: Path) -> bytes:
    style.save(finish.finish(drawn), path, path.suffix[1:])
    return path.read_bytes()


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


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_other_formats_have_the_same_bytes_each_time(suffix, tmp_path):
    name = "instability_sparse"
    with _drawing(name, _used(name)) as one, _drawing(name, _used(name)) as again:
        assert _saved(one, tmp_path / f"one.{suffix}") == _saved(again, tmp_path / f"again.{suffix}")


@pytest.mark.parametrize("suffix", style.SUFFIXES)
def test_a_file_says_which_job_made_it(suffix, tmp_path):
    with _drawing("lemma", _used("lemma")) as drawn:
        style.save(drawn, tmp_path / "figure", suffix, verification.mark("0123456789ab"))
    assert verification.marked((tmp_path / "figure").read_bytes())


SQUARED = {"error", "test_error", "instability", "l2_params", "accuracy", "rise", "cka", "deviation", "changed", "top", "high"}
SQUARED |= {"distance", "midpoint_error", "clamped", "node", "ratio", "probability", "share", "class_means", "after", "barrier"}


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_follows_from_its_numbers_is_the_same_again_and_has_words(name, tmp_path):
    """One test, as drawing takes long."""
    frames = _used(name)
    before = {table: frame.copy() for table, frame in frames.items()}
    squared = {t: f.assign(**{c: f[c] ** 2 for c in f.columns if c in SQUARED}) for t, f in frames.items()}
    with _drawing(name, frames) as one, _drawing(name, frames) as again, _drawing(name, squared) as other:
        numbers = _numbers(one)
        assert numbers
        assert numbers != _numbers(other)
        assert repr(numbers) == repr(_numbers(again))  # as text: what is not a number equals itself
        svg = _saved(one, tmp_path / "one.svg")
        if name in AGAIN:
            assert _saved(again, tmp_path / "again.svg") == svg
    assert svg[:5] == b"<?xml"
    assert b"<text" in svg, "words are words: they can be searched for and read aloud"
    assert all(frames[table].equals(before[table]) for table in before)


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
