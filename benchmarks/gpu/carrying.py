"""To the bare machine and back: plans with what is made of them, in parts, and results into the results folder."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

from pipeline_lib.core import files
from pipeline_lib.planning import driver, plan_file
from pipeline_lib.planning.written import making

CONFIGS = {name: Path(__file__).parent / f"{name}.yaml" for name in ("check", "science")}
PART = 48 * 2**20  # bytes of a part on the way there: 64 MiB go with it, and the checkout has up to 16
BACK, MOST_BACK = 15 * 2**20, 4  # bytes of a part on the way home, and how many: 64 MiB come back, the rows among them
INDEX, WHEELS, CARRIED = "index.json", "wheels.txt", "carried.json"
AT_HOME = ("snakemake", "typer", "rich", "jsonschema", "platformdirs", "pygments")  # what no job loads


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _divide(archive: bytes, folder: Path, size: int, stem: str) -> dict[str, str]:
    """Write an archive in parts; give their digests in order."""
    found = {}
    for i, begin in enumerate(range(0, len(archive), size)):
        path = folder / f"{stem}-{i}"
        path.write_bytes(archive[begin : begin + size])
        found[path.name] = _sha256(path)
    return found


def _packed(results: Path, names: Iterable[str]) -> bytes:
    """Archive files and folders of a results folder, with their times, by which Snakemake knows what follows what."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for name in names:
            archive.add(results / name, arcname=name)
    return buffer.getvalue()


def _made(results: Path, plan: Path) -> Iterator[str]:
    """List the folders of a plan's artifacts that are there, also those of stopped jobs, which go on elsewhere."""
    return (node["folder"] for node in plan_file.nodes(plan) if (results / node["folder"]).is_dir())


def missing_wheels(installed: Iterable[str]) -> list[str]:
    """List the distributions that jobs load and a machine lacks, pinned, for `pip download --no-deps`.

    Args:
        installed: names of what the machine has.
    """
    found, seen = dict[str, str](), {canonical(name) for name in (*installed, *AT_HOME)}
    asked = ["rewind-pipeline"]
    while asked:
        for wanted in requires(asked.pop()) or ():
            name = canonical(re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0])
            if name not in seen and ";" not in wanted:
                seen.add(name)
                found[name] = version(name)
                asked.append(name)
    return [f"{name}=={found[name]}" for name in sorted(found)]


def canonical(name: str) -> str:
    """Spell a distribution's name in one way."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def pack(target: Path, configs: dict[str, Path], installed: Sequence[str]) -> dict[str, Any]:
    """Write the parts that a machine needs: plans, prepared data, all that earlier days made of them, and what is lacking there.

    Args:
        target: folder for the parts.
        configs: config files by the name of their plan.
        installed: names of the packages that the machine has.

    Returns:
        What the index says: digests of the parts in order, and each plan's file.
    """
    made = {name: driver.load([path]) for name, path in configs.items()}
    results, plans, names = next(iter(made.values())).config.results, dict[str, str](), dict[str, None]()
    for name, each in made.items():
        path = driver.write_plan(each, [configs[name]])
        making.make(path, until="prepare")
        plans[name] = str(path.relative_to(results))
        names |= dict.fromkeys([plans[name], *_made(results, path)])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    index = {"plans": plans, "parts": _divide(_packed(results, names), target, PART, "part")}
    (target / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    (target / WHEELS).write_text("".join(f"{line}\n" for line in missing_wheels(installed)), encoding="utf-8")
    return index


def collect(work: Path, source: Path) -> list[str]:
    """Add what was carried to the machine in one call to what came before; unpack when all is there.

    Args:
        work: folder outside the checkout, which stays while the machine does.
        source: folder with some of the parts, and the index.

    Returns:
        Names of the parts that are still to come.

    Raises:
        ValueError: a part is damaged.
    """
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / INDEX, work / INDEX)
    index = json.loads((work / INDEX).read_text(encoding="utf-8"))
    for name, digest in index["parts"].items():
        if (source / name).is_file():
            files.write_atomic(work / name, partial(shutil.copyfile, source / name))
            if _sha256(work / name) != digest:
                (work / name).unlink()
                raise ValueError(f"part {name} must be what was packed, got another content; carry it again")
    lacking = [name for name in index["parts"] if not (work / name).is_file()]
    if not lacking:
        names = _extract([work / name for name in index["parts"]], work / "results")
        whole = [name.removesuffix("/spec.json") for name in names if name.endswith("/spec.json")]
        (work / CARRIED).write_text(json.dumps(whole), encoding="utf-8")
    return lacking


def _extract(parts: Sequence[Path], results: Path) -> list[str]:
    """Unpack an archive that lies in parts; list what it had."""
    results.mkdir(parents=True, exist_ok=True)
    whole = io.BytesIO(b"".join(path.read_bytes() for path in parts))
    with tarfile.open(fileobj=whole, mode="r:gz") as archive:
        archive.extractall(results, filter="data")
        return archive.getnames()


def plan_of(work: Path, name: str) -> Path:
    """Give a plan's file on the machine."""
    index = json.loads((work / INDEX).read_text(encoding="utf-8"))
    return work / "results" / str(index["plans"][name])


def bring_back(work: Path, out: Path, plan: Path) -> list[str]:
    """Write what was made there into parts that may come back, in the plan's order, instead of those of an earlier call.

    Args:
        work: the folder with results.
        out: where to.
        plan: whose artifacts.

    Returns:
        Folders for which there was no room.
    """
    results, chosen, left, size = work / "results", list[str](), list[str](), 0
    carried = set(json.loads((work / CARRIED).read_text(encoding="utf-8")))
    for name in _made(results, plan):
        if name not in carried:
            size += len(_packed(results, [name]))
            (chosen if size < MOST_BACK * BACK else left).append(name)
    archive = _packed(results, chosen)
    for path in out.glob("back-*"):
        path.unlink()
    _divide(archive, out, BACK, "back")
    return left


def unpack(source: Path, results: Path) -> None:
    """Put what came back into the results folder; what is there already stays, as equal keys mean equal content.

    Args:
        source: folder of the parts.
        results: the results folder.
    """
    fresh = results / "plans" / ".back"
    _extract(sorted(source.glob("back-*"), key=lambda path: int(path.name.rpartition("-")[2])), fresh)
    for folder in sorted(fresh.glob("artifacts/*/*")):
        target = results / folder.relative_to(fresh)
        if not (target / "spec.json").is_file():
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.replace(target)
    shutil.rmtree(fresh)
