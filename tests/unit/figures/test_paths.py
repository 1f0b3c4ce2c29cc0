from __future__ import annotations

import made_up
import pytest

from pipeline_lib.figures import paths
from pipeline_lib.figures.support import style

POINT = {"batchnorm": "averaged"} | {
    "task": "toy",
    "seed": 0,
    "kind": "imp",
    "k": 0,
    "level": 0,
    "density": 1.0,
    "alpha": 0.5,
    "split": "test",
    "error": 0.2,
}
FRAME = made_up.table(
    [
        POINT,
        POINT | {"seed": 1, "error": 0.4},
        POINT | {"split": "train", "error": 0.1},
        POINT | {"k": 7, "error": 0.05},
        POINT | {"level": 2, "error": 0.5, "density": 0.25},
        POINT | {"level": 2, "error": 0.6, "kind": "reinit", "density": 0.25},
        POINT | {"level": 1, "error": 0.9},
    ]
)


def _lines(draw) -> list[dict[str, float]]:
    """For each panel, the only point of each line."""
    import matplotlib.pyplot as plt

    with style.applied():
        figure = draw({"interpolation": FRAME}, {"toy": 2})
        found = [
            {line.get_label(): pytest.approx(line.get_ydata()[0]) for line in made_up.labelled(axes)} for axes in figure.axes
        ]
        plt.close(figure)
    return found


def test_dense_paths_are_means_over_replicates_from_the_first_k():
    assert _lines(paths.paths_dense) == [{"test": 30, "train": 10}]


def test_sparse_paths_are_of_the_sparse_level_a_line_a_kind():
    assert _lines(paths.paths_sparse) == [{"IMP": 50, "random reinit": 60}]


def test_dense_paths_by_k_have_a_row_a_split_and_a_line_a_step():
    assert _lines(paths.paths_dense_by_k) == [{"k = 0": 30, "k = 7": 5}, {"k = 0": 10}]


def test_sparse_paths_by_k_have_a_row_a_kind():
    assert _lines(paths.paths_sparse_by_k) == [{"k = 0": 50}, {"k = 0": 60}]
