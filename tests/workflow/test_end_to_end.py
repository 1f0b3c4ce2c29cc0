"""The whole pipeline on a grid that is small enough to count by hand."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import checkout as co
import pandas as pd
import pyarrow.parquet as pq
import pytest
from checkout import Checkout

from pipeline_lib.experiments import figure_needs
from pipeline_lib.planning import declared

# Runs of one seed: the ladder at two rewind steps (three orders dense and at level 1, one at level 2), and two controls
# (level 1 with three orders at each rewind step, level 2 with one at the first).
RUNS = 2 * 2 * (3 + 3 + 1) // 2 + 2 * (3 + 1 + 3)
SETTINGS = 2 * 2 + 2 * 2  # starts with three orders: dense and sparse at two rewind steps, both controls
ROWS = {
    "runs": 2 * RUNS,
    "curves": 2 * RUNS * 2 * 2,  # at steps 15 and 30, test and batch
    "interpolation": 2 * SETTINGS * 3 * 2 * 2 * 5,  # three pairs, two splits, two kinds of statistics, five points
    "instability": 2 * SETTINGS * 3 * 2 * 2,
    "distances": 2 * SETTINGS * 3,
    "throughout": 2 * 3 * 2,  # two kept steps
    "layers": 2 * 2 * 3 * 3,  # dense networks from two rewind steps, three pairs, three layers
    "means": SETTINGS * 2 * 2,
    "onsets": 2 + 2 + 2 * 3,  # stability of dense networks and of each kind at level 1; matching of each kind at both levels
    "networks": 1,
    "signs": 2 * 3,  # steps 0 and 10, over all weights and the survivors of two ladders
}
RUN = ["task", "seed", "kind", "k", "level"]


@pytest.mark.parametrize("name", list(ROWS))
def test_tables_have_their_schema_and_rows(tiny_done: Checkout, name: str) -> None:
    table = pq.ParquetFile(tiny_done.results / "tiny" / f"{name}.parquet")
    types = {str(field.name): str(field.type) for field in table.schema_arrow}
    assert list(types.items()) == [(column.name, column.type) for column in declared.COLUMNS[name]]
    assert all(table.schema_arrow.field(c.name).metadata[b"meaning"].decode() == c.meaning for c in declared.COLUMNS[name])
    assert table.metadata.num_rows == ROWS[name]
    frame = tiny_done.table("tiny", name)
    nullable = ["last_finite_step", "further_criterion", "further_fraction", "headroom_share"]
    nullable += {"onsets": ["k", "first_k", "before", "low", "high"], "networks": ["validated_accuracy", "validated_sd"]}.get(
        name, []
    )
    assert not frame.drop(columns=nullable, errors="ignore").isna().any().any()
    own = ("noise_order", "order_1", "order_2", "split", "batchnorm", "step", "alpha", "of", "block", "scope")
    keys = [key for key in (*RUN, *own) if key in frame.columns]
    assert not frame.duplicated(keys).any()


def test_every_figure_is_published(tiny_done: Checkout) -> None:
    found = {path.name for path in (tiny_done.results / "tiny" / "figures").iterdir()}
    asked = [
        name for name, demand in figure_needs.FIGURES.items() if demand.option in (None, "throughout", "layerwise", "claims")
    ]
    assert found == co.files_of(asked)


def test_index_lists_all_artifacts(tiny_done: Checkout) -> None:
    index = pd.read_parquet(tiny_done.results / "index.parquet")
    folders = {path.name for path in tiny_done.results.glob("artifacts/*/*")}
    assert len(index) == len(folders)
    assert set(index["label"] + "-" + index["key"]) == folders
    assert set(index["key"]) == set(tiny_done.nodes())
    assert index["versions"].str.contains("torch").all()


def test_densities_fall_with_the_level(tiny_done: Checkout) -> None:
    runs = tiny_done.table("tiny", "runs")
    by_level = runs.groupby("level")["density"].unique()
    assert list(by_level[0]) == [1.0]
    assert all(abs(density - 0.64) < 0.01 for density in by_level[1])
    assert all(abs(density - 0.64**2) < 0.01 for density in by_level[2])


def test_ends_of_paths_are_the_runs_own_scores(tiny_done: Checkout) -> None:
    lines, runs = tiny_done.table("tiny", "interpolation"), tiny_done.table("tiny", "runs")
    for alpha, order in ((1.0, "order_1"), (0.0, "order_2")):
        ends = lines[lines["alpha"] == alpha].rename(columns={order: "noise_order"})
        both = ends.merge(runs, on=[*RUN, "noise_order"], validate="many_to_one")
        assert len(both) == ROWS["interpolation"] // 5
        for split in ("train", "test"):
            part = both[both["split"] == split]
            assert (part["error"] == part[f"{split}_error"]).all()
            assert (part["loss"] == part[f"{split}_loss"]).all()


@pytest.mark.parametrize("name", ["runs", "curves", "interpolation", "instability", "distances"])
def test_cohorts_do_not_change_a_bit(tiny_done: Checkout, single_done: Checkout, name: str) -> None:
    frame, alone = tiny_done.table("tiny", name), single_done.table("single", name)
    chosen = (frame["seed"] == 0) & (frame["k"] == 0) & frame["kind"].isin(("dense", "imp")) & (frame["level"] <= 1)
    if "batchnorm" in frame.columns:
        chosen &= frame["batchnorm"] == "averaged"  # the other run asked for no other kind
    # `onset` looks at every k and seed; artifacts are another cohort's.
    others = ("experiment", "onset", "key", "other_key", "member", "other_member")
    columns = [column for column in frame.columns if column not in others]
    expected = frame.loc[chosen, columns].reset_index(drop=True)
    assert len(expected) > 0
    pd.testing.assert_frame_equal(alone[columns], expected, check_exact=True)


def test_figures_are_remade_with_the_same_bytes(single: Checkout) -> None:
    before = co.contents(single.results / "single")
    shutil.rmtree(single.results / "artifacts" / "plot")
    shutil.rmtree(single.results / "single" / "figures")
    assert set(co.job_counts(co.succeed(single))) == {"plot", "publish"}
    assert co.contents(single.results / "single") == before


@pytest.mark.parametrize("stage", ["prune", "rewind"])
def test_masks_are_made_without_torch(single: Checkout, stage: str) -> None:
    folder = single.path(f"artifacts/{stage}/*")
    before = co.contents(folder)
    shutil.rmtree(folder)
    outcome = co.stage(single, folder, python=("-X", "importtime"))
    assert outcome.code == 0, outcome.text
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in outcome.text.splitlines()}
    assert "numpy" in imported
    assert "torch" not in imported
    assert co.contents(folder) == before


def test_experiments_asked_for_together_share_training(tiny: Checkout, tmp_path: Path) -> None:
    other = {"tasks": ["toy"], "seeds": 2, "orders": [0, 2, 3], "rewind": [10], "levels": 1, "pruning": {"fraction": 0.36}}
    other |= {key: co.TINY["experiments"]["tiny"][key] for key in ("batchnorm", "throughout", "layerwise")}
    config = {**co.TINY, "experiments": {"other": {**other, "alphas": 5}}}
    empty = co.blank(tmp_path / "empty", co.TINY)
    alone = co.dry(empty)
    together = [replace(checkout, further=(checkout.root / "other.yaml",)) for checkout in (tiny, empty)]
    for checkout in together:
        Checkout(checkout.root, checkout.further[0]).configure(config)
    done, both = map(co.dry, together)
    assert set(done) == {"signs", "tabulate", "derive", "plot", "publish"}, "all that the other one needs is trained already"
    shared = ("prepare", "pretrain", "prune", "rewind", "train", "trace", "interpolate", "follow", "layers")
    assert {stage: both[stage] for stage in shared} == {stage: alone[stage] for stage in shared}
    assert both["tabulate"] == 2 * alone["tabulate"], "tables are each experiment's own"
