"""A results folder with made-up tables and figures of one small experiment, for reports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import toys

from pipeline_lib.planning import plan_file
from pipeline_lib.planning.nodes import Node, Plan
from pipeline_lib.store import artifacts, verification

FIGURES = ["instability_dense", "paths_dense_by_k", "accuracy_by_rewind"]  # not the order of the alphabet
WILD = '<b id="wild">1 & "2"</b>'
SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
width="288pt" height="72pt" viewBox="0 0 288 72">
<metadata>no part of a page</metadata>
<defs><style type="text/css">*{stroke-linejoin: round}</style><clipPath id="p1"><rect width="9" height="9"/></clipPath></defs>
<g id="axes_1" clip-path="url(#p1)"><use xlink:href="#p1"/><text>error</text></g></svg>
"""
PLACE = "Some processor, python 3.11.1, torch 2.13.0, numpy 2.4.0"


def plan(results: Path, **experiment: Any) -> Plan:
    given: dict[str, Any] = {"figures": FIGURES, "seeds": 3, "claims": ["B"], "controls": ["random_prune"]}
    return toys.make_plan(toys.raw_config(results, **(given | experiment)))


@dataclass
class Folder:
    """Writes artifacts of a plan, and publishes them."""

    plan: Plan
    experiment: str = "tiny"
    written: list[str] = field(default_factory=list)

    def _finish(self, node: Node, *names: str) -> None:
        folder = self.plan.config.results / node.folder
        record = {"key": node.key, "stage": node.stage, "label": node.label, "spec": {}, "parents": {}}
        record |= {"sha256": verification.digests(folder), "made_in": {PLACE: ["train", node.stage]}}
        artifacts.write_text(folder / verification.RECORD, json.dumps(record))
        published = {source: copy for copy, source in plan_file.published(self.plan).items()}
        for name in names:
            copy = self.plan.config.results / published[f"{node.folder}/{name}"]
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((folder / name).read_bytes())

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        node = self.plan.tables[self.experiment][name]
        artifacts.write_rows(self.plan.config.results / node.folder / "table.parquet", rows)
        self._finish(node, "table.parquet")

    def figure(self, name: str, svg: str = SVG) -> None:
        node = self.plan.figures[self.experiment][name]
        for suffix in ("svg", "png", "pdf", "csv", "html", "tex"):
            text = svg if suffix == "svg" else "a picture"
            artifacts.write_text(self.plan.config.results / node.folder / f"figure.{suffix}", text)
        self._finish(node, "figure.svg", "figure.png", "figure.pdf")

    def time(self, stage: str, text: str = "s\th:m:s\n36.0\t0:00:36\n") -> None:
        """Record how long each job of a stage took."""
        for node in self.plan.nodes.values():
            if node.stage == stage:
                name = f"{node.label}-{node.key}.tsv"
                artifacts.write_text(self.plan.config.results / "benchmarks" / stage / name, text)


def runs() -> list[dict[str, Any]]:
    """Two levels of two kinds of network from two steps."""
    kinds = [("dense", 0), ("imp", 1), ("imp", 2), ("random_prune", 1), ("random_prune", 2)]
    return [
        {"task": "toy", "kind": kind, "level": level, "density": 0.8**level, "k": k, "start": f"k{k}", "change": "", "seed": seed,
         "noise_order": 0, "test_error": (1 + seed + level + k) / 100, "strategy": "", "rule": ""}
        for k, (kind, level), seed in product((0, 2), kinds, (0, 1, 2))
    ]  # fmt: skip


def pairs() -> list[dict[str, Any]]:
    """Instability of dense networks and of IMP at level 2."""
    return [
        {"task": "toy", "kind": kind, "level": level, "k": k, "seed": seed, "split": split, "batchnorm": "averaged",
         "instability": (10 * (2 - k) + seed) / 100}
        for (kind, level), k, seed, split in product((("dense", 0), ("imp", 2)), (0, 2), (0, 1, 2), ("train", "test"))
    ]  # fmt: skip


def claim(name: str, **more: Any) -> dict[str, Any]:
    found = {"claim": name, "family": "B", "setting": "toy", "text": f"Claim {name}.", "source": "paper B, figure 1", "unit": "%"}
    found |= {"measured": 2.0, "low": 1.5, "high": 2.5, "level": 0.95, "num": 3, "asked": 3, "paper_value": 1.9}
    return found | {"paper_spread": 0.1, "rule": "near(margin: 1)", "verdict": "holds", "needs": ""} | more


def claims() -> list[dict[str, Any]]:
    lost: dict[str, Any] = dict.fromkeys(("measured", "low", "high", "paper_value", "paper_spread", "num"))
    lost["needs"] = "task other"
    return [
        claim("first", text=WILD),
        claim("second", verdict="fails", measured=10.0, low=9.0, high=float("inf"), paper_spread=None),
        claim("third", family="A", verdict="undecided", measured=float("inf"), low=-1.0, high=float("inf"), setting="own"),
        claim("fourth", family="A", verdict="not measured", setting="other", **lost),
    ]


def whole(results: Path, **experiment: Any) -> Folder:
    """All that reports look at, with one figure and most tables not made."""
    folder = Folder(plan(results, **experiment))
    folder.table("runs", runs())
    folder.table("instability", pairs())
    if "claims" in folder.plan.tables["tiny"]:
        folder.table("claims", claims())
    for name in FIGURES[:2]:
        folder.figure(name)
    folder.time("train")
    return folder


class Page(HTMLParser):
    """A page as lists of its elements: names, attributes and texts."""

    VOID = ("meta", "link", "input", "img", "br", "path", "rect", "use")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], "all elements are closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self._open)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag, f"{tag} ends where another element is open"

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def having(self, name: str, tag: str | None = None) -> list[str]:
        """Values of an attribute, in order."""
        return [given[name] or "" for each, given, _ in self.elements if name in given and tag in (None, each)]

    @property
    def text(self) -> str:
        """What one reads."""
        return " ".join(" ".join(data for inside, data in self.texts if not {"script", "style"} & set(inside)).split())
