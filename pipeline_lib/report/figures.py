"""The figures of a report: each as a picture within the page, with its caption and where it comes from."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.report import drawn, twins
from pipeline_lib.report.contents import Contents, anchor, title
from pipeline_lib.store import environment, verification

_MOST_BYTES = 1_500_000  # of an SVG; of a larger one, such as a plane with a million points, the PNG is shown
_REFERENCES = re.compile(r'(\bid="|href="#|url\(#)')
_LOOSE = re.compile(r"<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL)
_STYLE = re.compile(r'<style type="text/css">\s*\*\s*\{(?P<rules>[^}]*)\}\s*</style>')
_ROOT = re.compile(r"<svg\b[^>]*>")
_SIZE = re.compile(r'\s(?P<name>width|height)="(?P<points>[\d.]+)(?:pt)?"')


@dataclass(frozen=True)
class Source:
    """A table that a figure is drawn from: how many of its rows are about the figure's networks, and their seeds."""

    table: str
    rows: int
    of: int
    seeds: int | None

    @property
    def told(self) -> str:
        """What is counted, in words."""
        rows = f"{self.rows:,} rows" if self.rows == self.of else f"{self.rows:,} of {self.of:,} rows"
        return rows if self.seeds is None else f"{rows}, {self.seeds} seed{'' if self.seeds == 1 else 's'}"


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Args:
        name, title, caption: in words.
        picture: SVG to be put into the page, or the address of a PNG.
        is_svg: which of the two.
        width: that it is drawn for, in CSS pixels.
        sources: the tables that it is drawn from.
        folder: its artifact's, under the results folder.
        made_in: environments that it comes from.
        twin: the same numbers for hovering over, as plotly takes them; None where there are none.
    """

    name: str
    title: str
    caption: str
    picture: str
    is_svg: bool
    width: int
    sources: tuple[Source, ...]
    folder: str
    made_in: str
    twin: dict[str, object] | None

    @property
    def absent(self) -> list[str]:
        """Tables that it is drawn from and that are not there."""
        there = {source.table for source in self.sources}
        return [table for table in FIGURES[self.name].tables if table not in there]

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return anchor("figure", self.name)


def width_of(svg: str) -> int:
    """Read the width of an SVG in CSS pixels: 96 an inch, of 72 points."""
    root = _ROOT.search(svg)
    found = {size["name"]: float(size["points"]) for size in _SIZE.finditer(root[0] if root else "")}
    return round(found.get("width", 480) * 96 / 72)


def embedded(svg: str, name: str) -> str:
    """Fit an SVG into a page that has others: ids get a prefix, and style for everything becomes style for this picture.

    Args:
        svg: as matplotlib wrote it.
        name: prefix of ids; its caption has the id `NAME-caption`, and is what screen readers say of it.
    """
    text = _LOOSE.sub("", svg).strip()
    rules = " ".join(found["rules"].strip() for found in _STYLE.finditer(text))
    text = _REFERENCES.sub(lambda found: f"{found[1]}{name}-", _STYLE.sub("", text))
    extra = f' role="img" aria-labelledby="{name}-caption"' + (f' style="{rules}"' if rules else "")
    return _ROOT.sub(lambda found: _SIZE.sub("", found[0][:-1]) + extra + ">", text, count=1)


def _picture(svg: Path, name: str) -> tuple[str, bool, int]:
    """Read a figure as it goes into the page, whether it is an SVG, and how wide it is."""
    text = svg.read_text(encoding="utf-8")
    png = svg.with_suffix(".png")
    if len(text) > _MOST_BYTES and png.is_file():
        return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}", False, width_of(text)
    return embedded(text, name), True, width_of(text)


def sources(contents: Contents, figure: str) -> tuple[Source, ...]:
    """Count, in each table that is there, the rows that are about a figure's networks."""
    found = []
    for table in (name for name in FIGURES[figure].tables if name in contents.tables):
        frame = contents.tables[table]
        own = frame[drawn.rows(frame, figure, contents.experiment)]
        found.append(Source(table, len(own), len(frame), own["seed"].nunique() if "seed" in own else None))
    return tuple(found)


def read(contents: Contents, name: str) -> Drawn:
    """Read a figure that is there.

    Args:
        contents: what the report is about.
        name: of the figure.
    """
    results, node = contents.plan.config.results, contents.plan.figures[contents.experiment.name][name]
    svg = contents.folder / "figures" / f"{name}.svg"
    made_in = environment.summary(verification.made_in([results / node.folder])) or "not recorded"
    picture, is_svg, width = _picture(svg, anchor("figure", name))
    seen, twin = sources(contents, name), twins.of(contents, name)
    return Drawn(name, title(name), FIGURES[name].caption, picture, is_svg, width, seen, node.folder, made_in, twin)
