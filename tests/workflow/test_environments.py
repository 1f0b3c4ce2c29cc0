"""Environments in whole runs: what mixes them is said, and with `environment: strict` a job elsewhere refuses."""

from __future__ import annotations

import checkout as co
import pandas as pd
from checkout import Checkout

SMALL = {"figures": ["paths_dense"], "tasks": ["toy"], "rewind": [0], "orders": 2, "alphas": 3}


def _config(seeds: int, **more: str) -> co.Config:
    return {"tasks": {"toy": co.TOY}, "experiments": {"small": SMALL | {"seeds": seeds}}, **more}


def test_a_run_says_in_one_line_which_tables_mix_environments(empty: Checkout) -> None:
    empty.configure(_config(seeds=1))
    assert "mix environments" not in co.make(empty)
    here = empty.table("small", "runs")["environment"].unique().item()
    empty.edit("pipeline_lib/store/environment.py", 'return _stated(_CPU, "model name") or', 'return "Another processor" or')
    empty.configure(_config(seeds=2))
    (line,) = [line for line in co.make(empty).splitlines() if "mix environments" in line]
    assert line.partition(" ")[2].startswith(
        "tables of results/small mix environments (curves, distances, instability, interpolation, "
    )
    assert "; train in " in line
    runs = empty.table("small", "runs").merge(pd.read_parquet(empty.results / "index.parquet"), on="key")
    assert runs.groupby("seed")["processor"].unique().map(list).to_dict() == {
        0: [here.partition(", ")[0]],
        1: ["Another processor"],
    }
    assert co.dry(empty) == {}


def test_a_strict_run_refuses_on_another_device(empty: Checkout) -> None:
    empty.configure(_config(seeds=1, environment="strict"))
    outcome = co.snakemake(empty, env=co.environment(PIPELINE_DEVICE_NAME="NVIDIA H200"))
    assert outcome.code != 0
    (log,) = (empty.results / "logs" / "pretrain").glob("*.log")
    (line,) = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("error: ")]
    assert line.startswith("error: environment of stage pretrain must be what its key says, got ")
    assert " instead of NVIDIA H200; " in line
    assert "Traceback" not in outcome.text
    co.make(empty)
