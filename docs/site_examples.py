"""Docstrings' `Example:` as the site's reader of docstrings calls it, so that what is typed there is shown as code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Rename the section in all docstrings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename it in one."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
