"""Hundreds of random faults against a small experiment; after each, its tables beside those of an undisturbed run.

    python tests/faults/soak.py --faults 300 --drivers 5 --seed 0 --write docs/reliability.md

Jobs are real ones (`python -m pipeline_lib STAGE …`), forked from this process so that they need not import torch anew, and
started as Snakemake starts them: where an output is missing or an earlier try did not end. A few faults are kills of Snakemake
itself. A fault is survived if the next run gives the same tables, refused if one clear error names the file and what to do, and
doing so gives the same tables; anything else is a loss.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
for _folder in ("", "tests", "tests/workflow"):
    sys.path.insert(0, str(PROJECT / _folder))

import driver_kills  # noqa: E402
from recompute import recompute  # noqa: E402
from soak_world import STAGES, World  # noqa: E402

from pipeline_lib.planning import nodes  # noqa: E402
from pipeline_lib.stages.support import training  # noqa: E402
from pipeline_lib.store import resumption  # noqa: E402

CLEAR = re.compile(r"error: (?:artifact|record|file|plan|node) (\S+) must .+; .+")


# Faults. Each takes the world and a source of randomness, and leaves the world to be run again.


def _redo(world: World, rng: random.Random, stages: tuple[str, ...] = STAGES) -> nodes.Node:
    """Choose a node of which, and of what depends on it, nothing is there."""
    node = rng.choice([node for node in world.nodes if node.stage in stages])
    world.remove(node, *world.below(node))
    return node


def kill_job(world: World, rng: random.Random) -> None:
    """A job is killed at some time."""
    world.job(_redo(world, rng), after=rng.uniform(0, 0.3))


def kill_write(world: World, rng: random.Random) -> None:
    """A job is killed with a file written and not yet renamed."""
    node, left, rename = _redo(world, rng), [rng.randint(1, 4)], Path.replace

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    world.job(node, child=lambda: setattr(Path, "replace", replace))


def _at_step(world: World, rng: random.Random, number: int) -> None:
    """A training job that keeps its state at every report gets a signal at some step."""
    node, left, report = _redo(world, rng, ("train", "pretrain")), [rng.randint(1, 12)], training.Reporter.__call__

    def reported(self: training.Reporter, progress: object) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), number)
        report(self, progress)  # type: ignore[arg-type]

    def child() -> None:
        training.Reporter.__call__ = reported  # type: ignore[method-assign]
        resumption.SAVE_SECONDS = 0.0

    for _ in range(rng.randint(1, 3)):
        world.job(node, child=child)


def kill_training(world: World, rng: random.Random) -> None:
    """A training job that keeps its state is killed at some step, up to three times."""
    _at_step(world, rng, signal.SIGKILL)


def stop_training(world: World, rng: random.Random) -> None:
    """A training job is told to stop at some step, up to three times."""
    _at_step(world, rng, signal.SIGTERM)


def full_disk(world: World, rng: random.Random) -> None:
    """No file may grow beyond some size."""
    node, size = _redo(world, rng), int(10 ** rng.uniform(0, 5))
    code, text = world.job(node, child=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert code == 0 or "must be writable" in text, text
    assert not list(world.results.rglob("*.part")), "something half-written is left"


def _damage(world: World, rng: random.Random, change: Callable[[Path], None], reread: bool) -> None:
    node = rng.choice([node for node in world.nodes if node.stage not in ("tabulate", "derive")])
    path = rng.choice(sorted((world.results / node.folder).iterdir()))
    change(path)
    if reread:
        world.remove(*world.below(node))


def truncation(world: World, rng: random.Random) -> None:
    """A file is cut off somewhere."""
    _damage(world, rng, lambda path: os.truncate(path, rng.randrange(path.stat().st_size)), reread=True)


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def bit_flip(world: World, rng: random.Random) -> None:
    """A bit of a file is flipped."""
    _damage(world, rng, lambda path: _flip(path, rng), reread=True)


def foreign_file(world: World, rng: random.Random) -> None:
    """A file is replaced by another node's of the same name."""

    def swap(path: Path) -> None:
        others = sorted(other for other in path.parent.parent.parent.glob(f"*/*/{path.name}") if other.parent != path.parent)
        shutil.copy(rng.choice(others), path) if others else path.write_bytes(b"foreign")

    _damage(world, rng, swap, reread=True)


def removed_file(world: World, rng: random.Random) -> None:
    """A file is removed."""
    _damage(world, rng, Path.unlink, reread=rng.random() < 0.5)


