from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.experiments import config
from pipeline_lib.planning import declared, nodes
from pipeline_lib.planning.keys import fingerprint


def _plan(**experiment: Any) -> nodes.Plan:
    return toys.make_plan(toys.raw_config(**experiment))


def _stages(made: nodes.Plan) -> Counter[str]:
    return Counter(node.stage for node in made.nodes.values())


def _keys(made: nodes.Plan, *stages: str) -> set[str]:
    return {key for key, node in made.nodes.items() if node.stage in stages}


MEASURED = ("prepare", "pretrain", "prune", "rewind", "train", "interpolate")


def test_the_node_counts_of_a_small_experiment():
    made = _plan(figures=["instability_sparse"], seeds=1)
    # k = 0, 2: order 0 at levels 0, 1, 2 and order 1 at levels 0, 2
    assert _stages(made) == {
        "prepare": 1, "pretrain": 2, "prune": 4, "rewind": 4, "train": 10, "interpolate": 4,
        "tabulate": 5, "derive": 3, "plot": 1,
    }  # fmt: skip


def test_controls_share_the_ladder_and_each_k_has_its_own_reinit():
    made = _plan(figures=["instability_sparse"], seeds=1, controls=["random_prune", "reinit"])
    extra = _stages(made) - _stages(_plan(figures=["instability_sparse"], seeds=1))
    # each of two k: a shuffled mask, two masked starts, two orders of both kinds, a fresh initialisation
    assert extra == {"prune": 2, "rewind": 4, "train": 8, "interpolate": 4, "pretrain": 2}


def test_parents_are_nodes_that_come_before():
    seen: set[str] = set()
    for key, node in _plan(controls=["random_prune", "reinit"]).nodes.items():
        assert {parent for keys in node.parents.values() for parent in keys} <= seen
        seen.add(key)


def test_a_key_is_its_nodes_own_hash_and_ends_its_folder():
    for key, node in _plan().nodes.items():
        assert key == nodes.node_key(node.stage, node.spec, nodes.stage_code(node.stage, node.spec), node.parents)
        assert node.folder.endswith(f"-{key}")
        assert node.files() == [f"{node.folder}/{name}" for name in (*declared.STAGES[node.stage].files, "spec.json")]


def test_planning_twice_gives_the_same_plan():
    assert _plan().nodes == _plan().nodes
    assert _plan().identity() == _plan().identity()


def test_two_experiments_asked_for_together_share_what_is_equal():
    raw = toys.raw_config(figures=["instability_dense"])
    alone = toys.make_plan(raw)
    raw["experiments"]["second"] = raw["experiments"]["tiny"] | {"figures": ["instability_sparse"]}
    both = toys.make_plan(raw)
    second = toys.make_plan({**raw, "experiments": {"second": raw["experiments"]["second"]}})
    assert _keys(both, *MEASURED) == _keys(second, *MEASURED) > _keys(alone, *MEASURED)
    assert set(both.nodes) == set(alone.nodes) | set(second.nodes)
    assert set(both.tables) == {"tiny", "second"}
    assert both.asked["runs"] == alone.asked["runs"] + second.asked["runs"]


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"seeds": 2}, {"seeds": 3}),
        ({"seeds": [1]}, {"seeds": [0, 1, 5]}),
        ({"orders": 2}, {"orders": 3}),
        ({"rewind": [2]}, {"rewind": [0, 2]}),
        ({"levels": 1, "sparse_level": 1}, {"levels": 2, "sparse_level": 1}),
        ({"controls": []}, {"controls": ["reinit"]}),
    ],
)
def test_asking_for_more_changes_no_artifact_that_was_there(less, more):
    before, after = _plan(**less), _plan(**more)
    assert _keys(before, *MEASURED) < _keys(after, *MEASURED)


def test_a_seed_more_adds_exactly_its_own_nodes():
    added = set(_plan(seeds=3).nodes) - set(_plan(seeds=2).nodes)
    per_seed = _stages(_plan(seeds=[2]))
    new = Counter(_plan(seeds=3).nodes[key].stage for key in added)
    assert new == per_seed - Counter({"prepare": 1})


def test_an_order_more_adds_runs_and_comparisons_only():
    added = set(_plan(orders=3).nodes) - set(_plan(orders=2).nodes)
    stages = {_plan(orders=3).nodes[key].stage for key in added}
    assert stages == {"train", "interpolate", "tabulate", "derive", "plot"}


