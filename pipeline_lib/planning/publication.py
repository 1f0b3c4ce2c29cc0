"""Published files, `results/<experiment>/…`: copies of artifacts, the only results whose names do not say what they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline_lib.core import registry
from pipeline_lib.planning.declared import STAGES
from pipeline_lib.planning.plan_file import Written
from pipeline_lib.store import seals, verification

# The stages that make what is published, by the ending of its name.
_FIGURES = tuple(Path(name).suffix for name in STAGES["plot"].files)
_STAGES = {".parquet": ("tabulate", "derive", "judge"), **dict.fromkeys(_FIGURES, ("plot",))}


def _recorded(results: Path, suffixes: Collection[str]) -> set[str]:
    """Collect the digests that jobs wrote down of what they made for publication."""
    found: set[str] = set()
    for stage in sorted({stage for suffix in suffixes for stage in _STAGES[suffix]}):
        for path in (results / "artifacts" / stage).glob(f"*/{verification.RECORD}"):
            found |= set(verification.written(path).values())
    return found


def _key(suffix: str, content: bytes) -> str:
    """Read off a published file's content which artifact it is a copy of; of a stranger's it is empty."""
    return seals.key_in(content) if suffix == ".parquet" else verification.marked(content)


def is_of_another(written: Written, name: str) -> bool:
    """Tell whether what is published is a copy of another artifact than the plan's, such as of earlier code or config.

    Snakemake would know it by its records, but those are a working folder's own: results that came from elsewhere, or that were
    made without it, have none.
    """
    copy = written.results / name
    return copy.is_file() and _key(copy.suffix, copy.read_bytes()) not in ("", seals.key_of(Path(written.published[name]).parent))


class _Ours:
    """Tells which files are copies of what some job of this pipeline wrote."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._digests: dict[str, set[str]] = {}

    def __call__(self, copy: Path) -> bool:
        suffix = copy.suffix
        if suffix not in self._digests:
            self._digests[suffix] = _recorded(self._results, [suffix])
        content = copy.read_bytes()
        return hashlib.sha256(content).hexdigest() in self._digests[suffix] or bool(_key(suffix, content))


def is_current(results: Path, published: Mapping[str, str], name: str) -> bool:
    """Tell whether a published file is a copy of what a plan makes.

    Args:
        results: the results folder.
        published: files that users read, each with the artifact's file that it is a copy of, both under the results folder.
        name: of the published file.
    """
    copy, source = results / name, results / published[name]
    return copy.is_file() and source.is_file() and source.read_bytes() == copy.read_bytes()


def _is_current(written: Written, name: str) -> bool:
    return is_current(written.results, written.published, name)


def _there(written: Written) -> Iterator[str]:
    """List the files in the places where this plan's experiments publish, whoever wrote them."""
    for experiment in sorted({name.partition("/")[0] for name in written.published}):
        folder = written.results / experiment
        figures = [path for suffix in _FIGURES for path in folder.glob(f"figures/*{suffix}")]
        for path in sorted([*folder.glob("*.parquet"), *figures]):
            yield str(path.relative_to(written.results))


def check(written: Written) -> None:
    """Refuse to go on with tables and figures that were damaged, or where something else lies in their place.

    Snakemake only asks whether they exist.

    Raises:
        ValueError: an artifact is not what its job wrote, or a published file is a copy of none.
    """
    ours = _Ours(written.results)
    for name, made in written.published.items():
        copy, source = written.results / name, written.results / made
        if source.is_file():
            verification.check(source)
        if copy.is_file() and not _is_current(written, name) and not ours(copy):
            raise ValueError(
                f"published file {copy} must be a copy of what a job wrote, got another content; move it away and run again"
            )


def remove_outdated(written: Written, fresh: Collection[str] = ()) -> list[str]:
    """Remove copies of artifacts that are not this plan's, so that none passes for fresh beside it or after a failure.

    Their artifacts stay where they are, and files that are copies of none, too.

    Args:
        written: the plan.
        fresh: paths of those that are up to date although the artifact that they are a copy of may be gone.

    Returns:
        Their names under the results folder.
    """
    ours, removed = _Ours(written.results), []
    for name in _there(written):
        copy = written.results / name
        known = name in written.published and (str(copy) in fresh or _is_current(written, name))
        if not known and ours(copy):
            copy.unlink()
            removed.append(name)
    return removed


def check_current(written: Written) -> None:
    """Refuse to report on what is not this plan's.

    Raises:
        ValueError: a published file is not a copy of what the plan makes.
    """
    ours = _Ours(written.results)
    for name in _there(written):
        stale = not _is_current(written, name) if name in written.published else ours(written.results / name)
        if stale:
            raise ValueError(
                f"report must show what config and code make now, got {written.results / name} of earlier ones; "
                "run the experiment again first"
            )


def unknown(written: Written, target: str) -> ValueError:
    """Word the error of a target that the plan does not publish, with the nearest one that it does.

    Args:
        written: the plan.
        target: a path under the results folder.
    """
    suffix = Path(target).suffix
    alike = [name for name in written.published if name.endswith(suffix)] or list(written.published)
    return registry.unknown("target", str(written.results / target), [str(written.results / name) for name in alike])
