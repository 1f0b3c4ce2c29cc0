"""Calls of `rewind` in README and docs: each command and option is there."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from pipeline_lib.commands.app import app
from pipeline_lib.experiments.config import ROOT

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {command.name: command for command in typer.main.get_command(app).commands.values()}


def _calls(text: str) -> list[str]:
    """Find calls in indented lines and in inline code."""
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`]+)`", text.replace("\n", " "))
    return [line.partition("  #")[0] for line in lines if re.match(r"(\.venv/bin/)?rewind [a-z-]", line)]


def _wrong(call: str) -> list[str]:
    _, *words = shlex.split(call.partition(" > ")[0])
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    if words[0].startswith("--"):
        return [word for word in options if word not in ("--help", "--version", "--install-completion", "--verbose")]
    if words[0] not in COMMANDS:
        return [words[0]]
    known = {name for parameter in COMMANDS[words[0]].params for name in parameter.opts}
    return [option for option in options if option not in known | {"--help"}]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_calls_have_commands_and_options_that_are_there(page):
    for call in _calls(page.read_text(encoding="utf-8")):
        assert _wrong(call) == [], call


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_examples_in_help_have_them_too(command):
    assert _wrong(re.sub(r"\s+", " ", command.help.partition("For example: ")[2])) == []


def test_the_check_finds_what_it_is_for():
    assert len([call for page in PAGES for call in _calls(page.read_text(encoding="utf-8"))]) > 15
    assert _wrong("rewind plam x.yaml") == ["plam"]
    assert _wrong("rewind plan x.yaml --wirte --set a.b=1") == ["--wirte"]
