from __future__ import annotations

from typing import Any

import pytest
import toys

from pipeline_lib import config, demands, tables
from pipeline_lib.demands import FIGURES, Run


def _experiment(**more: Any) -> config.Grid:
    given = {"rewind": [3, 0], "levels": 2, "orders": [4, 5], "controls": ["reinit"], "figures": ["paths_dense"]}
    given |= {"throughout": {"every": 2, "rewind": [3]}}
    return config.resolve(toys.raw_config(**(given | more))).experiments["tiny"].grids["toy"]


DENSE_FIRST = {Run("imp", 0, 0, 4), Run("imp", 0, 0, 5)}
DENSE_ALL = DENSE_FIRST | {Run("imp", 3, 0, 4), Run("imp", 3, 0, 5)}
SPARSE_FIRST = {Run(kind, 0, 2, o) for kind in ("imp", "reinit") for o in (4, 5)}
SPARSE_ALL = DENSE_ALL | SPARSE_FIRST | {Run(kind, 3, 2, o) for kind in ("imp", "reinit") for o in (4, 5)}
LADDER_FIRST = {Run("imp", 0, level, 4) for level in (0, 1, 2)} | {Run("reinit", 0, level, 4) for level in (1, 2)}
LADDER_ALL = LADDER_FIRST | {Run("imp", 3, level, 4) for level in (0, 1, 2)}

EXPECTED = {
    "paths_dense": DENSE_FIRST,
    "instability_dense": DENSE_ALL,
    "accuracy_by_density": LADDER_FIRST,
    "paths_sparse": SPARSE_FIRST,
    "instability_sparse": SPARSE_ALL,
    "best_rewind": LADDER_ALL,
    "paths_dense_by_k": DENSE_ALL,
    "paths_sparse_by_k": SPARSE_ALL,
    "distance_dense": DENSE_ALL,
    "distance_sparse": SPARSE_ALL,
    "learning_curves": DENSE_FIRST,
    "instability_throughout": DENSE_ALL - DENSE_FIRST,
    "instability_by_layer": DENSE_ALL,
    "schematic": DENSE_FIRST,
    "table_1": DENSE_FIRST,
}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_needs_exactly_these_runs(figure):
    assert FIGURES[figure].runs(_experiment()) == EXPECTED[figure]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_from_tables_that_exist(figure):
    assert FIGURES[figure].tables
    assert set(FIGURES[figure].tables) <= set(tables.COLUMNS)


def test_the_ancestors_are_the_ladder_below():
    found = demands.with_ancestors(_experiment(), [Run("reinit", 3, 2, 5)])
    assert found == {Run("reinit", 3, 2, 5), Run("imp", 3, 0, 4), Run("imp", 3, 1, 4)}


def test_the_sparse_level_may_lie_inside_the_ladder():
    e = _experiment(sparse_level=1)
    assert {run.level for run in FIGURES["paths_sparse"].runs(e)} == {1}
    assert {run.level for run in FIGURES["best_rewind"].runs(e)} == {0, 1, 2}


def _default(**more: Any) -> set[str]:
    raw = toys.raw_config(**more)
    return set(config.resolve(raw).experiments["tiny"].figures)


def test_default_figures_are_those_that_can_be_drawn():
    sparse = {name for name, demand in FIGURES.items() if demand.sparse}
    followed, by_block = {"instability_throughout"}, {"instability_by_layer"}
    assert _default(levels=0) == set(FIGURES) - sparse - followed - by_block
    assert _default(levels=1) == set(FIGURES) - followed - by_block
    assert _default(levels=1, throughout={"every": 2}) == set(FIGURES) - by_block
    assert _default(levels=1, throughout={"every": 2}, layerwise=True) == set(FIGURES)


def test_a_network_needs_one_line_to_be_in_every_figure():
    """A further name under `tasks` is planned, trained and drawn in every figure of the experiment."""
    raw = toys.raw_config(tasks=["toy"], throughout={"every": 2}, layerwise=True)
    more = toys.raw_config(tasks=["toy", "digits_mlp"], throughout={"every": 2}, layerwise=True)
    before, after = toys.make_plan(raw), toys.make_plan(more)
    assert list(before.figures["tiny"]) == list(after.figures["tiny"]) == list(FIGURES)
    for figure, node in after.figures["tiny"].items():
        tables_read = {parent.stage for nodes in after.parents(node).values() for parent in nodes}
        assert tables_read <= {"tabulate", "derive"}
        assert node.key != before.figures["tiny"][figure].key
    trained = [node for node in after.nodes.values() if node.stage in ("train", "trace")]
    kinds = [{(n.spec["k"], n.spec["level"]) for n in trained if n.spec["task"]["name"] == t} for t in ("toy", "digits_mlp")]
    assert kinds[0] == kinds[1]
