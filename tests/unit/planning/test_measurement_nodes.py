from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import toys

from pipeline_lib.experiments.figure_needs import CRITERIA
from pipeline_lib.planning import nodes

OPTIONS: dict[str, Any] = {
    "connectivity": {"alphas": 3},
    "planes": {"levels": [0, 1], "points": 3},
    "limits": {"levels": [0, 1], "fractions": [0.2, 0.5], "small_fractions": [0.1], "fit_level": 1, "iterations": 4},
    "retraining": ["lr_rewinding", "fine_tuning"],
    "adaptive": {"levels": 2},
    "lemma": {},
}


def _plan(*figures: str, **more: Any) -> nodes.Plan:
    asked = {"orders": 1, "levels": 3, "rewind": [0, 2], **OPTIONS, **more}
    return toys.make_plan(toys.raw_config(seeds=1, figures=list(figures), **asked))


def _nodes(plan: nodes.Plan, stage: str, **spec: object) -> list[nodes.Node]:
    return [n for n in plan.nodes.values() if n.stage == stage and all(n.spec.get(key) == value for key, value in spec.items())]


def _one(plan: nodes.Plan, stage: str, **spec: object) -> nodes.Node:
    (found,) = _nodes(plan, stage, **spec)
    return found


def _trained(plan: nodes.Plan, start: str, level: int) -> nodes.Node:
    return _one(plan, "train", start=start, level=level)


def test_every_pair_of_the_last_ladder_is_compared_and_successive_ones_of_the_others():
    plan = _plan("level_paths")
    counts = {k: Counter(pair["what"] for pair in _one(plan, "connect", k=k).spec["pairs"]) for k in (0, 2)}
    assert counts == {0: {"levels": 3, "projection": 3}, 2: {"levels": 6, "projection": 3}}


def test_successive_levels_are_aligned_where_lines_between_them_are_asked_for():
    plan = _plan("level_barriers_aligned", align={"methods": ["weights"]})
    plain, aligned = ([n for n in _nodes(plan, "connect", k=2) if ("alignment" in n.spec) == given] for given in (False, True))
    assert len(plain) == 1, "lines as trained are those that are drawn without alignment"
    (node,) = aligned
    assert [(pair["level_1"], pair["level_2"]) for pair in node.spec["pairs"]] == [(0, 1), (1, 2), (2, 3)]
    for pair, key in zip(node.spec["pairs"], node.parents["aligned"], strict=True):
        permuted = plan.nodes[key]
        one, other = (_trained(plan, "k2", pair[level]) for level in ("level_1", "level_2"))
        assert (permuted.parents["states"], permuted.parents["others"]) == ((one.key,), (other.key,))
        assert permuted.parents["masks"] == other.parents["mask"]
        assert (permuted.spec["level"], permuted.spec["other_level"]) == (pair["level_1"], pair["level_2"])
        states = [node.parents["states"][node.spec["points"][pair[end]]["state"]] for end in ("i", "j")]
        assert states == [one.key, other.key]
    within, without_lines = _plan("level_barriers_aligned", align={"pairs": ["within"]}), toys.raw_config(align={})
    without_lines["experiments"]["tiny"]["figures"] = ["level_barriers_aligned"]
    assert _nodes(within, "align") == _nodes(toys.make_plan(without_lines), "align") == []


def test_each_levels_order_is_its_own_where_ladders_draw_fresh_ones():
    plan = _plan("level_barriers_aligned", align={"methods": ["weights"]}, ladder_order="fresh")
    for node in _nodes(plan, "align", k=2):
        (other,) = plan.parents(node)["others"]
        ((seed, _, order),) = node.spec["pairs"]
        assert node.spec["members"] == other.spec["members"] == [[seed, order]]


def test_a_projection_is_a_solution_under_the_next_levels_mask():
    plan = _plan("level_paths")
    node = _one(plan, "connect", k=2)
    for pair in node.spec["pairs"]:
        points = [node.spec["points"][pair[end]] for end in ("i", "j")]
        states = [plan.nodes[node.parents["states"][point["state"]]].spec["level"] for point in points]
        if pair["what"] == "projection":
            assert states == [pair["level_1"]] * 2
            assert plan.nodes[node.parents["masks"][points[1]["mask"]]].spec["level"] == pair["level_2"] == pair["level_1"] + 1
        else:
            assert (states, points[0]["mask"], points[1]["mask"]) == ([pair["level_1"], pair["level_2"]], None, None)


def test_moved_starts_know_the_next_mask_and_are_compared_with_their_own_level():
    plan = _plan("robustness")
    for level in range(3):
        moved = _one(plan, "perturb", level=level)
        following = _trained(plan, "k2", level + 1)
        assert moved.parents["next"] == following.parents["mask"]
        assert _trained(plan, "k2 | pruning_sized", level).parents["start"] == (moved.key,)
    (node,) = [n for n in _nodes(plan, "connect") if n.spec["pairs"][0]["what"] == "perturbed"]
    for pair in node.spec["pairs"]:
        specs = [plan.nodes[node.parents["states"][pair[end]]].spec for end in ("i", "j")]
        assert [(spec["start"], spec["level"]) for spec in specs] == [
            ("k2", pair["level_1"]),
            ("k2 | pruning_sized", pair["level_2"]),
        ]