def damaged_resume_file(world: World, rng: random.Random) -> None:
    """A training job is stopped, and a bit of what it kept is flipped or the end is cut off."""
    stop_training(world, rng)
    for path in world.results.rglob(resumption.NAME):
        _flip(path, rng) if rng.random() < 0.5 else os.truncate(path, rng.randrange(path.stat().st_size))


def damaged_plan(world: World, rng: random.Random) -> None:
    """The plan file is damaged while jobs are running."""
    node = _redo(world, rng)
    path = world.results / "plans" / f"{world.made.identity()}.jsonl"
    _flip(path, rng) if rng.random() < 0.5 else os.truncate(path, rng.randrange(path.stat().st_size))
    code, text = world.job(node, child=lambda: None)
    assert code == 0 or re.fullmatch(r"error: .+ must .+, got.+; .+", text.strip()), text


FAULTS = (
    kill_job, kill_write, kill_training, stop_training, full_disk, truncation, bit_flip, foreign_file, removed_file,
    damaged_resume_file, damaged_plan,
)  # fmt: skip


def outcome(world: World, expected: dict[str, bytes]) -> tuple[str, str]:
    """Run again, doing as clear errors say, and compare."""
    refused = False
    for _ in range(4):
        code, text = world.run()
        if code == 0:
            same = world.tables() == expected
            return ("refused" if refused else "survived", "") if same else ("lost", "other tables")
        lines = text.strip().splitlines()
        named = CLEAR.fullmatch(lines[-1]) if lines and "Traceback" not in text else None
        if code != 1 or named is None:
            return "lost", f"exit code {code}: {text}"
        refused = True
        path = Path(named[1])
        folder = path if path.is_dir() and path.parent.parent.name == "artifacts" else path.parent
        if folder.parent.parent.name != "artifacts":
            return "lost", f"no artifact is named: {text}"
        shutil.rmtree(folder)
    return "lost", "errors without an end"


def report(counts: dict[str, Counter[str]], seed: int, minutes: float) -> str:
    """Word the results as Markdown."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False)
    total = sum((counter for counter in counts.values()), Counter[str]())
    row = "| {} | {} | {} | {} | {} |".format
    lines = [row("fault", "injected", "survived", "refused, then the same", "lost"), "| --- | --- | --- | --- | --- |"]
    for name, counter in [*counts.items(), ("**all**", total)]:
        lines.append(row(name, counter.total(), *(counter[how] for how in ("survived", "refused", "lost"))))
    where = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    return "\n".join([f"Commit {commit.stdout.strip()}, seed {seed}, {where}, {minutes:.0f} minutes.", "", *lines, ""])


def main() -> int:
    """Inject faults; exit with 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=330, help="how many, of all kinds together")
    parser.add_argument("--drivers", type=int, default=5, help="how many kills of Snakemake, beside these")
    parser.add_argument("--recompute", type=int, default=12, help="how many finished artifacts to make again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long")
    parser.add_argument("--write", type=Path, help="the file whose part between the two marks is replaced")
    args = parser.parse_args()

    begun, counts = time.monotonic(), {fault.__name__.replace("_", " "): Counter[str]() for fault in FAULTS}
    memory = Path("/dev/shm")  # spares the disk thousands of flushes
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        world = World(Path(folder))
        world.warm()
        expected = world.tables()
        shutil.copytree(world.results, world.pristine)
        number, other = recompute(world.results, args.recompute, args.seed)
        counts["none: made again"] = Counter(survived=number - len(other), lost=len(other))
        for i in range(args.faults):
            if time.monotonic() - begun > 60 * args.minutes:
                break
            fault, rng = FAULTS[i % len(FAULTS)], random.Random(f"{args.seed} {i}")
            world.restore()
            try:
                fault(world, rng)
                how, why = outcome(world, expected)
            except Exception as error:
                how, why = "lost", repr(error)
            counts[fault.__name__.replace("_", " ")][how] += 1
            if how == "lost":
                print(f"LOST fault {i} {fault.__name__}: {why}", file=sys.stderr)
    counts["kill of Snakemake"] = driver_kills.kill_drivers(args.drivers, random.Random(args.seed))
    text = report(counts, args.seed, (time.monotonic() - begun) / 60)
    print(text)
    if args.write:
        before, _, rest = args.write.read_text(encoding="utf-8").partition("<!-- soak -->\n")
        after = rest.partition("<!-- end -->")[2]
        args.write.write_text(f"{before}<!-- soak -->\n{text}<!-- end -->{after}", encoding="utf-8")
    return int(any(counter["lost"] for counter in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
