"""A written plan's artifacts, one after the other in this process: all of a plan without Snakemake, or one that was let go."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from pipeline_lib.core import files, registry
from pipeline_lib.planning import closing, driver, footprint, ledger, plan_file, publication
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.lineage import Lineage
from pipeline_lib.planning.nodes import Node
from pipeline_lib.planning.plan_file import Written
from pipeline_lib.planning.written.index import Lines
from pipeline_lib.store import lease, progress
from pipeline_lib.store.job import in_turn, log


def _missing(written: Written, until: str | None) -> list[Node]:
    """List what is missing, parents first; where a stage is named, of its nodes and what they come from."""
    nodes, wanted = written.nodes, written.wanted
    if until is not None:
        wanted = {key for key, node in nodes.items() if node.stage == until}
        needed = set(wanted)
        for key, node in reversed(nodes.items()):
            if key in needed:
                needed.update(*node.parents.values())
        nodes = {key: node for key, node in nodes.items() if key in needed}
    keys = footprint.missing(nodes, wanted, written.results, written.keep)
    return [node for key, node in nodes.items() if key in keys]


def _make(written: Written, node: Node) -> None:
    folder = written.results / node.folder
    log.info("%s", node.folder)
    # Snakemake's note of an earlier job: it would take what is older than its inputs for outdated.
    (written.results / node.benchmark).unlink(missing_ok=True)
    try:
        with progress.told(folder):
            driver.run_node(node.stage, folder, written.path)
    except (ValueError, OSError) as error:
        raise ValueError(f"node {node.folder}: {error}") from error


def _publish(written: Written) -> None:
    for name, source in written.published.items():
        if not publication.is_current(written.results, written.published, name):
            made = written.results / source
            files.write_atomic(written.results / name, partial(shutil.copyfile, made))


def make(path: Path, until: str | None = None) -> None:
    """Make what is missing of a written plan, and publish its tables and figures, as a run does.

    What was made stays where it is, also when this ends early; another call goes on from there.

    Args:
        path: the plan file, `<results>/plans/<identity>.jsonl`.
        until: a stage; nothing is made but artifacts of it and what they come from, and nothing is published.

    Raises:
        ValueError: there is no such plan or stage, another run works in the folder, or a node cannot be made, which is named.
    """
    if until is not None and until not in STAGES:
        raise registry.unknown("stage", until, list(STAGES))
    written = Written(path)
    publication.check(written)
    with lease.held(written.results):
        written.mark_begun()
        for name in publication.remove_outdated(written):
            log.info("removed outdated %s; its artifact is kept", written.results / name)
        try:
            for node in in_turn(_missing(written, until)):
                _make(written, node)
        finally:
            driver.write_index(written.results)
        if until is None:
            _publish(written)
            told = ledger.mixtures(written.results, written.published)
            told += closing.lines(written.results, written.published)
            for line in [*told, *driver.let_go(written)]:
                log.info("%s", line)


def _plan_of(results: Path, key: str) -> Written:
    """Find the newest plan of a results folder that has an artifact.

    Raises:
        ValueError: none has it.
    """
    newest = sorted((results / "plans").glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest:
        if plan_file.is_current(path) and Lines(path).find(key):
            return Written(path)
    rule = f"artifact {key} must be part of a plan in {results / 'plans'}, got none that has it"
    raise ValueError(f"{rule}; write its plan with: rewind plan CONFIG --write")


def again(results: Path, word: str) -> list[Path]:
    """Make an artifact whose states or masks were let go whole again, and what it needs for that; nothing is published.

    Args:
        results: the results folder.
        word: its key, or the first digits.

    Returns:
        The folders of what was made; none if all was there.

    Raises:
        ValueError: there is no such artifact, no plan has it, another run works in the folder, or a node cannot be made.
    """
    key = Lineage(results).key(word)
    written = _plan_of(results, key)
    with lease.held(results):
        missing = footprint.to_make(written.nodes, {key}, results)
        todo = [node for own, node in written.nodes.items() if own in missing]
        for node in in_turn(todo):
            _make(written, node)
    return [results / node.folder for node in todo]
