"""The workflow as a module of another one, whose folder, config and rules are its own."""

from __future__ import annotations

import re
from pathlib import Path

import checkout as co
import pytest
import yaml

PAGE = (co.PROJECT / "docs" / "deploying.md").read_text(encoding="utf-8")
GRID = {"tasks": ["toy"], "seeds": 1, "orders": 1, "rewind": [0], "levels": 1, "figures": ["learning_curves"]}


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A folder with the Snakefile of the page, and a config with a section for the module."""
    (block,) = re.findall(r"    # workflow/Snakefile of yours\n((?:    .*\n|\n)+)", PAGE)
    text = re.sub(r"^    ", "", block, flags=re.MULTILINE).replace("path/to/rewind", str(co.PROJECT))
    config = {"mine": 1, "rewind": {"tasks": {"toy": co.TOY}, "experiments": {"first": GRID}}}
    for name, content in (("workflow/Snakefile", text), ("config/config.yaml", yaml.safe_dump(config))):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def test_another_workflow_goes_on_from_a_table(outer: Path) -> None:
    planned = co.call(outer, "-P", "-m", "snakemake", "--dry-run", "--cores", "1")  # -P: nothing is found in the folder by chance
    assert planned.code == 0, planned.text
    rules = ("prepare", "pretrain", "train", "tabulate", "publish_table")
    assert co.job_counts(planned.text) == {"mine": 1, **{f"rewind_{rule}": 1 for rule in rules}}
    assert not (outer / "results" / "first").exists()
