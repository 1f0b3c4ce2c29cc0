from __future__ import annotations

import made_up
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_up import ONCE, RUN, TWICE

from pipeline_lib.core import registry
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.figures import landscape, limits, planes
from pipeline_lib.figures.support import finish, gaps, layout, samples, style

OTHER = RUN | {"seed": 1, "test_error": 0.3}  # the band of dense networks: 20 +- 10 * sqrt(2)
LADDER = [RUN, ONCE, TWICE, OTHER]
OTHERS = [RUN | {"task": "other", "k": 9}, ONCE | {"task": "other"}]  # a task with a ladder and nothing else
DENSE = {"dense, ± 1 sd": ([0, 1], [20, 20])}
DRAWN = ["landscape", "level_paths", "pruning_planes", "direction_planes", "robustness", "pruning_limits", "spectra"]
DRAWN += ["magnitudes", "rewound_masks", "retraining", "adaptive", "error_by_rewind", "lemma"]


@pytest.fixture
def draw():
    def drawn(function, **rows):
        frames = {name: made_up.table(each) for name, each in rows.items()}
        with style.applied():
            return function(made_up.divided(frames), {"toy": 2, "other": 2})

    yield drawn
    plt.close("all")


def _lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    found = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in made_up.labelled(axes)}
    return {label: (pytest.approx(x), pytest.approx(y)) for label, (x, y) in found.items() if x}


def _panels(figure) -> dict[str, object]:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_visible() and axes.get_title()}


@pytest.mark.parametrize("name", DRAWN)
def test_without_a_row_there_is_an_empty_panel_that_says_so(draw, name):
    rows = {table: frame[:0] for table, frame in made_up.frames().items() if table in FIGURES[name].tables}
    figure = draw(registry.entries("figures")[name].load(), **rows)
    finish.finish(figure)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [gaps.NOTHING]
    assert not axes.lines


# A rectangle of sides 3 and 4, with its long sides across; the fourth corner is of another level.
CORNERS = {("rewind", 0): (0, 0), ("solution", 0): (3, 0), ("projection", 0): (3, 4), ("rewind", 1): (0, 4)}


def _geometry(scale: float = 1.0, **more: object) -> list[dict[str, object]]:
    points = list(CORNERS)
    return [
        {"task": "toy", "seed": 0, "k": 9, "point_1": p, "level_1": i, "point_2": q, "level_2": j}
        | {"distance": scale * float(np.hypot(*np.subtract(CORNERS[p, i], CORNERS[q, j])))}
        | more
        for n, (p, i) in enumerate(points)
        for q, j in points[n + 1 :]
    ]


def test_points_lie_in_the_plane_at_their_distances(draw):
    (axes,) = draw(landscape.landscape, geometry=[*_geometry(), *_geometry(9, k=3)]).axes
    assert axes.get_title() == "toy, k = 9\n100 % of squared distances"
    train, prune, *points = (np.array(line.get_xydata()) for line in axes.lines if len(line.get_xdata()))
    lengths = [np.linalg.norm(line[1] - line[0]) for line in (train, prune)]
    assert lengths == pytest.approx([3, 4])
    assert len(points) == 4
    assert points[0] == pytest.approx(np.array([[-2, 1.5]])) or points[0] == pytest.approx(np.array([[-2, -1.5]]))
    labels = [text.get_text() for text in _legend(axes.figure)]
    assert labels == ["level 0", "level 1", "rewind", "solution", "projection", "train", "prune"]


def _legend(figure) -> list[object]:
    return list(finish.finish(figure).legends[0].get_texts())


def test_squared_distances_are_averaged_over_seeds(draw):
    (axes,) = draw(landscape.landscape, geometry=[*_geometry(), *_geometry(7, seed=1)]).axes
    train = np.array(axes.lines[1].get_xydata())
    assert np.linalg.norm(train[1] - train[0]) == pytest.approx(3 * 5)  # of 1 and 49 the mean is 25


