from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from benchmarks import __main__ as benchmarks


def test_benchmarks_start_where_snakemake_is_not_installed(monkeypatch):
    """As on a machine that is lent for its GPU."""

    def bare(package: str) -> str:
        if package == "snakemake":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(benchmarks, "version", bare)
    found = benchmarks._circumstances(full=False)
    assert (found["snakemake"], found["torch"]) == ("none", version("torch"))
