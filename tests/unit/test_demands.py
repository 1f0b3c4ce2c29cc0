from __future__ import annotations

from typing import Any

import pytest
import toys

from pipeline_lib import config, demands, tables
from pipeline_lib.demands import FIGURES, Run


def _experiment(**more: Any) -> config.Grid:
    given = {"rewind": [3, 0], "levels": 2, "orders": [4, 5], "controls": ["reinit"], "figures": ["paths_dense"]}
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


def test_an_experiment_without_levels_draws_the_dense_figures():
    assert set(demands.default_figures(0)) == {name for name in FIGURES if not FIGURES[name].sparse}
    assert set(demands.default_figures(1)) == set(FIGURES)
