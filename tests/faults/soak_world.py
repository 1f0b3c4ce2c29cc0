"""The soak's experiment: its results in a folder, and jobs forked from this process to make them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import toys

from pipeline_lib import __main__ as command
from pipeline_lib.experiments import config_files
from pipeline_lib.planning import driver, nodes

STAGES = ("prepare", "pretrain", "prune", "rewind", "train", "interpolate", "tabulate", "derive")
FIGURES = ["accuracy_by_density", "instability_sparse"]
TABLES = ("runs", "instability", "means")
Child = Callable[[], None]


class World:
    """The experiment's results in a folder, and what makes them."""

    def __init__(self, root: Path) -> None:
        raw = toys.raw_config(root / "results", seeds=1, orders=2, rewind=[2], levels=1, alphas=3, figures=FIGURES)
        raw["tasks"]["toy"] |= {"steps": 12, "evaluate_every": 4}
        self.results, self.made = root / "results", toys.make_plan(raw)
        of_tables = [node for node in self.made.nodes.values() if node.stage in STAGES]
        self.nodes = [node for node in of_tables if node.spec.get("table", TABLES[0]) in TABLES]
        self.started: set[str] = set()
        self.pristine = root / "pristine"
        config_files.content_hash = cache(config_files.content_hash)  # type: ignore[assignment]  # configs do not change here

    def tables(self) -> dict[str, bytes]:
        """Bytes of all tables."""
        found = [self.results / node.folder / "table.parquet" for node in self.nodes if node.stage in ("tabulate", "derive")]
        return {path.parent.name: path.read_bytes() for path in found if path.is_file()}

    def needs(self, node: nodes.Node) -> bool:
        """Whether Snakemake would start its job."""
        return node.key in self.started or not all((self.results / name).is_file() for name in node.files())

    def job(self, node: nodes.Node, child: Child | None = None, after: float | None = None) -> tuple[int, str]:
        """Run a job, if wanted with something done in it first, or killed after a time; return its exit code and output."""
        plan = driver.write_plan(self.made, []) if child is None else self.results / "plans" / f"{self.made.identity()}.jsonl"
        self.started.add(node.key)
        reads, writes = os.pipe()  # a file would be limited where the disk is full
        pid = os.fork()
        if pid == 0:
            os.dup2(writes, 1)
            os.dup2(writes, 2)
            try:
                (child or (lambda: None))()
                os._exit(command.main([node.stage, str(self.results / node.folder), "--plan", str(plan)]))
            except BaseException as error:  # as an interpreter does that ends with a traceback
                os.write(2, f"Traceback: {error!r}\n".encode())
                os._exit(70)
        os.close(writes)
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        with os.fdopen(reads, encoding="utf-8", errors="replace") as output:
            text = output.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            self.started.discard(node.key)
        return code, text

    def warm(self) -> None:
        """Make everything once in this process, which imports all that jobs need."""
        plan = driver.write_plan(self.made, [])
        for node in self.nodes:
            driver.run_node(node.stage, self.results / node.folder, plan)

    def run(self) -> tuple[int, str]:
        """Make what is missing, parents first; end with the first job that fails."""
        for node in self.nodes:
            if self.needs(node):
                code, text = self.job(node)
                if code:
                    return code, text
        return 0, ""

    def restore(self) -> None:
        """Go back to the finished results."""
        shutil.rmtree(self.results)
        shutil.copytree(self.pristine, self.results)
        self.started.clear()

    def below(self, node: nodes.Node) -> list[nodes.Node]:
        """All nodes that depend on one, in order."""
        keys, found = {node.key}, []
        for other in self.nodes:
            if any(keys & set(parents) for parents in other.parents.values()):
                keys.add(other.key)
                found.append(other)
        return found

    def remove(self, *removed: nodes.Node) -> None:
        """Remove artifacts."""
        for node in removed:
            shutil.rmtree(self.results / node.folder, ignore_errors=True)
