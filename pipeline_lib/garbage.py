"""Artifacts that no plan needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline_lib.nodes import Plan


def unneeded(plan: Plan) -> list[Path]:
    """List artifact folders that are not part of a plan."""
    folders = sorted((plan.config.results / "artifacts").glob("*/*/"))
    return [folder for folder in folders if f"{folder.parent.name}/{folder.name}" not in plan.by_folder]


def collect(plan: Plan, *, remove: bool) -> str:
    """List what a plan does not need, or remove it with its log and benchmark record.

    Args:
        plan: all that is to be kept.
        remove: remove, instead of listing only.
    """
    folders, lines, total = unneeded(plan), [], 0
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        total += size
        lines.append(f"{size / 2**20:9.2f} MiB  {folder}")
        if remove:
            shutil.rmtree(folder)
            for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
                record = plan.config.results / kind / folder.parent.name / f"{folder.name}.{suffix}"
                record.unlink(missing_ok=True)
    verb = "removed" if remove else "to remove with --remove"
    return "\n".join([*lines, f"{len(folders)} artifacts, {total / 2**20:.2f} MiB {verb}"])