def test_of_many_levels_five_are_drawn(draw):
    line = {"task": "toy", "seed": 0, "k": 9, "point_1": "rewind", "point_2": "rewind"}
    rows = [line | {"level_1": i, "level_2": j, "distance": float(j - i)} for j in range(10) for i in range(j)]
    (axes,) = draw(landscape.landscape, geometry=rows).axes
    labels = [text.get_text() for text in _legend(axes.figure)]
    assert labels[:6] == [f"level {level}" for level in (0, 2, 4, 7, 9)] + ["rewind"]


PAIR = {"task": "toy", "seed": 0, "what": "levels", "k": 9, "start": "k9", "level_1": 0, "level_2": 1, "split": "test"}
NEXT = PAIR | {"level_1": 1, "level_2": 2}
FAR = PAIR | {"level_2": 2}
PATHS = [
    PAIR | {"alpha": 1.0, "error": 0.1},
    PAIR | {"alpha": 0.25, "error": 0.5},
    PAIR | {"alpha": 0.0, "error": 0.2},
    NEXT | {"alpha": 1.0, "error": 0.2},
    NEXT | {"alpha": 0.0, "error": 0.4},
    PAIR | {"k": 0, "alpha": 1.0, "error": 0.9},
    PAIR | {"alpha": 0.0, "error": 0.99, "split": "train"},
    FAR | {"alpha": 0.5, "error": 0.99},
]
SUM = {"density_1": 1.0, "density_2": 0.5, "error_1": 0.1, "error_2": 0.2, "max_error": 0.5}
SUM |= {"mean_end_error": 0.15, "midpoint_error": 0.3}
BARRIERS = [
    PAIR | SUM,
    NEXT | SUM | {"density_1": 0.5, "density_2": 0.25, "error_1": 0.2, "error_2": 0.4, "max_error": 0.45},
    FAR | SUM | {"density_2": 0.25, "error_2": 0.4, "max_error": 0.8},
    PAIR | SUM | {"k": 0, "max_error": 0.99},
    PAIR | SUM | {"split": "train", "max_error": 0.99},
]


def test_the_path_goes_through_all_levels_and_its_zoom_is_that_of_the_last_step(draw):
    figure = draw(landscape.level_paths, paths=PATHS, barriers=BARRIERS, runs=LADDER + OTHERS)
    path, zoom, _, colours = figure.axes
    last = {"k = 9": ([0, 0.75, 1, 2], [10, 50, 20, 40])}
    assert _lines(path) == last | {"k = 0": ([0], [90])}
    assert len({line.get_color() for line in path.lines}) == 2
    assert _lines(zoom) == last | DENSE
    most = 20 + 100 * 0.1 * 2**0.5
    low = 20 - 100 * 0.1 * 2**0.5
    assert zoom.get_ylim() == pytest.approx((low - 0.3 * (40 - low), 40 + 0.3 * (40 - low)))  # the barrier of 50 is left out
    assert colours.get_ylabel() == "highest test error (%)"
    assert colours.get_ylim() == pytest.approx((most, 80))


