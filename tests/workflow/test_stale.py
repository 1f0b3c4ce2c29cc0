"""A rerun that fails leaves nothing behind that passes for its result."""

from __future__ import annotations

import copy
import shutil
from typing import Any

import checkout as co
from checkout import Checkout

BROKEN = '    raise RuntimeError("it is broken")\n'
BODIES = {
    "train": '    spec, task = job.spec, job.spec["task"]\n',
    "interpolate": "    spec, world = job.spec, data.world(job)\n",
}


def _with_steps(steps: int) -> dict[str, Any]:
    config = copy.deepcopy(co.SINGLE)
    config["tasks"]["toy"]["steps"] = steps
    return config


def test_failed_rerun_leaves_no_stale_results(single: Checkout) -> None:
    artifacts = co.contents(single.results / "artifacts")
    single.configure(_with_steps(45))
    single.edit("pipeline_lib/stages/states/train.py", BODIES["train"], BROKEN + BODIES["train"])
    failed = co.snakemake(single)
    assert failed.code == 1
    assert "it is broken" in failed.text
    assert co.contents(single.results / "single") == {}, "no table or figure of the old parameters may stay"
    after = co.contents(single.results / "artifacts")
    assert {name: after.get(name) for name in artifacts} == artifacts, "finished artifacts stay as they were"
    assert not [name for name in set(after) - set(artifacts) if name.startswith("train/")]
    assert co.dry(single)["train"] == 6

    single.edit("pipeline_lib/stages/states/train.py", BROKEN, "")
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
    single.edit("pipeline_lib/stages/landscape/interpolate.py", BODIES["interpolate"], BROKEN + BODIES["interpolate"])
    (single.results / "index.parquet").unlink()
    assert co.snakemake(single).code == 1
    assert (single.results / "index.parquet").is_file(), "the index tells of what there is after a failure, too"
    left = co.contents(single.results / "single")
    assert left == {name: published[name] for name in left}
    assert {"runs.parquet", "curves.parquet", "figures/accuracy_by_density.svg"} <= set(left)
    assert not {"interpolation.parquet", "instability.parquet", "figures/instability_sparse.svg"} & set(left)


def test_figures_of_an_earlier_plan_do_not_stay_beside_new_tables(single: Checkout) -> None:
    config = copy.deepcopy(co.SINGLE)
    config["experiments"]["single"] |= {"seeds": [1], "figures": ["accuracy_by_density"]}
    single.configure(config)
    mine = single.results / "single" / "notes.txt"
    mine.write_text("mine", encoding="utf-8")
    text = co.succeed(single)
    for suffix in ("svg", "png", "pdf"):
        assert f"removed outdated results/single/figures/instability_sparse.{suffix}; its artifact is kept" in text
    assert {path.name for path in (single.results / "single" / "figures").iterdir()} == {
        "accuracy_by_density.svg",
        "accuracy_by_density.png",
        "accuracy_by_density.pdf",
    }
    assert set(single.table("single", "runs")["seed"]) == {1}
    assert len(list(single.results.glob("artifacts/plot/*/figure.svg"))) == 3
    assert mine.is_file()


def test_a_strangers_table_is_neither_overwritten_nor_removed(single: Checkout) -> None:
    path = single.results / "single" / "runs.parquet"
    path.write_text("mine", encoding="utf-8")
    shutil.rmtree(single.path("artifacts/tabulate/single-runs-*"))
    outcome = co.snakemake(single)
    assert outcome.code == 1
    assert "published file results/single/runs.parquet must be a copy of what a job wrote, got another content" in outcome.text
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_report_after_an_edit_is_refused_until_the_run_is_done(single: Checkout) -> None:
    assert co.snakemake(single, "--report", "report.zip").code == 0
    single.edit(*co.OTHER_FIGURE)
    (single.root / "report.zip").unlink()
    outcome = co.snakemake(single, "--report", "report.zip")
    assert outcome.code == 1
    assert "report must show what config and code make now, got results/single/figures/accuracy_by_density.pdf" in outcome.text
    assert not (single.root / "report.zip").exists()
    co.succeed(single)
    assert co.snakemake(single, "--report", "report.zip").code == 0


def test_a_misspelt_target_is_told_what_there_is(single: Checkout) -> None:
    for target in ("figures/acuracy_by_density.svg", "run.parquet", "figures/hessian.svg"):
        outcome = co.snakemake(single, "--dry-run", f"results/single/{target}")
        assert outcome.code == 1
        assert "target must be one of results/single/" in outcome.text
        assert f"got 'results/single/{target}'" in outcome.text
        assert "No rule to produce" not in outcome.text
    assert (
        "did you mean 'results/single/figures/accuracy_by_density.svg'?"
        in co.snakemake(single, "--dry-run", "results/single/figures/acuracy_by_density.svg").text
    )
