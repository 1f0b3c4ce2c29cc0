from __future__ import annotations

import made_up
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from made_up import ONCE, RUN, TWICE
from matplotlib.lines import Line2D

from pipeline_lib.figures import retraining
from pipeline_lib.figures.support import selection, style

OTHER = RUN | {"seed": 1, "test_error": 0.3}  # the band of dense networks: 20 +- 10 * sqrt(2)
LADDER = [RUN, ONCE, TWICE, OTHER]
OTHERS = [RUN | {"task": "other", "k": 9}, ONCE | {"task": "other"}]  # a task with a ladder and nothing else
DENSE = {"dense, ± 1 sd": ([0, 1], [20, 20]), "matching from here on": ([0, 1], [20 + 200**0.5] * 2)}


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


RATES, MASKS, TUNED = "k9 | lr_rewinding", "k9 | lr_rewinding | mask | weight_rewinding", "k9 | fine_tuning(0.01)"


def test_masks_of_the_ladder_that_rewinds_rates_are_drawn_beside_it_from_one_dense_network(draw):
    rows = [ONCE | {"start": RATES, "test_error": 0.25}, TWICE | {"start": MASKS}, ONCE | {"start": "k9 | mask | lr_rewinding"}]
    (axes,) = draw(retraining.rewound_masks, runs=[*LADDER, *rows, *OTHERS, RUN | {"k": 20, "start": "k20"}]).axes
    assert axes.get_title() == "toy, k = 9"
    own, masks = ([50, 100], [25, 20]), ([25, 100], [40, 20])
    assert _lines(axes) == DENSE | {"learning-rate rewinding": own, "its masks, weight rewinding": masks}


SIZE = {"task": "toy", "seed": 0, "k": 9, "start": "k9", "level": 0, "of": "solution", "quantile": 0.2, "ratio": 0.5}
SIZES = [
    SIZE,
    SIZE | {"quantile": 0.8, "ratio": 2.0},
    SIZE | {"level": 1, "ratio": 0.25},
    SIZE | {"level": 1, "ratio": 0.0, "of": "projection"},
    SIZE | {"level": 1, "ratio": 1.5, "of": "projection", "quantile": 0.8},
    SIZE | {"level": 1, "ratio": 0.75, "start": TUNED},
    SIZE | {"level": 1, "ratio": 0.3, "start": "k9 | mask | lr_rewinding"},
    SIZE | {"level": 1, "ratio": 0.7, "start": "k9 | mask | lr_rewinding", "seed": 1},
]


def test_ways_to_retrain_are_compared_by_error_and_by_small_weights(draw):
    runs = [*LADDER, *OTHERS, ONCE | {"start": TUNED, "test_error": 0.5}, ONCE | {"start": f"{TUNED} | mask | sphere(1)"}]
    errors, sizes = draw(retraining.retraining, runs=runs, magnitudes=SIZES).axes
    known = {"weight rewinding": ([25, 50, 100], [40, 20, 20]), "fine-tuning (0.01)": ([50, 100], [50, 20])}
    assert _lines(errors) == DENSE | known
    assert _lines(sizes) == {"weight rewinding": ([0, 1], [0.5, 0.25]), "fine-tuning (0.01)": ([0, 1], [0.5, 0.75])}


def test_magnitudes_are_drawn_twice_at_levels_with_branches(draw):
    zoomed, whole = draw(retraining.magnitudes, magnitudes=[*SIZES, SIZE | {"level": 2}, SIZE | {"task": "other"}]).axes
    assert (zoomed.get_title(), whole.get_title()) == ("toy, k = 9, level 1",) * 2
    drawn = {"projection": ([0, 1.5], [0.2, 0.8]), "weight rewinding": ([0.25], [0.2]), "learning-rate rewinding": ([0.5], [0.2])}
    assert _lines(zoomed) == drawn
    assert _lines(whole) == drawn
    assert (zoomed.get_xlim(), zoomed.get_ylim()) == ((-0.03, 1), pytest.approx((-0.006, 0.204)))
    assert whole.get_xlim()[1] > 1.5


def test_of_many_levels_with_branches_three_are_drawn(draw):
    branch = SIZE | {"start": "k9 | mask | fine_tuning(0.5)"}
    rows = [branch | {"level": level} for level in (1, 2, 4, 6, 7)] + [SIZE | {"level": level} for level in range(9)]
    titles = [axes.get_title() for axes in draw(retraining.magnitudes, magnitudes=rows).axes]
    assert titles == [f"toy, k = 9, level {level}" for level in (1, 4, 7)] * 2


def test_adaptive_ratios_are_drawn_beside_the_fixed_one_and_retrainings_are_counted(draw):
    start = "k9 | adaptive(10000)"
    tried = {"task": "toy", "seed": 0, "k": 9, "start": start, "level": 1, "fraction": 0.75, "chosen": True}
    ratios = [tried, tried | {"fraction": 0.8, "chosen": False}]
    runs = [*LADDER, *OTHERS, TWICE | {"start": start, "level": 1, "test_error": 0.5}]
    errors, shares = draw(retraining.adaptive, runs=runs, ratios=ratios).axes
    fixed, own = "fixed ratio, retrainings: 2", "adaptive(10000), retrainings: 1"
    assert _lines(errors) == DENSE | {fixed: ([25, 50, 100], [40, 20, 20]), own: ([25, 100], [50, 20])}
    assert _lines(shares) == {fixed: ([1, 2], [50, 50]), own: ([1], [75])}
    assert [line.get_marker() for line in made_up.labelled(shares)] == ["o", "s"]


def test_error_has_a_line_a_rewind_step_and_no_two_look_alike(draw):
    steps = [RUN | {"k": k, "start": f"k{k}", "test_error": 0.5} for k in (10, 15)]
    (axes,) = draw(retraining.error_by_rewind, runs=[*LADDER, *steps, ONCE | {"kind": "reinit"}]).axes
    rewound = {"k = 10": ([100], [50]), "k = 15": ([100], [50]), "k = 9": ([25, 50, 100], [40, 20, 20])}
    assert _lines(axes) == DENSE | rewound
    steps = [line for line in axes.lines if line.get_label().startswith("k =")]
    assert all(
        len({get(line) for line in steps}) == 3
        for get in (Line2D.get_color, Line2D.get_marker, lambda x: str(x._unscaled_dash_pattern))
    )


def test_densities_of_starts_that_prune_further_do_not_move_the_ladder():
    frames = made_up.divided(
        {"runs": pd.DataFrame([RUN, ONCE, ONCE | {"start": "k9 | mask | prune(0.5, random)", "density": 0.25}])}
    )
    found = selection.every_start(frames)
    assert found["percent"].tolist() == [100, 50, 25]