def test_the_highest_error_of_all_pairs_is_drawn_both_ways_with_solutions_on_the_diagonal(draw):
    axes = draw(landscape.level_paths, paths=PATHS, barriers=BARRIERS, runs=LADDER).axes[2]
    assert axes.collections[0].get_array().tolist() == pytest.approx(np.array([[10, 50, 80], [50, 20, 45], [80, 45, 40]]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "50", "25"]


def test_robustness_is_the_error_halfway_over_the_mean_of_the_ends(draw):
    perturbed = PAIR | SUM | {"what": "perturbed", "level_2": 0, "start": "k9 | pruning_sized"}
    shuffled = perturbed | {"level_1": 1, "level_2": 1, "start": "k9 | shuffle(layer)"}
    rows = [*BARRIERS, PAIR | SUM | {"seed": 1, "midpoint_error": 0.5}, perturbed | {"midpoint_error": 0.05}, shuffled]
    (axes,) = draw(landscape.robustness, barriers=rows, runs=LADDER + OTHERS).axes
    assert axes.get_title() == "toy, k = 9"
    assert _lines(axes) == {
        "no rise (dense), ± 1 sd": ([0, 1], [0, 0]),
        "next level": ([0, 1], [25, 15]),
        "random change": ([0], [-10]),
    }


def _plane(kind: str, level: int = 0, seed: int = 0) -> tuple[list[dict[str, object]], ...]:
    """A plane whose error rises with x from 0, with a second valley behind a ridge."""
    who = {"task": "toy", "seed": seed, "k": 9, "level": level, "plane": kind}
    error = {0.0: 0.1, 1.0: 0.2, 2.0: 0.6, 3.0: 0.1, 4.0: 0.1}
    grid = [who | {"x": x, "y": y, "test_error": value} for x, value in error.items() for y in (0.0, 1.0, 2.0)]
    places = {"solution": (0.0, 1.0), "projection": (0.0, 0.0), "next": (2.0, 0.0)}
    if kind == "directions":
        places = {"solution": (0.0, 0.0), "magnitude": (1.0, 0.0), "random": (0.5, 2.0)}
    marks = [who | {"mark": mark, "x": x, "y": y, "test_error": 0.1} for mark, (x, y) in places.items()]
    return grid, marks, [who | {"threshold": 0.4}]


def _drawn_planes(draw, function, *parts):
    return draw(function, **{name: sum(rows, []) for name, rows in zip(("planes", "marks", "sets"), zip(*parts))})  # noqa: B905, RUF017


def test_the_plane_of_pruning_has_marks_a_subspace_and_two_outlines(draw):
    parts = [_plane("pruning"), _plane("pruning", level=2), _plane("pruning", seed=1), _plane("directions")]
    figure = _drawn_planes(draw, planes.pruning_planes, *parts)
    panels = _panels(figure)
    assert list(panels) == ["toy, level 0", "toy, level 2"]
    axes = panels["toy, level 0"]
    assert axes.get_aspect() == 2
    marks = {"solution": ([0], [1]), "projection": ([0], [0]), "next solution": ([2], [0])}
    assert _lines(axes) == marks | {"axial subspace": ([0, 1], [0, 0])}
    _, border, connected = axes.collections
    assert sorted({round(x, 6) for path in border.get_paths() for x in path.vertices[:, 0]}) == [1.5, 2.4]
    assert {round(x, 6) for path in connected.get_paths() for x in path.vertices[:, 0]} == {1.5}  # not the second valley


def test_the_plane_of_directions_has_an_arrow_each_way(draw):
    figure = _drawn_planes(draw, planes.direction_planes, _plane("directions"), _plane("pruning"))
    (axes,) = _panels(figure).values()
    assert axes.get_aspect() == 1
    arrows = {"smallest weights pruned": ([0, 1], [0, 0]), "random weights pruned": ([0, 0.5], [0, 2])}
    assert _lines(axes) == arrows
    assert [(arrow.xyann, arrow.xy) for arrow in axes.texts] == [((0, 0), (1, 0)), ((0, 0), (0.5, 2))]


def test_no_point_is_drawn_as_connected_to_a_solution_above_the_threshold(draw):
    grid, marks, sets = _plane("pruning")
    figure = _drawn_planes(draw, planes.pruning_planes, (grid, [mark | {"test_error": 0.5} for mark in marks], sets))
    (axes,) = _panels(figure).values()
    assert len(axes.collections) == 2


LIMIT = {"task": "toy", "seed": 0, "k": 9, "level": 0, "operator": "gauss_newton", "distance": 1.0, "c": 1.0}
LIMIT |= {"clamped": 0.5, "unsettled": 0.5, "lower": 0.4, "upper": 0.6}
FAR = LIMIT | {"distance": 3.0, "clamped": 0.1, "unsettled": 0.1}
LIMITS = [
    *(LIMIT, FAR, LIMIT | {"seed": 1, "clamped": 0.7, "unsettled": 0.7}, FAR | {"seed": 1, "clamped": 0.7, "unsettled": 0.7}),
    *(LIMIT | {"operator": "hessian"}, FAR | {"operator": "hessian", "clamped": None, "unsettled": 0.3}),
    *(LIMIT | {"level": 1}, LIMIT | {"level": 1, "distance": 3.0}),
]
CUT = {"task": "toy", "seed": 0, "k": 9, "level": 0, "criterion": "random", "fraction": 0.3, "distance": 2.0}
CUTS = [
    CUT | {"criterion": "none", "fraction": 0.0, "distance": 0.0},
    CUT,
    CUT | {"seed": 1, "distance": 4.0},
    CUT | {"level": 1},
    CUT | {"criterion": "magnitude", "distance": 1.0},
    CUT | {"criterion": "magnitude", "fraction": 0.5, "distance": 1.5},
]
FURTHER = [
    ONCE | {"level": 0, "density": 0.7, "start": "k9 | mask | prune(0.3, random)", "test_error": 0.3},
    ONCE | {"level": 0, "density": 0.7, "start": "k9 | mask | prune(0.3, random)", "test_error": 0.38, "seed": 1},
    ONCE | {"level": 0, "density": 0.7, "start": "k9 | mask | prune(0.3, magnitude)", "test_error": 0.35},
    ONCE | {"density": 0.35, "start": "k9 | mask | prune(0.3, random)", "test_error": 0.35},
    ONCE | {"level": 0, "density": 0.1, "start": "k9 | mask | prune(0.9, random)"},  # of unknown distance
]


def _rounded(axes) -> dict[str, np.ndarray]:
    """The lines of predicted limits, without the places where they have no value."""
    found = {line.get_label(): np.array(line.get_xydata(), dtype=float).T for line in made_up.labelled(axes)}
    return {label: xy[:, np.isfinite(xy[1])] for label, xy in found.items() if label.startswith("limit")}


def test_retrained_networks_are_drawn_where_they_were_pruned_to_beside_the_predicted_limit(draw):
    figure = draw(limits.pruning_limits, limits=LIMITS, cuts=CUTS, runs=[*LADDER, *FURTHER, *OTHERS])
    first, second = _panels(figure).values()
    assert list(_panels(figure)) == ["toy, level 0", "toy, level 1"]
    x, y = _rounded(first)["limit, Gauss-Newton"]
    assert (x[0], x[-1], len(x)) == (pytest.approx(1), pytest.approx(3), 200)
    np.testing.assert_allclose(y, (0.7 + 0.5 - 0.2 * (x - 1)) / 2)
    assert {label: xy for label, xy in _lines(first).items() if not label.startswith("limit")} == {
        "random pruning, matching": ([3], [0.3]),  # 34 is at most 20 + 14.1, though 38 alone is not
        "magnitude pruning, matching": ([1.5], [0.5]),  # the ladder's own next level
        "magnitude pruning, not matching": ([1], [0.3]),
    }
    assert set(_lines(second)) == {
        *("limit at earlier levels", "limit, Gauss-Newton", "random pruning, not matching"),
    }


def test_a_limit_that_not_all_seeds_have_is_dashed_and_what_moves_is_grey(draw):
    figure = draw(limits.pruning_limits, limits=LIMITS, cuts=CUTS, runs=[*LADDER, *FURTHER, *OTHERS])
    first, second = _panels(figure).values()
    styles = {line.get_label(): (line.is_dashed(), line.get_color()) for line in first.lines}
    assert styles["limit, Gauss-Newton"] == (False, "black")
    assert styles["limit, not settled"] == (True, "0.55")
    (x, y), (places, _) = _rounded(first)["limit, not settled"], _rounded(first).get("limit, Hessian, of some seeds", ([], []))
    np.testing.assert_allclose(y, 0.5 - 0.1 * (x - 1))
    assert len(places) <= 1  # only at the place itself is its value known
    assert [samples.words(axes) for axes in (first, second)] == ["n = 2 of 2 seeds", "n = 1 of 1 seeds"]


def test_a_seed_without_a_set_has_a_limit_of_nothing_and_counts(draw):
    """One seed of two: its limit counts as 0, as it does for claims, and the mean of .84 and nothing is not .84."""
    none = {"c": None, "clamped": 0.0, "unsettled": 0.0, "lower": 0.0, "upper": 0.0}
    rows = [LIMIT | {"clamped": 0.84}, FAR | {"clamped": 0.84}, LIMIT | none | {"seed": 1}, FAR | none | {"seed": 1}]
    (axes, _) = _panels(draw(limits.pruning_limits, limits=rows, cuts=CUTS, runs=[*LADDER, *FURTHER, *OTHERS])).values()
    assert _rounded(axes)["limit, Gauss-Newton"][1] == pytest.approx([0.42] * 200)
    assert samples.words(axes) == "n = 2 of 2 seeds, 1 without a set"
    (alone, _) = _panels(draw(limits.pruning_limits, limits=rows[:2], cuts=CUTS, runs=[*LADDER, *FURTHER, *OTHERS])).values()
    assert set(_rounded(alone)) == {"limit, Gauss-Newton, of some seeds"}
    assert samples.words(alone) == "n = 1 of 2 seeds"


RITZ = {"task": "toy", "seed": 0, "kind": "imp", "k": 9, "level": 0, "step": 20, "operator": "hessian", "vector": "rademacher"}
RITZ |= {"probe": 0, "node": 2.0, "weight": 0.25, "num_examples": 40}


def test_spectra_are_pooled_over_probes_at_the_last_step(draw):
    rows = [RITZ, RITZ | {"node": -1.0, "weight": 0.75}, RITZ | {"probe": 1, "node": 1.0, "weight": 1.0}]
    rows += [
        RITZ | {"num_examples": 20, "node": 80.0},
        RITZ | {"step": 10, "node": 50.0},
        RITZ | {"vector": "gradient", "probe": -1, "node": 60.0},
    ]
    rows += [RITZ | {"level": 2, "weight": 1.0, "operator": "gauss_newton"}, RITZ | {"kind": "reinit", "level": 2, "node": 70.0}]
    (axes,) = draw(limits.spectra, spectrum=rows).axes
    assert _lines(axes) == {
        "k = 9, level 0, Hessian": ([-1, -1, 1, 2], [0, 0.375, 0.875, 1]),
        "k = 9, level 2, Gauss-Newton": ([2, 2], [0, 1]),
    }


def test_the_lemma_has_a_line_and_a_prediction_a_distance(draw):
    well = {
        "dimension": 10,
        "epsilon": 0.5,
        "distance": 1.0,
        "subspace": 2,
        "probability": 0.25,
        "threshold": 4.0,
        "num_trials": 9,
    }
    (axes,) = draw(limits.lemma, wells=[well, well | {"subspace": 6, "probability": 1.0}, well | {"distance": 2.0}]).axes
    drawn = _lines(axes)
    assert (drawn["R = 1"], drawn["R = 2"]) == (([2, 6], [0.25, 1]), ([2], [0.25]))
    assert [list(line.get_xdata()) for line in axes.lines if line.is_dashed()] == [[4, 4], [4, 4], []]


def test_levels_are_spread_over_rows_of_about_equal_length(draw):
    with style.applied():
        figure, panels = layout.each_level(pd.DataFrame({"task": "toy", "level": range(6)}))
    assert [level for _, (_, level) in panels] == list(range(6))
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)
