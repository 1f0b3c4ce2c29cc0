"""Makes a random sample of finished artifacts again, and compares every byte with what lies in the results folder.

python tests/faults/recompute.py results --sample 20 --seed 0
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
RECORD = "spec.json"


def _finished(results: Path) -> list[tuple[dict[str, Any], Path]]:
    """List the finished artifacts of all plans of a results folder, each with its plan's file."""
    found = {}
    for plan in sorted((results / "plans").glob("*.jsonl")):
        for text in plan.read_text(encoding="utf-8").splitlines()[1:]:
            line = json.loads(text)
            if (results / line["folder"] / RECORD).is_file():
                found[line["key"]] = line, plan
    return [found[key] for key in sorted(found)]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def _differs(line: dict[str, Any], plan: Path, results: Path) -> str:
    """Make one artifact beside links to what it reads; say what is other than it was."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for parent in (folder for folders in line["reads"].values() for folder in folders):
            (root / parent).parent.mkdir(parents=True, exist_ok=True)
            (root / parent).symlink_to((results / parent).resolve())
        folder = root / line["folder"]
        command = [sys.executable, "-m", "pipeline_lib", line["stage"], str(folder), "--plan", str(plan.resolve())]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        old, new = _files(results / line["folder"]), _files(folder)
        return ", ".join(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def recompute(results: Path, number: int, seed: int) -> tuple[int, dict[str, str]]:
    """Make a sample of artifacts again.

    Returns:
        How many were made, and by folder what is other in those that differ.
    """
    finished = _finished(results)
    sample = random.Random(seed).sample(finished, min(number, len(finished)))
    found = {line["folder"]: _differs(line, plan, results) for line, plan in sample}
    return len(found), {folder: what for folder, what in found.items() if what}


def main() -> int:
    """Recompute, and exit with 1 if anything differs or there was nothing to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    number, other = recompute(args.results, args.sample, args.seed)
    print("\n".join([*(f"{folder}: {what}" for folder, what in other.items()), f"{number} recomputed, {len(other)} other"]))
    return int(bool(other) or not number)


if __name__ == "__main__":
    sys.exit(main())