@pytest.fixture
def other(monkeypatch):
    """Gives a plan by a code that differs in one stage."""

    def planned(stage):
        own = nodes.fingerprint
        with monkeypatch.context() as patch:
            patch.setattr(nodes, "fingerprint", lambda each, named: "0" * 12 if each == stage else own(each, named))
            return toys.make_plan(toys.raw_config())

    return planned


def _changed(before: nodes.Plan, after: nodes.Plan) -> set[str]:
    return {before.nodes[key].stage for key in set(before.nodes) - set(after.nodes)}


@pytest.mark.parametrize(
    ("stage", "stages"),
    [
        ("plot", {"plot"}),
        ("derive", {"derive", "plot"}),
        ("tabulate", {"tabulate", "derive", "plot"}),
        ("interpolate", {"interpolate", "tabulate", "derive", "plot"}),
        ("train", {"prune", "rewind", "train", "interpolate", "signs", "tabulate", "derive", "plot"}),
        ("rewind", {"prune", "rewind", "train", "interpolate", "signs", "tabulate", "derive", "plot"}),
        ("prepare", {*MEASURED, "signs", "tabulate", "derive", "plot"}),
    ],
)
def test_other_code_of_a_stage_changes_its_keys_and_those_downstream(other, stage, stages):
    assert _changed(toys.make_plan(toys.raw_config()), other(stage)) == stages


def test_a_ladder_is_the_same_whether_or_not_its_dense_run_is_followed():
    figures = ["accuracy_by_density", "instability_throughout"]
    plain, followed = _plan(figures=figures[:1]), _plan(figures=figures, throughout={"every": 2})
    assert _keys(plain, "prune", "rewind") == _keys(followed, "prune", "rewind")
    assert _keys(followed, "trace")


def test_the_dense_runs_do_not_depend_on_pruning(other):
    before, after = toys.make_plan(toys.raw_config()), other("prune")
    dense = [n.key for n in before.nodes.values() if n.stage in ("train", "interpolate") and n.spec["level"] == 0]
    assert dense
    assert set(dense) <= set(after.nodes)


def test_a_stage_depends_on_the_registered_functions_that_it_names():
    spec = {"task": toys.task(), "dataset": {"name": "mnist"}, "figure": "best_rewind"}
    spec["task"] = config.resolve(toys.raw_config()).experiments["tiny"].grids["toy"].task
    named = {stage: set(nodes.named_functions(stage, spec)) for stage in ("prepare", "plot", "train")}
    assert named["prepare"] == {("datasets", "mnist")}
    assert named["plot"] == {("figures", "best_rewind")}
    assert named["train"] == {("networks", "mlp"), ("optimisers", "sgd"), ("schedules", "constant")}


def test_every_kind_that_a_stage_asks_for_is_named_by_specs():
    stages = {stage: fingerprint.asked(stage) for stage in declared.STAGES}
    assert {kind for kinds in stages.values() for kind in kinds} == set(nodes._NAMES)
    assert stages["teach"] == ("initialisers", "networks", "optimisers", "pretexts", "schedules")
    assert stages["prune"] == stages["cut"][:1] == ("criteria",)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(1, 4), st.integers(1, 4))
def test_every_chunking_trains_every_member_and_compares_every_pair_once(seeds, orders, per_seeds, per_orders):
    raw = toys.raw_config(seeds=seeds, orders=orders, rewind=[0], figures=["instability_dense"], levels=0)
    made = toys.make_plan(raw | {"per_job": {"seeds": per_seeds, "orders": per_orders}})
    members = [tuple(m) for n in made.nodes.values() if n.stage == "train" for m in n.spec["members"]]
    pairs = [tuple(p) for n in made.nodes.values() if n.stage == "interpolate" for p in n.spec["pairs"]]
    assert sorted(members) == [(s, o) for s in range(seeds) for o in range(orders)]
    assert sorted(pairs) == [(s, i, j) for s in range(seeds) for i in range(orders) for j in range(i + 1, orders)]


def test_the_ladders_own_order_is_a_job_of_its_own():
    made = toys.make_plan(toys.raw_config(orders=5) | {"per_job": {"orders": 4}})
    orders = {tuple(o for _, o in n.spec["members"]) for n in made.nodes.values() if n.stage == "train" and n.spec["level"] == 0}
    assert orders == {(0,), (1, 2, 3), (4,)}


