"""Mutation testing of the numeric core: a sample of small changes of its code, each of which some unit test must notice.

    .venv-mutants/bin/python tests/mutants.py --python .venv/bin/python --number 200 --seed 0

Works on copies of the checkout, several at a time; prints the mutants that survive and ends with 1 if more than a tenth do.
`make mutants` installs cosmic-ray in an environment of its own, no part of the pins; tests run in the project's.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parents[1]
# Modules, and the tests that are to notice their mutants, from narrow to wide.
CORE = {
    "training/loop.py": ["unit/training/test_loop.py", "oracle/test_torch_optim.py"],
    "training/batches.py": ["unit/training/test_batches.py", "unit/training/test_loop.py"],
    "training/evaluation.py": ["unit/training/test_evaluation.py"],
    "training/optimisers/sgd.py": ["unit/training/test_optimisers.py", "oracle/test_torch_optim.py"],
    "pruning/masks.py": ["unit/pruning/test_masks.py", "unit/pruning/test_selection.py"],
    "pruning/selection.py": ["unit/pruning/test_selection.py", "unit/pruning/test_criteria.py"],
    "pruning/rewinding.py": ["unit/pruning/test_pruning_rewinding.py"],
    "analysis/paths.py": ["unit/analysis/test_analysis_paths.py"],
    "analysis/planes.py": ["unit/analysis/test_analysis_planes.py"],
    "analysis/lanczos.py": ["unit/analysis/test_lanczos.py", "oracle/test_spectra_oracles.py"],
    "analysis/spectra.py": ["unit/analysis/test_spectra.py", "oracle/test_limits_oracle.py", "oracle/test_spectra_oracles.py"],
}
# Annotations are never evaluated, so that a mutant of `int | None` is no mutant; decorators are those of classes.
IGNORED = ("core/ReplaceBinaryOperator_BitOr_", "core/RemoveDecorator")
TIMEOUT = 120.0  # seconds for the tests of a mutant
SURVIVING = 0.1


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed: where it is, and the change."""

    module: str
    diff: str


def _copy(to: Path) -> Path:
    kept = shutil.ignore_patterns(".git", ".venv*", "results", ".snakemake", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, to, ignore=kept)
    return to


def _config(module: str, python: Path) -> str:
    tests = [f"tests/{name}" for name in CORE[module]]
    command = shlex.join([str(python), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests])
    lines = [
        "[cosmic-ray]",
        f'module-path = "pipeline_lib/{module}"',
        f"timeout = {TIMEOUT}",
        "excluded-modules = []",
        f'test-command = "{command}"',
        "[cosmic-ray.distributor]",
        'name = "local"',
    ]
    return "\n".join(lines) + "\n"


def _cosmic_ray(folder: Path, *words: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-m", "cosmic_ray.cli", *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )


def _is_asked(item: WorkItem) -> bool:
    return not any(mutation.operator_name.startswith(IGNORED) for mutation in item.mutations)


def prepare(folder: Path, module: str, python: Path) -> list[str]:
    """List a module's mutants in a copy; each is left for `test` to choose from."""
    (folder / "mutants.toml").write_text(_config(module, python), encoding="utf-8")
    _cosmic_ray(folder, "init", "mutants.toml", "mutants.sqlite", "--force")
    with use_db(str(folder / "mutants.sqlite"), WorkDB.Mode.open) as session:
        return sorted(item.job_id for item in session.work_items if _is_asked(item))


def test(folder: Path, module: str, chosen: set[str]) -> tuple[int, list[Survivor]]:
    """Test the chosen mutants of the module that the copy was prepared for; count them, and list those that survive."""
    skipped = WorkResult(output="not in the sample", worker_outcome=WorkerOutcome.SKIPPED)
    with use_db(str(folder / "mutants.sqlite"), WorkDB.Mode.open) as session:
        rest = [item.job_id for item in session.work_items if item.job_id not in chosen]
        session.set_multiple_results(rest, skipped)
    _cosmic_ray(folder, "exec", "mutants.toml", "mutants.sqlite")
    with use_db(str(folder / "mutants.sqlite"), WorkDB.Mode.open) as session:
        done = [result for _, result in session.completed_work_items if result.worker_outcome != WorkerOutcome.SKIPPED]
    alive = [result for result in done if result.test_outcome == TestOutcome.SURVIVED]
    return len(done), [Survivor(module, result.diff or "") for result in alive]


def sample(sizes: dict[str, int], number: int, seed: int) -> dict[str, list[int]]:
    """Choose mutants at random over all modules: places in each module's list."""
    every = [(module, i) for module, size in sorted(sizes.items()) for i in range(size)]
    chosen = random.Random(seed).sample(every, min(number, len(every)))
    return {module: sorted(i for name, i in chosen if name == module) for module in sizes}


def main() -> int:
    """Test a sample of mutants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has the project and pytest")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side-by-side", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(args.side_by_side) as pool:
        folders = {module: _copy(Path(place) / str(i)) for i, module in enumerate(CORE)}
        found = {module: prepare(folder, module, args.python.absolute()) for module, folder in folders.items()}
        chosen = sample({module: len(mutants) for module, mutants in found.items()}, args.number, args.seed)
        jobs = {m: pool.submit(test, folders[m], m, {found[m][i] for i in chosen[m]}) for m in CORE if chosen[m]}
        counts = {module: job.result() for module, job in jobs.items()}
    total, alive = sum(count for count, _ in counts.values()), [each for _, found in counts.values() for each in found]
    for each in alive:
        print(f"{each.module} survives:\n{each.diff}")
    for module, (count, survivors) in counts.items():
        print(f"{module}: {count - len(survivors)} of {count} noticed")
    print(f"{total - len(alive)} of {total} mutants noticed")
    return int(len(alive) > SURVIVING * total)


if __name__ == "__main__":
    sys.exit(main())
