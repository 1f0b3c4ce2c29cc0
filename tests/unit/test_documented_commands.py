"""Commands in README and docs: what follows `--configfile` or `--config` is one of these, and no target is swallowed."""

from __future__ import annotations

import re
import shlex

import pytest

from pipeline_lib.experiments.config import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _commands(text: str) -> list[str]:
    """Find calls of Snakemake in indented lines, continued ones joined, and in inline code."""
    joined = re.sub(r" *\\?\n {5,}", " ", text)
    lines = [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`]+)`", joined.replace("\n", " "))
    return [line.partition("  #")[0] for line in lines if re.match(r"([A-Z_]+=\S+ )*(\.venv/bin/)?(snakemake|…) .*--", line)]


def _follow(words: list[str], option: str) -> list[str]:
    """List the words that an option takes: all up to the next one."""
    found: list[str] = []
    for i in (i for i, word in enumerate(words) if word == option):
        rest = words[i + 1 :]
        found += rest[: next((j for j, word in enumerate(rest) if word.startswith("-")), len(rest))]
    return found


def _swallowed(command: str) -> list[str]:
    words = shlex.split(command)
    files = [word for word in _follow(words, "--configfile") if not re.fullmatch(r".*\.yaml|…", word)]
    return files + [word for word in _follow(words, "--config") if "=" not in word]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_target_is_swallowed(page):
    for command in _commands(page.read_text(encoding="utf-8")):
        assert _swallowed(command) == [], command


def test_the_check_finds_what_it_is_for():
    assert len([command for page in PAGES for command in _commands(page.read_text(encoding="utf-8"))]) > 15
    assert _swallowed("snakemake --cores 2 --configfile a.yaml results/x.svg") == ["results/x.svg"]
    assert _swallowed("… --config 'a={b: 1}' results/x.svg") == ["results/x.svg"]
    assert _swallowed("snakemake --configfile a.yaml b.yaml --config a=1 -- results/x.svg") == []
