from __future__ import annotations

import made_up
import pandas as pd
import pytest

from pipeline_lib.figures import density
from pipeline_lib.figures.support import style


def _run(level: int, k: int, test_error: float, seed: int = 0, order: int = 0) -> dict[str, object]:
    row = {"task": "toy", "seed": seed, "noise_order": order, "kind": "imp", "k": k, "level": level, "density": 0.5**level}
    return row | {"test_error": test_error}


RUNS = made_up.table(
    [
        _run(0, 0, 0.1),
        _run(1, 0, 0.3),
        _run(2, 0, 0.2),
        _run(0, 9, 0.2),
        _run(1, 9, 0.1),
        _run(2, 9, 0.4),
        _run(1, 9, 0.9, order=1),
    ]
)


def _lines(figure) -> dict[str, tuple[list[float], list[float]]]:
    import matplotlib.pyplot as plt

    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in made_up.labelled(figure.axes[0])}
    plt.close(figure)
    return drawn


def test_imp_is_drawn_from_the_first_k_in_percent():
    with style.applied():
        x, y = _lines(density.accuracy_by_density({"runs": RUNS}, {"toy": 2}))["IMP, k = 0"]
    assert (x, y) == ([25, 50, 100], pytest.approx([80, 70, 90]))


def test_the_best_rewind_step_is_chosen_level_by_level():
    with style.applied():
        x, y = _lines(density.best_rewind({"runs": RUNS}, {"toy": 2}))["IMP, best k"]
    assert (x, y) == ([25, 50, 100], pytest.approx([80, 90, 90]))


def _best_label(runs: pd.DataFrame) -> list[str]:
    with style.applied():
        return [label for label in _lines(density.best_rewind({"runs": runs}, {"toy": 2})) if "matches" in label]


def test_the_best_rewind_step_matches_by_the_rule_of_the_tables():
    """Bands of one deviation overlap at level 1, where mean errors match from no k."""
    dense = [_run(0, 0, error, seed) for seed, error in enumerate((0.08, 0.09, 0.10))]
    spread = [_run(1, k, error, seed) for k in (0, 9) for seed, error in enumerate((0.10, 0.11, 0.12))]
    assert _best_label(made_up.table([*dense, *spread])) == ["none matches"]
    assert _best_label(made_up.table([*dense, *spread, *[_run(2, 9, 0.0999, s) for s in range(3)]])) == [
        "sparsest that matches, 25 %"
    ]


def test_a_step_with_a_diverged_run_is_not_the_best_and_a_level_of_such_steps_is_a_gap():
    nan = float("nan")
    good = [_run(0, 0, 0.1, s) for s in (0, 1)] + [_run(1, 0, 0.2, s) for s in (0, 1)]
    lost = [_run(1, 9, error, s) for s, error in enumerate((0.1, nan))] + [_run(2, k, nan, s) for s in (0, 1) for k in (0, 9)]
    runs = made_up.table([*good, *lost, *[_run(3, 0, 0.3, s) for s in (0, 1)]])
    with style.applied():
        x, y = _lines(density.best_rewind({"runs": runs}, {"toy": 2}))["IMP, best k"]
    assert (x, y) == ([12.5, 25, 50, 100], pytest.approx([70, nan, 80, 90], nan_ok=True))
    assert _best_label(runs) == ["none matches"]


def test_learning_curves_are_of_dense_networks_from_the_first_k():
    point = {"task": "toy", "seed": 0, "k": 0, "level": 0, "step": 5, "split": "test", "error": 0.25}
    others = [point | {"k": 9, "error": 0.9}, point | {"level": 1, "error": 0.8}, point | {"split": "batch", "error": 0.5}]
    with style.applied():
        lines = _lines(density.learning_curves({"curves": pd.DataFrame([point, *others])}, {"toy": 2}))
    assert lines == {"batch": ([5], [50]), "test": ([5], [25])}


def test_imp_has_a_line_a_rewind_step():
    with style.applied():
        lines = _lines(density.accuracy_by_rewind({"runs": RUNS}, {"toy": 2}))
    assert lines["IMP, k = 0"] == ([25, 50, 100], pytest.approx([80, 70, 90]))
    assert lines["IMP, k = 9"] == ([25, 50, 100], pytest.approx([60, 90, 80]))
    assert lines["dense"][1] == [90, 90]
    assert lines["matching from here on"][1] == pytest.approx([89.8, 89.8])


def test_tasks_with_other_densities_do_not_move_each_others_points():
    other = RUNS.assign(task="other", density=0.8 ** RUNS["level"])
    with style.applied():
        x, _ = _lines(density.accuracy_by_rewind({"runs": pd.concat([RUNS, other])}, {"toy": 2}))["IMP, k = 0"]
    assert x == [25, 50, 100]
