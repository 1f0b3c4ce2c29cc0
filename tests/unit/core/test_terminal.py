from __future__ import annotations

import logging

import pytest

from pipeline_lib.core import terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ä, 中, 🎉 and\ntwo lines\twith a tab", "plain, ä, 中, 🎉 and\ntwo lines\twith a tab"),
        ("\x1b[31mred\x07\r", r"\x1b[31mred\x07\r"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff is no text", r"\udcff is no text"),
        ("\x00\x08", r"\x00\x08"),
    ],
)
def test_what_a_terminal_obeys_is_shown_instead(text, shown):
    assert terminal.printable(text) == shown
    terminal.printable(text).encode()


def test_log_lines_are_safe():
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "of %s", ("\x1b]0;title\x07",), None)
    assert terminal.Formatter("%(message)s").format(record) == r"of \x1b]0;title\x07"
