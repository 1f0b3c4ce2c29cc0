"""A rerun that fails leaves nothing behind that passes for its result."""

from __future__ import annotations

import copy
from typing import Any

import checkout as co
from checkout import Checkout

BROKEN = '    raise RuntimeError("it is broken")\n'
BODIES = {
    "train": '    spec, task = job.spec, job.spec["task"]\n',
    "interpolate": '    network = data.build(spec["task"], dataset)\n',
}


def _with_steps(steps: int) -> dict[str, Any]:
    config = copy.deepcopy(co.SINGLE)
    config["tasks"]["toy"]["steps"] = steps
    return config


def test_failed_rerun_leaves_no_stale_results(single: Checkout) -> None:
    artifacts = co.contents(single.results / "artifacts")
    single.configure(_with_steps(45))
    single.edit("pipeline_lib/stages/train.py", BODIES["train"], BROKEN + BODIES["train"])
    failed = co.snakemake(single)
    assert failed.code == 1
    assert "it is broken" in failed.text
    assert co.contents(single.results / "single") == {}, "no table or figure of the old parameters may stay"
    after = co.contents(single.results / "artifacts")
    assert {name: after.get(name) for name in artifacts} == artifacts, "finished artifacts stay as they were"
    assert not [name for name in set(after) - set(artifacts) if name.startswith("train/")]
    assert co.dry(single)["train"] == 6

    single.edit("pipeline_lib/stages/train.py", BROKEN, "")
    co.succeed(single, "results/single/runs.parquet", "results/single/curves.parquet")
    assert set(single.table("single", "runs")["steps"]) == {45}
    assert single.table("single", "curves")["step"].max() == 45

    single.configure(co.SINGLE)
    assert set(co.dry(single)) == {"publish"}, "the old parameters' artifacts are all there still"


def test_failed_rerun_keeps_published_files_that_it_does_not_change(single: Checkout) -> None:
    config = copy.deepcopy(co.SINGLE)
    config["experiments"]["single"]["alphas"] = 4
    single.configure(config)
    published = co.contents(single.results / "single")
    single.edit("pipeline_lib/stages/interpolate.py", BODIES["interpolate"], BROKEN + BODIES["interpolate"])
    assert co.snakemake(single).code == 1
    left = co.contents(single.results / "single")
    assert left == {name: published[name] for name in left}
    assert {"runs.parquet", "curves.parquet", "figures/accuracy_by_density.svg"} <= set(left)
    assert not {"interpolation.parquet", "instability.parquet", "figures/instability_sparse.svg"} & set(left)