def test_a_strategy_that_resumes_begins_with_the_last_solution_and_its_own_mask():
    plan = _plan("retraining")
    for strategy in ("lr_rewinding", "fine_tuning(0.01)"):
        for level in (1, 2, 3):
            run = _trained(plan, f"k2 | {strategy}", level)
            start = plan.nodes[run.parents["start"][0]]
            before = _trained(plan, "k2" if level == 1 else f"k2 | {strategy}", level - 1)
            assert (start.stage, start.spec["step"]) == ("rewind", 0)
            assert start.parents["state"] == (before.key,)
            assert start.parents["mask"] == run.parents["mask"]
            assert plan.nodes[run.parents["mask"][0]].parents["state"] == (before.key,)
    tuned = _trained(plan, "k2 | fine_tuning(0.01)", 1).spec["task"]
    assert tuned["optimiser"]["lr"] == pytest.approx(0.01 * _trained(plan, "k2", 1).spec["task"]["optimiser"]["lr"])
    assert tuned["schedule"]["name"] == "constant"


def test_branches_leave_the_ladder_at_its_own_solutions():
    plan = _plan("magnitudes")
    for level in (1, 2, 3):
        run, own = _trained(plan, "k2 | mask | lr_rewinding", level), _trained(plan, "k2", level)
        assert run.parents["mask"] == own.parents["mask"]
        assert plan.nodes[run.parents["start"][0]].parents["state"] == (_trained(plan, "k2", level - 1).key,)


def test_masks_of_one_strategy_can_be_rewound_by_another():
    plan = _plan("rewound_masks")
    for level in (1, 2, 3):
        run = _trained(plan, "k2 | lr_rewinding | mask | weight_rewinding", level)
        start = plan.nodes[run.parents["start"][0]]
        assert run.parents["mask"] == _trained(plan, "k2 | lr_rewinding", level).parents["mask"]
        assert plan.nodes[start.parents["state"][0]].stage == "pretrain"
        assert start.spec["step"] == 2


def test_solutions_are_pruned_once_more_and_the_ladders_own_ratio_is_its_next_level():
    plan = _plan("pruning_limits")
    scanned = {(n.spec["start"], n.spec["level"]) for n in _nodes(plan, "train") if "prune" in n.spec["start"]}
    ways = {(criterion, fraction) for criterion in CRITERIA for fraction in (0.2, 0.5)} - {("magnitude", 0.2)}
    assert scanned == {(f"k2 | mask | prune({f}, {c})", level) for c, f in ways for level in (0, 1)}
    for start, level in scanned:
        mask = plan.nodes[_trained(plan, start, level).parents["mask"][0]]
        assert mask.parents["state"] == (_trained(plan, "k2", level).key,)
    assert {n.spec["level"] for n in _nodes(plan, "cut")} == {0, 1}
    assert _one(plan, "cut", level=1).spec["fractions"] == {"magnitude": [0.2, 0.5], "random": [0.1, 0.2, 0.5]}
    assert {(n.spec["level"], "mask" in n.parents) for n in _nodes(plan, "hessian")} == {(0, False), (1, True)}


def test_an_adaptive_ladder_looks_at_the_dense_network_and_its_own_solutions():
    plan = _plan("adaptive")
    for level in (1, 2):
        mask = _one(plan, "adapt", level=level)
        before = _trained(plan, "k2" if level == 1 else "k2 | adaptive(10000)", level - 1)
        assert (mask.parents["state"], mask.parents["dense"]) == ((before.key,), (_trained(plan, "k2", 0).key,))
        assert _trained(plan, "k2 | adaptive(10000)", level).parents["mask"] == (mask.key,)


def test_planes_are_of_the_asked_levels_and_the_first_seeds():
    plan = _plan("pruning_planes", "direction_planes")
    made = {(n.spec["plane"], n.spec["level"]): n for n in _nodes(plan, "slice")}
    assert set(made) == {(plane, level) for plane in ("pruning", "directions") for level in (0, 1)}
    assert made["pruning", 1].parents["next"] == (_trained(plan, "k2", 2).key,)
    assert made["directions", 1].parents["mask"] == made["pruning", 1].parents["mask"] == _trained(plan, "k2", 2).parents["mask"]
    random = plan.nodes[made["directions", 1].parents["random"][0]]
    assert (random.spec["criterion"], random.spec["level"]) == ("random", 2)
    assert random.parents["state"] == made["directions", 1].parents["state"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"planes": {"levels": [3]}}, "planes.levels must be at most 2, got 3; raise levels or leave it out"),
        ({"limits": {"levels": [4]}}, "limits.levels must be at most 3, got 4"),
        ({"limits": {"fit_level": 5}}, "limits.fit_level must be at most 3, got 5"),
        ({"adaptive": {"levels": 9}}, "adaptive.levels must be at most 3, got 9"),
        ({"adaptive": {"rule": "adaptiv"}}, "got 'adaptiv'"),
        ({"retraining": ["fine_tunin"]}, "got 'fine_tunin'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, expected):
    with pytest.raises(ValueError) as error:
        _plan("landscape", **options)
    assert expected in str(error.value)
