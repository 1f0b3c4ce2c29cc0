from __future__ import annotations

import made_up
import pytest

from pipeline_lib.figures import rewinding
from pipeline_lib.figures.support import gaps, samples, style

PAIR = {"batchnorm": "averaged"} | {
    "task": "toy",
    "seed": 0,
    "kind": "imp",
    "k": 0,
    "level": 0,
    "split": "test",
    "instability": 0.4,
    "l2_params": 3.0,
    "headroom": 0.8,
}
PAIRS = made_up.table(
    [
        PAIR,
        PAIR | {"k": 500, "instability": 0.0, "l2_params": 1.0},
        PAIR | {"split": "train", "instability": 0.2},
        PAIR | {"level": 2, "instability": 0.6, "l2_params": 9.0},
        PAIR | {"level": 1, "instability": 0.9, "l2_params": 99.0},
        PAIR | {"level": 2, "kind": "random_prune", "instability": 0.7, "l2_params": 8.0},
    ]
)
RUN = {"task": "toy", "seed": 0, "kind": "imp", "k": 0, "level": 0, "noise_order": 0, "density": 1.0, "test_error": 0.1}
RUNS = made_up.table([RUN, RUN | {"k": 500}, RUN | {"level": 2, "density": 0.25, "test_error": 0.3}])


STABLE = {"stable below 2 points": ([0, 1], [2, 2])}


def _lines(draw) -> list[dict[str, tuple[list[float], list[float]]]]:
    import matplotlib.pyplot as plt

    with style.applied():
        figure = draw({"instability": PAIRS, "distances": PAIRS[PAIRS["split"] == "test"], "runs": RUNS}, {"toy": 2})
        found = [
            {line.get_label(): (list(line.get_xdata()), pytest.approx(list(line.get_ydata()))) for line in made_up.labelled(axes)}
            for axes in figure.axes
        ]
        plt.close(figure)
    return found


def test_dense_instability_is_in_points_at_their_steps():
    assert _lines(rewinding.instability_dense) == [{"test": ([0, 500], [40, 0]), "train": ([0], [20])} | STABLE]


def test_sparse_instability_is_above_accuracy():
    above, below = _lines(rewinding.instability_sparse)
    assert above == {"IMP": ([0], [60]), "random pruning": ([0], [70]), "dense": ([0, 500], [40, 0])} | STABLE
    assert below["IMP"] == ([0], [70])
    assert below["dense, first k"][1] == [90, 90]


def test_the_dense_band_is_the_first_ks_whatever_else_was_run():
    """It read 90 % from first-k runs in one figure and 85 % from all orders and steps in another."""
    runs = made_up.table(
        [*RUNS.to_dict("records"), RUN | {"noise_order": 1, "test_error": 0.3}, RUN | {"k": 500, "test_error": 0.2}]
    )
    with style.applied():
        figure = rewinding.instability_sparse({"instability": PAIRS, "runs": runs}, {"toy": 2})
    band = next(line for line in figure.axes[1].lines if line.get_label() == "dense, first k")
    style.close(figure)
    assert list(band.get_ydata()) == [90, 90]


def test_points_near_chance_are_hollow():
    lost = made_up.table([PAIR | {"kind": "random_prune", "level": 2, "instability": 0.0075, "headroom": 0.0}])
    with style.applied():
        figure = rewinding.instability_sparse({"instability": lost, "runs": RUNS}, {"toy": 2})
    (hollow,) = [line for line in figure.axes[0].lines if line.get_label() == gaps.HOLLOW]
    style.close(figure)
    assert (list(hollow.get_ydata()), hollow.get_markerfacecolor()) == ([0.75], "white")


def test_a_mean_without_a_diverged_pair_says_of_how_many_it_is():
    pairs = made_up.table(
        [PAIR | {"seed": s, "k": k, "order_1": 0, "instability": None if s == 8 and k else 0.1} for s in range(9) for k in (0, 5)]
    )
    with style.applied():
        figure = rewinding.instability_dense({"instability": pairs}, {"toy": 2})
    words = samples.words(figure.axes[0])
    style.close(figure)
    assert words == "mean ± sd over seeds, n = 8 to 9 pairs of 8 to 9 seeds"


def test_distances_of_dense_networks():
    assert _lines(rewinding.distance_dense) == [{"dense": ([0, 500], [3, 1])}]


def test_distances_of_each_kind():
    assert _lines(rewinding.distance_sparse) == [{"IMP": ([0], [9]), "random pruning": ([0], [8]), "dense": ([0, 500], [3, 1])}]
