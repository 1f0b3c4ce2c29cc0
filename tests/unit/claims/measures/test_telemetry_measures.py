"""What telemetry says of the first steps, on curves in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import made_up
import pandas as pd
import pytest
from asking import ask, is_open, parts, value
from starts_world import Frames, runs

STEPS = [*range(51), *range(60, 1001, 10), *range(1050, 4001, 50)]
COLUMNS = {
    "accuracy": "test_error", "signs_changed": "signs_changed", "mean_magnitude": "mean_magnitude",
    "gradient_norm": "gradient_norm", "l2_initial": "l2_initial", "cosine_initial": "cosine_initial",
}  # fmt: skip


def world(evaluated: tuple[int, ...] = (), **curves: Callable[[int], float]) -> Frames:
    """Three seeds that follow the curves, a percent of the value apart; accuracy and signs are given in percent."""
    rows: list[dict[str, Any]] = []
    for seed in (0, 1, 2):
        for step in STEPS:
            values: dict[str, float | None] = {}
            for quantity, column in COLUMNS.items():
                found = curves.get(quantity, lambda step: 1.0 + step)(step) * (0.99 + seed / 100)
                values[column] = {"accuracy": 1 - found / 100, "signs_changed": found / 100}.get(quantity, found)
            if evaluated and step not in evaluated:
                values["test_error"] = None
            rows.append({"task": "net", "seed": seed, "step": step, **values})
    return {"telemetry": pd.DataFrame(rows), "runs": runs({("k0", 0): (79, 80, 81)})}


def _bend(border: int, before: float, after: float) -> Callable[[int], float]:
    """A line that changes its slope at a border."""
    return lambda step: 1 + before * min(step, border) + after * max(0, step - border)


def test_a_value_is_that_of_the_next_step_that_was_looked_at_in_its_unit():
    made = world((0, 390, 1000, 1050, 2000), accuracy=lambda step: step / 40, signs_changed=lambda step: step / 100)
    assert parts(ask(made, "telemetry_at", quantity="accuracy", step=400)) == (pytest.approx(9.75), 3)
    assert value(made, "telemetry_at", quantity="accuracy", step=2000) == pytest.approx(50)
    assert ask(made, "telemetry_at", quantity="accuracy", step=401) is None
    assert value(made, "telemetry_at", quantity="accuracy", step=1042) == pytest.approx(1050 / 40)
    assert value(made, "telemetry_at", quantity="signs_changed", step=2004) == pytest.approx(20)
    assert value(made, "telemetry_at", quantity="mean_magnitude", step=10) == pytest.approx(11)


def test_the_share_of_the_final_accuracy():
    made = world(accuracy=lambda step: step / 40)
    assert parts(ask(made, "telemetry_share", step=2000)) == (pytest.approx(50 / 80), 3)
    assert value(made | {"runs": runs({("k0", 0): (99, 100, 101)})}, "telemetry_share", step=2000) == pytest.approx(0.5)
    assert ask({"telemetry": made["telemetry"]}, "telemetry_share", step=2000) is None


def test_a_change_has_a_sign():
    change = {"name": "telemetry_change", "quantity": "mean_magnitude", "from_step": 10, "to_step": 500}
    assert value(world(mean_magnitude=_bend(0, 0, 0.5)), **change) == pytest.approx(100 * 245 / 6)
    assert value(world(mean_magnitude=_bend(0, 0, -0.05)), **change) == pytest.approx(100 * -24.5 / 0.5)


@pytest.mark.parametrize(("before", "after", "expected"), [(4, 2, 2), (2, 4, 0.5), (-4, 2, -2), (-3, -1, 3), (0, 5, 0)])
def test_rates_on_both_sides_of_a_border(before, after, expected):
    made = world(l2_initial=_bend(10, before, after))
    asked = {"name": "telemetry_rate_ratio", "quantity": "l2_initial", "from_step": 0, "border": 10, "to_step": 400}
    assert value(made, **asked) == pytest.approx(expected)


def test_levels_are_means_over_steps_however_densely_they_were_written_down():
    # 8 in the first 1,000 steps, which have two thirds of the rows, and 2 in the other 3,000.
    made = world(gradient_norm=lambda step: 8.0 if step <= 1000 else 2.0)
    asked = {"name": "telemetry_level_ratio", "quantity": "gradient_norm", "from_step": 450, "to_step": 550}
    assert value(made, **asked, over_from=0, over_to=4000) == pytest.approx(8 / (2 + 6 * 1025 / 4000))
    assert value(made, **asked, over_from=1100, over_to=4000) == pytest.approx(4)
    assert value(made, **asked, over_from=600, over_to=900) == pytest.approx(1)
    assert ask(made, **asked, over_from=500, over_to=4020) is None
    assert ask(made, **asked, over_from=1000, over_to=1000) is None


def _dip(at: int, settled: float = 3.0) -> Callable[[int], float]:
    """Falls to 1 at a step, and rises as fast to a level."""
    return lambda step: 1 + (at - step) / 100 if step < at else min(settled, 1 + (step - at) / 100)


def test_the_gradient_is_smallest_where_its_smoothed_norm_is():
    asked = {"name": "gradient_minimum", "from_step": 10, "to_step": 1000}
    assert value(world(gradient_norm=_dip(200)), **asked) == 200
    assert value(world(gradient_norm=_dip(400)), **asked) == 400
    # One step by chance; and what is outside the range.
    noisy = world(gradient_norm=lambda step: 0.1 if step in (600, 0, 2000) else _dip(200)(step))
    assert value(noisy, **asked, window=101) == 200
    assert value(noisy, **asked, window=1) == 600
    assert ask(noisy, **asked | {"to_step": 4020}) is None


def test_the_gradient_grows_again_or_not():
    asked = {"name": "gradient_rebound", "from_step": 600, "to_step": 700, "over_from": 10, "over_to": 1000, "window": 1}
    assert value(world(gradient_norm=_dip(200)), **asked) == pytest.approx(2.9)  # at step 10; 3 later
    assert value(world(gradient_norm=_dip(200, settled=1.0)), **asked) == pytest.approx(1)
    assert value(world(gradient_norm=_dip(200)), **asked | {"window": 25}) < 3
    assert ask(world(), **asked | {"to_step": 4020}) is None


ASKED: list[dict[str, Any]] = [
    {"name": "telemetry_at", "quantity": "accuracy", "step": 400},
    {"name": "telemetry_share", "step": 400},
    {"name": "telemetry_change", "quantity": "cosine_initial", "from_step": 10, "to_step": 500},
    {"name": "telemetry_rate_ratio", "quantity": "accuracy", "from_step": 10, "border": 500, "to_step": 1000},
    {"name": "telemetry_rate_rise", "quantity": "signs_changed"},
    {"name": "telemetry_level_ratio", "quantity": "gradient_norm", "from_step": 0, "to_step": 10, "over_from": 20, "over_to": 50},
    {"name": "gradient_minimum", "from_step": 10, "to_step": 1000},
    {"name": "gradient_rebound", "from_step": 450, "to_step": 550, "over_from": 10, "over_to": 1000},
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked["name"])
def test_without_rows_seeds_or_values_nothing_is_measured(asked):
    made = world()
    rows = made["telemetry"]
    assert ask(made, **asked) is not None
    assert ask(made, **asked, least=4) is None
    assert ask({"runs": made["runs"]}, **asked) is None
    assert ask(made | {"telemetry": rows.iloc[:0]}, **asked) is None
    assert ask(made | {"telemetry": rows.assign(task="other")}, **asked) is None
    null = rows.copy()
    null.loc[(null["seed"] == 1) & (null["step"] == 500), list(COLUMNS.values())] = float("nan")
    assert ask(made | {"telemetry": null}, **asked) is None
    # Steps that no seed was looked at are no loss.
    null.loc[null["step"] == 30, list(COLUMNS.values())] = float("nan")
    null = null[null["step"] != 500]
    assert ask(made | {"telemetry": null}, **asked) is not None


def test_an_event_of_the_timeline():
    row = {"task": "net", "event": "gradient minimum", "of": "telemetry", "step": 180.0, "low": 1.0, "high": 2.0, "num_seeds": 3}
    lines = pd.DataFrame([row, row | {"event": "never", "step": None}, row | {"task": "other", "step": 1.0}])
    assert parts(ask({"timeline": lines}, "event_step", event="gradient minimum")) == (180, 3)
    assert value({"timeline": lines}, "event_step", event="never") == float("inf")
    assert ask({"timeline": lines}, "event_step", event="gradient minimum", least=4) is None
    assert ask({"timeline": lines}, "event_step", event="other") is None
    assert ask({}, "event_step", event="never") is None


def test_negative_curvature_falls_from_one_step_to_another():
    rows = [
        {"task": "net", "seed": seed, "level": level, "step": step, "top": 10.0, "bottom": bottom * (1 + seed)}
        for seed in (0, 1, 2)
        for step, level, bottom in ((0, 0, -4), (500, 0, -1), (500, 3, -9))
    ]
    frames = {"curvature": pd.DataFrame(rows)}
    asked = {"name": "negative_curvature_fall", "from_step": 0, "to_step": 500}
    assert parts(ask(frames, **asked)) == (pytest.approx(0.25), 3)
    assert value(frames, **asked | {"from_step": 500, "to_step": 0}) == pytest.approx(4)
    assert ask(frames, **asked | {"to_step": 1000}) is None
    assert ask(frames, **asked, least=4) is None
    assert is_open(ask({"curvature": frames["curvature"].assign(bottom=0.0)}, **asked))
    assert ask({"curvature": frames["curvature"].assign(task="other")}, **asked) is None
    assert ask({}, **asked) is None


def test_a_recipe_is_read_off_the_table_of_networks():
    frames = {"networks": pd.DataFrame([{"task": "net", "lr": 0.1, "batch_size": 64}, {"task": "b", "lr": 1.0, "batch_size": 8}])}
    assert value(frames, "recipe", column="batch_size") == 64
    assert value(frames, "recipe", column="lr") == 0.1
    assert ask({"networks": frames["networks"].iloc[1:]}, "recipe", column="lr") is None
    assert ask({}, "recipe", column="lr") is None


def test_the_point_with_the_fewest_seeds_counts_whatever_it_starts_from():

    start = "k5 | noise(1)"
    both = runs({("k5", 1): (1, 2, 3, 4), (start, 1): (1, 2, 3), (start, 2): (1, 2)})
    assert parts(ask(made_up.divided({"runs": both}), "num_seeds")) == (2, 3)
    assert value(made_up.divided({"runs": both[both["start"] == "k5"]}), "num_seeds") == 4
