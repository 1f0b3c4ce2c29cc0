from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks import __main__ as benchmarks
from benchmarks import cifar_shaped, evaluate_paths, plan_66k
from benchmarks.measure import Line


def test_benchmarks_start_where_snakemake_is_not_installed(monkeypatch):
    """As on a machine that is lent for its GPU."""

    def bare(package: str) -> str:
        if package == "snakemake":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(benchmarks, "version", bare)
    found = benchmarks._circumstances(full=False)
    assert (found["snakemake"], found["torch"]) == ("none", version("torch"))


def test_lines_go_to_the_file_that_is_named(monkeypatch, tmp_path):
    """The checkout on a lent machine is thrown away."""
    before = benchmarks.RESULTS.read_bytes()
    monkeypatch.setattr(plan_66k, "run", lambda full: [Line("plan_66k", 4.0, 6.0, 1.5)])
    for _ in range(2):
        assert benchmarks.main(["--results", str(tmp_path / "lines.csv"), "plan_66k"]) == 0
    with (tmp_path / "lines.csv").open() as file:
        assert [(row["name"], row["ratio"]) for row in csv.DictReader(file)] == [("plan_66k", "1.5")] * 2
    assert benchmarks.RESULTS.read_bytes() == before


def test_the_usual_way_evaluates_the_same_images_in_a_gpus_memory_as_from_pictures():
    data = cifar_shaped.dataset(1, 2 * cifar_shaped.BATCH + 3)
    pictures = list(cifar_shaped.loader(data.test, training=False))
    for (x, y), (there, labels) in zip(evaluate_paths.in_memory(data), pictures, strict=True):
        assert torch.equal(y, labels)
        torch.testing.assert_close(x, there)
