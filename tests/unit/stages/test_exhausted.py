"""A ladder that goes on until no weight is left: it ends there, and everything after it measures nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import toys

from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.planning import driver, nodes
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation

TASK = toys.task(network={"name": "mlp", "widths": [2]}, steps=4, evaluate_every=2)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[nodes.Plan, Path]:
    """148 weights, of which a tenth stays at each level: 148, 14, 1, 0, 0."""
    results = tmp_path_factory.mktemp("exhausted")
    raw = toys.raw_config(results, levels=4, sparse_level=1, orders=2, rewind=[0], pruning={"fraction": 0.9})
    raw["experiments"]["tiny"] |= {"controls": ["random_prune", "reinit"], "seeds": 1}
    raw["experiments"]["tiny"] |= {"figures": ["accuracy_by_density", "instability_sparse"]}
    made = toys.make_plan(raw | {"tasks": {"toy": TASK}})
    path = driver.write_plan(made, [])
    for node in made.nodes.values():
        driver.run_node(node.stage, results / node.folder, path)
    return made, results


@pytest.fixture
def runs(done) -> pd.DataFrame:
    made, results = done
    return tabulation.read(results / made.tables["tiny"]["runs"].folder / "table.parquet")


def test_the_table_counts_weights_and_empty_layers(runs):
    ladder = tabulation.of_kind(runs[runs["noise_order"] == 0], "imp").set_index("level")
    assert ladder["num_kept"].to_dict() == {0: 148, 1: 14, 2: 1, 3: 0, 4: 0}
    assert ladder["num_empty_layers"].to_dict() == {0: 0, 1: ladder.loc[1, "num_empty_layers"], 2: 1, 3: 2, 4: 2}


def test_levels_without_weights_have_no_errors_and_have_not_diverged(runs):
    bare = runs[runs["level"] >= 3]
    assert set(bare["kind"]) == {"imp", "random_prune", "reinit"}
    assert bare[["train_error", "train_loss", "test_error", "test_loss", "last_finite_step"]].isna().all().all()
    assert not bare["diverged"].any()
    assert runs[runs["level"] < 3]["test_error"].notna().all()


def test_nothing_is_trained_there(done):
    made, results = done
    curves = tabulation.read(results / made.tables["tiny"]["curves"].folder / "table.parquet")
    assert curves["level"].max() == 2


def test_masks_say_why_the_ladder_has_ended(done):
    made, results = done
    for node in (node for node in made.nodes.values() if node.stage == "prune"):
        _, head = artifacts.read_arrays(results / node.folder / "mask.safetensors")
        assert head["diverged"] == head["empty"] == [node.spec["level"] >= 3], node.label


def test_the_figures_are_drawn(done):
    made, results = done
    for name in ("accuracy_by_density", "instability_sparse"):
        assert name in FIGURES
        assert (results / made.figures["tiny"][name].folder / "figure.png").stat().st_size > 10_000
