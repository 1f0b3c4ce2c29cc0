from __future__ import annotations

import made_up
import matplotlib.pyplot as plt
import pytest

from pipeline_lib.experiments import comparisons
from pipeline_lib.figures import pretraining
from pipeline_lib.figures.support import style

RUN = {
    "task": "toy",
    "seed": 0,
    "noise_order": 0,
    "kind": "imp",
    "k": 0,
    "test_error": 0.1,
    "start": "k0",
    "level": 0,
    "density": 1.0,
}
SPARSE = RUN | {"level": 1, "density": 0.5}
BLUR = next(pretext for pretext in comparisons.PRETEXTS if pretext.startswith("blur") and "+" not in pretext)
AT_9 = f"k9 | mask | {comparisons.ROTATION} for 40ep"
LADDERS = [
    RUN,
    RUN | {"seed": 1, "test_error": 0.3},
    SPARSE | {"test_error": 0.5},
    RUN | {"k": 9, "start": "k9"},
    SPARSE | {"k": 9, "start": "k9", "test_error": 0.2},
    RUN | {"k": 20, "start": "k20"},
]
TAUGHT = [
    SPARSE | {"start": f"k0 | {BLUR} for 40ep", "test_error": 0.25},
    SPARSE | {"start": f"k0 | {BLUR} for 5ep", "test_error": 0.45},
    SPARSE | {"start": f"k0 | {comparisons.ROTATION} for 5ep", "test_error": 0.35},
    SPARSE | {"start": f"k0 | {comparisons.ROTATION} for 5ep", "test_error": 0.9, "kind": "reinit"},
]
SPARSE_TAUGHT = [
    SPARSE | {"k": 9, "start": AT_9, "test_error": 0.3},
    SPARSE | {"k": 9, "start": AT_9, "test_error": 0.6, "kind": "reinit"},
    SPARSE | {"k": 9, "start": "k9", "test_error": 0.7, "kind": "reinit"},
    SPARSE | {"k": 9, "start": AT_9, "test_error": 0.8, "kind": "random_prune"},
]
NOISE = f"k9 | {next(iter(comparisons.NOISE))}"
FURTHER = [
    SPARSE | {"k": 9, "start": NOISE},
    SPARSE | {"k": 9, "start": "k9 | sphere(1)", "test_error": 0.4},
    SPARSE | {"k": 9, "start": "k9 | sphere(1)", "test_error": 0.6, "seed": 1},
    SPARSE | {"k": 9, "start": "k9 | sphere(1)", "test_error": 0.75, "kind": "reinit"},
]


@pytest.fixture
def draw():
    def drawn(function, rows, **told):
        with style.applied():
            return function(made_up.divided({"runs": made_up.table(rows)}), {"toy": 1}, **told)

    yield drawn
    plt.close("all")


def _lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    return {line.get_label(): (list(line.get_xdata()), pytest.approx(list(line.get_ydata()))) for line in made_up.labelled(axes)}


PLAIN = {"IMP, k = 0": ([50, 100], [50, 80]), "IMP, k = 9": ([50, 100], [80, 90])}


def test_a_panel_a_pretext_and_a_line_a_duration_beside_the_ladders(draw):
    figure = draw(pretraining.pretraining, [*LADDERS, *TAUGHT, *SPARSE_TAUGHT, RUN | {"task": "never taught"}])
    drawn = {axes.get_title(): _lines(axes) for axes in figure.axes}
    blur = {"5ep": ([50], [55]), "40ep": ([50], [75])}
    assert drawn == {"toy, rotation": PLAIN | {"5ep": ([50], [65])}, "toy, 4x blur": PLAIN | blur}
    assert list(drawn["toy, 4x blur"]) == ["IMP, k = 0", "IMP, k = 9", "5ep", "40ep"]


def test_of_the_ladders_the_first_and_the_reference_are_beside_it(draw):
    more = [SPARSE | {"k": k, "start": f"k{k}", "test_error": 0.3} for k in (3, 5, 20)]
    figure = draw(pretraining.pretraining, [*LADDERS, *TAUGHT, *more], references={"toy": 9})
    for axes in figure.axes:
        assert [label for label in _lines(axes) if label.startswith("IMP")] == ["IMP, k = 0", "IMP, k = 9"]


def test_lessons_of_ones_own_have_panels(draw):
    own = ["blur(4, true)", "rotation(true)"]
    rows = [SPARSE | {"start": f"k0 | {lesson} for 5ep", "test_error": 0.25} for lesson in own]
    figure = draw(pretraining.pretraining, [*LADDERS, *TAUGHT, *rows], lessons={"toy": own})
    assert [axes.get_title() for axes in figure.axes] == ["toy, blur(4, true)", "toy, rotation(true)"]
    assert all("5ep" in _lines(axes) for axes in figure.axes)


def test_sparse_networks_that_learn_rotations_first_are_drawn_beside_those_that_do_not(draw):
    (axes,) = draw(pretraining.sparse_pretraining, LADDERS + TAUGHT + SPARSE_TAUGHT).axes
    assert axes.get_title() == "toy, k = 9"
    assert _lines(axes) == {
        "IMP, k = 0": ([50, 100], [50, 80]),
        "IMP, this k": ([50, 100], [80, 90]),
        "IMP, then rotation 40ep": ([50], [70]),
        "random reinit, this k": ([50], [30]),
        "random reinit, then rotation 40ep": ([50], [40]),
        "random pruning, then rotation 40ep": ([50], [20]),
    }


def test_starts_that_other_figures_do_not_draw_are_drawn_by_density(draw):
    more = RUN | {"k": 9, "start": "k9 | sphere(1)", "test_error": 0.2}
    (axes,) = draw(pretraining.accuracy_by_start, LADDERS + TAUGHT + SPARSE_TAUGHT + FURTHER + [more]).axes
    further = {"k9 | sphere(1)": ([50, 100], [50, 80]), "k9 | sphere(1), random reinit": ([50], [25])}
    assert _lines(axes) == PLAIN | {"dense, ± 1 sd": ([0, 1], [80, 80])} | further


def test_starts_at_a_single_level_are_points_one_below_the_other(draw):
    (axes,) = draw(pretraining.accuracy_by_start, LADDERS + FURTHER).axes
    names = ["IMP, k = 0", "IMP, k = 9", "k9 | sphere(1)", "k9 | sphere(1), random reinit"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    dense, *points = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
    assert dense == (pytest.approx([80, 80]), [0, 1])
    assert points == [(pytest.approx([x]), [place]) for place, x in enumerate((50, 80, 50, 25))]
    ends = [bar.get_segments()[0][:, 0] for bar in axes.collections]
    assert [end - start for start, end in ends] == pytest.approx([200 * 0.02**0.5])  # a single seed has no bar


def test_all_starts_are_drawn_where_other_figures_draw_each_of_them(draw):
    (axes,) = draw(pretraining.accuracy_by_start, LADDERS + FURTHER[:1]).axes
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == NOISE


def test_without_changed_starts_there_are_the_ladders(draw):
    (axes,) = draw(pretraining.pretraining, LADDERS).axes
    assert not axes.lines
    first, _ = draw(pretraining.accuracy_by_start, LADDERS).axes[0].lines
    assert first.get_label() == "dense, ± 1 sd"
