"""Codes of what the papers leave open: each that is cited is explained in docs/ambiguities.md."""

from __future__ import annotations

import re

from pipeline_lib.experiments.config import ROOT

PAGE = ROOT / "docs" / "ambiguities.md"
CODE = re.compile(r"\b(?:G-\d+|[ABC]-X\d+)\b")
PLACES = ("*.md", "config/**/*", "docs/**/*.md", "pipeline_lib/**/*", "workflow/**/*", "benchmarks/**/*", "tests/**/*.py")
TEXT = (".md", ".py", ".yaml", ".smk", ".rst", ".html")


def _cited() -> dict[str, list[str]]:
    """Find the codes that are cited, and where."""
    found: dict[str, list[str]] = {}
    for path in sorted({path for place in PLACES for path in ROOT.glob(place)}):
        if path.suffix in TEXT and path != PAGE:
            for code in CODE.findall(path.read_text(encoding="utf-8")):
                found.setdefault(code, []).append(str(path.relative_to(ROOT)))
    return found


def _explained() -> list[tuple[str, str, str]]:
    return re.findall(rf"^\| ({CODE.pattern}) \| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_code_that_is_cited_is_explained():
    cited, explained = _cited(), {code for code, _, _ in _explained()}
    assert len(cited) > 50
    assert {code: cited[code] for code in sorted(cited.keys() - explained)} == {}


def test_codes_are_explained_once_and_in_order():
    codes = [code for code, _, _ in _explained()]
    assert codes == sorted(set(codes), key=lambda code: ("GABC".index(code[0]), int(re.sub(r"\D", "", code))))
    assert all(question.endswith((".", "?")) and len(here) > 10 for _, question, here in _explained())
