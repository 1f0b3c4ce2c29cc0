"""Artifacts that no plan needs: found, moved to a trash folder, and brought back."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.planning import inventory, plan_file
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.keys import known_code
from pipeline_lib.planning.nodes import Plan
from pipeline_lib.store import artifacts, verification

TRASH = ".trash"


@dataclass(frozen=True)
class Garbage:
    """What a results folder holds that nothing needs.

    Args:
        results: the folder.
        folders: artifacts that may go.
        foreign: folders that no job of this pipeline made, by their files' records; they are left alone.
        kept: how many artifacts are kept for plan files alone.
        plans: the plan files that go with the artifacts, and what tells of code of which none is left.
    """

    results: Path
    folders: list[Path]
    foreign: list[Path]
    kept: int
    plans: list[Path]

    def report(self) -> str:
        """List it, with sizes."""
        sizes = [size(folder) for folder in self.folders]
        lines = [f"{each / 2**20:9.2f} MiB  {folder}" for folder, each in zip(self.folders, sizes, strict=True)]
        lines += [f"left alone, since no record in it says that a job made it: {folder}" for folder in self.foreign]
        if self.kept:
            lines.append(f"{self.kept} artifacts kept for plans in {self.results / 'plans'} alone; --only lets them go, too")
        return "\n".join([*lines, f"{len(sizes)} artifacts, {sum(sizes) / 2**20:.2f} MiB that no plan needs"])


def size(folder: Path) -> int:
    """Add up the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_made(folder: Path) -> bool:
    """Tell whether a job of this pipeline made a folder: a file in it, its record or a tensor file, carries its key."""
    stage, key = folder.parent.name, folder.name.rpartition("-")[2]
    if folder.is_symlink() or stage not in STAGES:
        return False
    try:
        return bool(verification.record(folder)["stage"] == stage)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError):
        return False
    for path in sorted(folder.glob("*.safetensors")) + sorted(folder.glob(".*.safetensors")):
        try:
            return bool(artifacts.read_meta(path)["key"] == key)
        except ValueError:
            continue
    return False


def find(plan: Plan, *, only: bool = False) -> Garbage:
    """Find artifacts that neither a plan nor any plan file of its results folder needs.

    Args:
        plan: what is to be kept.
        only: keep nothing for plan files.

    Raises:
        ValueError: a plan file is damaged, so that it cannot tell what it needs.
    """
    results, asked = plan.config.results, {node.folder for node in plan.nodes.values()}
    own = results / "plans" / f"{plan.identity()}.jsonl"
    files = sorted((results / "plans").glob("*.jsonl"))
    needed = set() if only else {folder for path in files if plan_file.is_current(path) for folder in plan_file.folders(path)}
    there = {f"artifacts/{folder.parent.name}/{folder.name}": folder for folder in sorted((results / "artifacts").glob("*/*/"))}
    loose = [folder for name, folder in there.items() if name not in asked | needed]
    made = [folder for folder in loose if _is_made(folder)]
    foreign = [folder for folder in loose if folder not in made]
    going = [path for path in files if path != own and (only or not plan_file.is_current(path))]
    left = (inventory.read(folder) for name, folder in there.items() if name in asked | needed)
    codes = [*(each.code for each in left if each), *(node.code for node in plan.nodes.values())]
    unused = known_code.unused(results, codes) if made else []
    return Garbage(results, made, foreign, len(there.keys() & needed - asked), [*going, *unused])


def _with_records(results: Path, folder: Path) -> Iterator[Path]:
    yield folder
    for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
        yield results / kind / folder.parent.name / f"{folder.name}.{suffix}"


def _move(paths: Collection[Path], source: Path, target: Path) -> None:
    for path in paths:
        place = target / path.relative_to(source)
        if path.exists() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)


def discard(found: Garbage) -> str:
    """Move artifacts, their logs and their benchmark records to the trash; what an earlier call moved there is gone for good."""
    trash = found.results / TRASH
    shutil.rmtree(trash, ignore_errors=True)
    moved = [path for folder in found.folders for path in _with_records(found.results, folder)]
    _move([*moved, *found.plans], found.results, trash)
    return f"{len(found.folders)} artifacts moved to {trash}; --undo brings them back until the next time"


def restore(results: Path) -> str:
    """Bring back what was moved to the trash; what has been made again in the meantime stays as it is."""
    trash = results / TRASH
    folders = sorted(trash.glob("artifacts/*/*"))
    files = [path for kind in ("logs/*/*", "benchmarks/*/*", "plans/*.jsonl", "plans/code/*") for path in trash.glob(kind)]
    _move([*folders, *files], trash, results)
    left = [folder for folder in folders if folder.exists()]
    return f"{len(folders) - len(left)} artifacts brought back from {trash}"
