"""The workflow as a module of another one, whose folder, config and rules are its own."""

from __future__ import annotations

import re
import shutil
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


# What snakedeploy 0.17 writes of a folder, but for the path of its Snakefile, which it leaves relative.
DEPLOYED = """
from snakemake.utils import min_version
min_version("6.10.0")
configfile: "config/config.yaml"
module rewind:
    snakefile:
        "path/to/rewind/workflow/Snakefile"
    config:
        config
use rule * from rewind
"""


def test_a_deployed_workflow_makes_what_its_copy_of_the_config_asks_for(tmp_path: Path) -> None:
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "Snakefile").write_text(DEPLOYED.replace("path/to/rewind", str(co.PROJECT)), encoding="utf-8")
    shutil.copytree(co.PROJECT / "config", tmp_path / "config")
    config = {"tasks": {"toy": co.TOY}, "experiments": {"first": GRID}}
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    planned = co.call(tmp_path, "-P", "-m", "snakemake", "--dry-run", "--cores", "1")
    assert planned.code == 0, planned.text
    counts = co.job_counts(planned.text)
    assert counts.pop("publish") == 4, planned.text
    assert counts == {"prepare": 1, "pretrain": 1, "train": 1, "tabulate": 2, "derive": 1, "plot": 1}
