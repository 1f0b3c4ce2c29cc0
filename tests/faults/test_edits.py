"""Files of the package are edited at each moment of a job: it makes what was planned, or nothing, and one line says why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toys
import yaml

from pipeline_lib.core import sources

MOMENTS = int(os.environ.get("REWIND_MOMENTS", "8"))
NETWORK = ("pipeline_lib/networks/mlp.py", "nn.ReLU()", "nn.Hardtanh()")
EDITS = {
    "network": [NETWORK],
    "other revision": [
        ("pipeline_lib/networks/mlp.py", "nn.ReLU()", "nn.Tanh()"),  # as long: compiled code of either passes for the other's
        ("pipeline_lib/training/optimisers/sgd.py", "torch.optim.SGD([vector], lr=lr", "torch.optim.SGD([vector], lr=3 * lr"),
        ("pipeline_lib/core/algebra.py", "def ", "def  "),
        ("pipeline_lib/core/rng.py", "return ", "return ("),  # half a file
    ],
}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A copy of the package, the folder of a run to train, and its plan; its parents are there."""
    root = tmp_path_factory.mktemp("edited")
    shutil.copytree(sources.ROOT, root / "pipeline_lib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("config", "workflow"):
        shutil.copytree(sources.ROOT.parent / name, root / name)
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(toys.raw_config(root / "results", seeds=1, orders=1, rewind=[0], levels=0, alphas=3)))
    _python(root, "-m", "pipeline_lib", "plan", str(config), "--write")
    (plan,) = (root / "results" / "plans").glob("*.jsonl")
    lines = [json.loads(line) for line in plan.read_text(encoding="utf-8").splitlines()[1:]]
    folders = {line["stage"]: root / "results" / line["folder"] for line in lines}
    for stage in ("prepare", "pretrain"):
        _python(root, "-m", "pipeline_lib", stage, str(folders[stage]), "--plan", str(plan))
    return root, folders["train"], plan


def _python(root: Path, *arguments: str, **options: Any) -> str:
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _refused(outcome: dict[str, Any]) -> bool:
    errors = [line for line in outcome["text"].splitlines() if line.startswith("error: ")]
    return (outcome["code"], len(errors)) == (1, 1) and "Traceback" not in outcome["text"] and "spec.json" not in outcome["files"]


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_at_any_moment_of_a_job_changes_nothing_or_is_refused(checkout, name):
    root, folder, plan = checkout
    edits: dict[str, str] = {}
    for path, old, new in EDITS[name]:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text
        edits[path] = text.replace(old, new)
    script = str(Path(__file__).with_name("edited_job.py"))
    lines = _python(root, script, str(folder), str(plan), str(MOMENTS), input=json.dumps(edits)).splitlines()
    whole, *outcomes = map(json.loads, lines)
    assert whole["code"] == 0 and "spec.json" in whole["files"], whole["text"]
    for outcome in outcomes:
        equal = outcome["code"] == 0 and outcome["files"] == whole["files"]
        assert equal or _refused(outcome), (outcome["moment"], outcome["text"])
    assert _refused(outcomes[0]), "an edit before the start"
    assert outcomes[1]["code"] == 0, "whatever is loaded later is what was there at the start"