def test_runs_and_steps_are_counted_as_asked_and_as_shared():
    made = _plan(figures=["paths_dense", "instability_dense"])
    # 2 seeds x (2 orders at k = 0) for the first figure, and again with k = 2 for the second; 6 steps each, less k
    assert made.asked == {"runs": 4 + 8, "steps": 4 * 6 + 4 * 6 + 4 * 4}
    trained = [n for n in made.nodes.values() if n.stage == "train"]
    assert sum(n.num_runs for n in trained) == 8
    assert sum(n.num_steps for n in trained) == 4 * 6 + 4 * 4


def test_one_shot_pruning_starts_from_the_dense_network():
    pruning = {"one_shot": True, "densities": [0.5, 0.1]}
    nodes = [n for n in _plan(pruning=pruning, seeds=1, rewind=[0]).nodes.values() if n.stage == "prune"]
    assert [n.spec["fraction"] for n in nodes] == [0.5, 0.9]
    assert all("mask" not in n.parents for n in nodes)


def test_listed_densities_become_fractions_of_the_survivors():
    nodes = [n for n in _plan(pruning={"densities": [0.5, 0.1]}, seeds=1, rewind=[0]).nodes.values() if n.stage == "prune"]
    assert [n.spec["fraction"] for n in nodes] == [0.5, 0.8]


def _followed(**more: Any) -> nodes.Plan:
    return _plan(throughout={"every": 2, "rewind": [2], "alphas": 4}, **more)


def test_runs_that_are_followed_keep_their_states_and_are_the_same_runs():
    made, plain = _followed(), _plan()
    traced = [node for node in made.nodes.values() if node.stage == "trace"]
    assert {(n.spec["k"], n.spec["level"], tuple(n.spec["keep"])) for n in traced} == {(2, 0, (4, 6))}
    members = [tuple(m) for n in traced for m in n.spec["members"]]
    assert sorted(members) == [(s, o) for s in (0, 1) for o in (0, 1)]
    followed = [node for node in made.nodes.values() if node.stage == "follow"]
    assert {(n.spec["alphas"], tuple(n.spec["keep"]), n.spec["kind"], n.spec["k"]) for n in followed} == {(4, (4, 6), "imp", 2)}
    assert {p.stage for n in followed for p in made.parents(n)["states"]} == {"trace"}
    count = lambda p: sum(n.num_runs for n in p.nodes.values())  # noqa: E731
    assert count(made) == count(plain) + 2  # each seed's ladder keeps its own dense run


def test_nothing_is_kept_for_figures_that_do_not_show_it():
    stages = {node.stage for node in _followed(figures=["instability_dense"]).nodes.values()}
    assert not stages & {"trace", "follow"}


def test_following_a_step_outside_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"throughout\.rewind must be steps of rewind, \[0, 2\], got 1; add it there"):
        _plan(throughout={"every": 2, "rewind": [1]})


def test_following_must_be_asked_for():
    with pytest.raises(ValueError, match="throughout must be given for figure instability_throughout, got none"):
        _plan(figures=["instability_throughout"])


def test_levels_with_fresh_orders_train_under_noise_of_their_own():
    """Paper B's algorithm 2 draws anew each round; the dense network and further orders stay the same artifacts."""
    same, fresh = (_plan(figures=["instability_sparse"], seeds=1, levels=2, ladder_order=order) for order in ("same", "fresh"))
    assert _keys(same, *MEASURED) == _keys(_plan(figures=["instability_sparse"], seeds=1, levels=2), *MEASURED)
    trained = [node for node in fresh.nodes.values() if node.stage == "train" and node.label.endswith("-o0")]
    noise = {(node.spec["k"], node.spec["level"]): node.spec["members"][0][1] for node in trained}
    assert len(set(noise.values())) == 3
    assert all(noise[k, level] == noise[2, level] for k, level in noise)
    kept = _keys(same, "train") & _keys(fresh, "train")
    assert {same.nodes[key].spec["level"] for key in kept} == {0}
    pairs = [node.spec["pairs"] for node in fresh.nodes.values() if node.stage == "interpolate" and node.spec["level"] == 2]
    assert pairs == [[[0, noise[0, 2], 1]]] * 2
