"""Paper C's figures and tables through the workflow, from real runs of a toy."""

from __future__ import annotations

import checkout as co
import pyarrow.parquet as pq
import pytest
from checkout import Checkout

from pipeline_lib.experiments import figure_needs
from pipeline_lib.planning import declared

OPTIONS = ("connectivity", "planes", "limits", "retraining", "adaptive", "lemma")
ROWS = {
    # two ladders; moved starts; prunings of two levels in two ways; branches, ladders and rewound masks; one adaptive level
    "runs": 2 * 3 + 2 + 2 * 2 + 2 * 2 + 2 * 2 + 2 + 1,
    # successive pairs and projections of two ladders, all pairs of the last one, moved starts
    "barriers": 2 * 2 + 2 * 2 + 1 + 2,
    "paths": (2 * 2 + 2 * 2 + 1 + 2) * 5,
    "planes": 2 * 25,
    "marks": 2 * 3,
    "sets": 2,
    "cuts": 2 * (1 + 1 + 3) + 2 * 4,  # two small ratios of the fit's level are drawn five times
    "fits": 2,
    # The Hessian from two random starts and the gradient, Gauss-Newton from two on 8, 16, 32 and 64 images.
    "spectrum": 2 * 6 * (3 + 2 * 4),
    "curvature": 2,
    "magnitudes": 201 * (3 + 2 + 2 * 2 + 2 * 2),
    "geometry": 8 * 7 // 2,  # three starts, three solutions, two projections
}


@pytest.mark.parametrize("name", list(ROWS))
def test_tables_have_their_schema_and_rows(unmasking_done: Checkout, name: str) -> None:
    table = pq.ParquetFile(unmasking_done.results / "unmasking" / f"{name}.parquet")
    types = {str(field.name): str(field.type) for field in table.schema_arrow}
    assert list(types.items()) == [(column.name, column.type) for column in declared.COLUMNS[name]]
    assert table.metadata.num_rows == ROWS[name]


def test_every_figure_is_published(unmasking_done: Checkout) -> None:
    found = {path.name for path in (unmasking_done.results / "unmasking" / "figures").iterdir()}
    asked = [name for name, demand in figure_needs.FIGURES.items() if demand.option in OPTIONS]
    assert co.files_of(asked) <= found


def test_strategies_begin_where_they_should(unmasking_done: Checkout) -> None:
    runs = unmasking_done.table("unmasking", "runs").set_index("start")
    begun = {start: set(runs.loc[[start], "start_step"]) for start in runs.index}
    assert begun["k10"] == begun["k10 | lr_rewinding | mask | weight_rewinding"] == begun["k10 | pruning_sized"] == {10}
    assert begun["k10 | lr_rewinding"] == begun["k10 | mask | lr_rewinding"] == begun["k10 | fine_tuning(0.01)"] == {0}


def test_further_pruning_leaves_its_share(unmasking_done: Checkout) -> None:
    runs = unmasking_done.table("unmasking", "runs").set_index(["start", "level"])["density"]
    for level in (0, 1):
        left = runs["k10 | mask | prune(0.3, random)", level]
        assert left == pytest.approx(0.7 * runs["k10", level], rel=1e-2)
        assert left == runs["k10 | mask | prune(0.3, magnitude)", level]


def test_the_first_mask_of_a_strategy_is_the_ladders(unmasking_done: Checkout) -> None:
    nodes = unmasking_done.nodes()
    trained = {n["spec"]["start"]: n for n in nodes.values() if n["stage"] == "train" and n["spec"]["level"] == 1}
    masks = {start: tuple(node["parents"]["mask"]) for start, node in trained.items()}
    assert masks["k10 | lr_rewinding"] == masks["k10 | mask | fine_tuning(0.01)"] == masks["k10"]
    assert masks["k10 | mask | prune(0.3, random)"] != masks["k10"]


def test_an_adaptive_ladder_prunes_at_least_the_floor(unmasking_done: Checkout) -> None:
    ratios = unmasking_done.table("unmasking", "ratios")
    chosen = ratios[ratios["chosen"]]
    assert (chosen["fraction"] >= 0.36).all()
    runs = unmasking_done.table("unmasking", "runs")
    adaptive = runs[(runs["start"] == "k10 | adaptive(64)") & (runs["level"] == 1)]
    assert adaptive["density"].item() == pytest.approx(chosen["density"].item())


def test_everything_is_there_for_the_next_run(unmasking_done: Checkout) -> None:
    assert co.dry(unmasking_done) == {}
