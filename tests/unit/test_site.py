"""The site of the docs: each page has its place, and links lead to files that are there. `make docs` builds it."""

from __future__ import annotations

import importlib.util
import posixpath
import re
from pathlib import Path

import pytest
import yaml

from pipeline_lib.experiments.config import ROOT


def _hook():
    spec = importlib.util.spec_from_file_location("site_links", ROOT / "docs" / "site_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = _hook()
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "page.md")
OUTSIDE = [ROOT / name for name in SITE.OUTSIDE if name.endswith(".md")]


def _placed(nav: list) -> list[str]:
    values = [value for entry in nav for value in entry.values()]
    return [name for value in values for name in (_placed(value) if isinstance(value, list) else [value])]


def _prose(page: Path) -> str:
    """A page without what is typed."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "", "\n".join(line for line in text.splitlines() if not line.startswith("    ")))


def test_every_page_has_one_place():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = [str(page.relative_to(ROOT)) for page in [*PAGES, *OUTSIDE]]
    assert sorted(_placed(settings["nav"])) == sorted(SITE.page_of(page) for page in pages)


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_the_site_has(page):
    links = [link for link in re.findall(r"\]\(([^)\s#]+)", _prose(page)) if not re.match(r"[a-z]+:", link)]
    for link in links:
        path = posixpath.normpath(posixpath.join(page.parent.relative_to(ROOT).as_posix(), link))
        assert (ROOT / path).is_file(), f"{link} is no file"
        assert SITE.page_of(path), f"{path} is not on the site"


def test_links_are_made_the_sites():
    assert SITE.relinked("[a](docs/papers/x.md#b) [c](config/README.md)", "index.md") == "[a](papers/x.md#b) [c](configure.md)"
    assert SITE.relinked("[a](../../README.md)", "papers/x.md") == "[a](../index.md)"
    assert SITE.relinked("[a](../docs/config.md)", "configure.md") == "[a](config.md)"
    assert SITE.relinked("[a](https://b.org/c.md) [d](#e)", "index.md") == "[a](https://b.org/c.md) [d](#e)"
    assert SITE.piped(r"| `k500 \| mask` | `b` |") == "| <code>k500 &#124; mask</code> | `b` |"


def test_the_gallery_has_every_figure_that_is_kept():
    shown = re.findall(r"!\[.*?\]\((.+?)\)", (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"))
    kept = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / "reproductions").glob("*/figures/*.png")]
    assert sorted(shown) == sorted(kept)
