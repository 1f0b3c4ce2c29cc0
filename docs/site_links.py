"""What the site has from outside of `docs/`, and links as they stand on disk, made into links of the site. A hook of mkdocs."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Where the site has what lies outside of docs/.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "config/README.md": "configure.md",
    "CITATION.cff": "files/CITATION.cff",
    ".snakemake-workflow-catalog.yml": "files/catalogue.yml",
    "workflow/profiles/slurm/config.yaml": "files/slurm-profile.yaml",
}
INSIDE = {page: name for name, page in OUTSIDE.items()}
LINK = re.compile(r"(\]\()([^)\s#]+)([^)\s]*\))")
# A pipe in inline code of a table's cell is written as \| for GitHub; here it is a character by its number.
PIPED = re.compile(r"`([^`\n]*\\\|[^`\n]*)`")


def path_of(page: str) -> str:
    """Name the file of a page of the site, relative to the checkout."""
    return INSIDE.get(page, f"docs/{page}")


def page_of(path: str) -> str | None:
    """Name the page of the site that a file of the checkout is; None if it is none."""
    return OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)


def relinked(text: str, page: str) -> str:
    """Make links relative to files of the checkout into links relative to pages of the site."""

    def link(found: re.Match[str]) -> str:
        target = found[2]
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path_of(page)), target))
        to = page_of(path)
        return found[0] if to is None else f"{found[1]}{posixpath.relpath(to, posixpath.dirname(page) or '.')}{found[3]}"

    return LINK.sub(link, text)


def piped(text: str) -> str:
    """Write inline code with pipes so that tables of the site show it as GitHub does."""
    return PIPED.sub(lambda found: f"<code>{found[1].replace(chr(92) + '|', '&#124;')}</code>", text)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside of `docs/`."""
    from mkdocs.structure.files import File

    for name, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make a page's links and tables the site's."""
    return piped(relinked(markdown, page.file.src_uri))
