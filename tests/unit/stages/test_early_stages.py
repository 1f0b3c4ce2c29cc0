"""Perturbed and taught starts, telemetry and signs: made in this process on a toy, and held against the states they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import toys

from pipeline_lib.analysis.early_steps import evaluated_steps, logged_steps
from pipeline_lib.core.types import Mask, Progress, State
from pipeline_lib.experiments import comparisons
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.stages.measurements import telemetry
from pipeline_lib.stages.support import data
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Job, Preempted
from pipeline_lib.tables import tabulation
from pipeline_lib.training.batches import stream

FIGURES = [
    "perturbation_sizes", "sparse_pretraining", "pretraining", "accuracy_by_start", "telemetry", "sign_changes", "noise",
    "effective_deviation",
]  # fmt: skip
BOTH_SIDES = "k2 | noise(1) | mask | mix(initial)"
STARTS = ["k0 | blur(2) until 3", "k2 | noise(1) | mix(initial)", BOTH_SIDES]
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> nodes.Plan:
    results = tmp_path_factory.mktemp("early")
    options: dict[str, Any] = {"perturbed": [2], "starts": STARTS, "telemetry": {"steps": 5, "evaluate_every": 2}}
    options |= {"pretraining": {"pretexts": ["rotation"], "durations": ["3it", "5it"], "reference": 2}}
    raw = toys.raw_config(results, orders=1, levels=1, figures=FIGURES, controls=["random_prune", "reinit"], **options)
    plan = toys.make_plan(raw | {"per_job": {"seeds": 2, "orders": 1}})
    plan_file = driver.write_plan(plan, [])
    for node in plan.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, results / node.folder, plan_file)
    return plan


@pytest.fixture(scope="module")
def frames(made) -> dict[str, pd.DataFrame]:
    return {n: tabulation.read(made.config.results / node.folder / "table.parquet") for n, node in made.tables["tiny"].items()}


def _nodes(made: nodes.Plan, stage: str, **spec: object) -> list[nodes.Node]:
    return [n for n in made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items())]


def _folder(made: nodes.Plan, node: nodes.Node) -> Path:
    return made.config.results / node.folder


def _states(made: nodes.Plan, node: nodes.Node) -> list[State]:
    return artifacts.read_states(_folder(made, node) / "state.safetensors")[0]


def _masks(made: nodes.Plan, node: nodes.Node) -> list[dict[str, np.ndarray]]:
    (parent,) = made.parents(node)["mask"]
    arrays, _ = artifacts.read_arrays(_folder(made, parent) / "mask.safetensors")
    return [{name: array[i] for name, array in arrays.items()} for i in range(len(SEEDS))]


def test_all_files_are_there_and_have_their_documented_columns(made, frames):
    for node in made.nodes.values():
        assert node.stage == "plot" or all((made.config.results / name).is_file() for name in node.files())
    assert {"perturbations", "telemetry", "signs", "correlations", "timeline", "runs"} <= set(frames)
    for name, frame in frames.items():
        assert list(frame.columns) == [column.name for column in declared.COLUMNS[name]]


def test_a_perturbed_start_differs_in_surviving_weights_alone(made):
    for node in _nodes(made, "perturb", level=1):
        (start,) = made.parents(node)["start"]
        for before, after, mask in zip(_states(made, start), _states(made, node), _masks(made, node), strict=True):
            assert (before.step, after.step) == (2, 2)
            assert toys.same(before.buffers, after.buffers)
            for name, tensor in before.params.items():
                changed = (tensor != after.params[name]).numpy()
                assert not changed.any() if name not in mask else not (changed & ~mask[name]).any()


def test_the_sizes_are_those_of_the_difference(made, frames):
    (node,) = _nodes(made, "perturb", level=1, start="k2 | noise(1)")
    (start,) = made.parents(node)["start"]
    sizes = frames["perturbations"]
    own = sizes[(sizes["start"] == "k2 | noise(1)") & (sizes["layer"] == "all") & (sizes["level"] == 1)].set_index("seed")
    for seed, before, after, mask in zip(SEEDS, _states(made, start), _states(made, node), _masks(made, node), strict=True):
        moved = _pooled(before, after, mask)
        assert own.loc[seed, "deviation"] == pytest.approx(moved.std())
        assert own.loc[seed, "num_weights"] == moved.size
        assert own.loc[seed, "density"] == pytest.approx(moved.size / sum(keep.size for keep in mask.values()))
    assert set(sizes["start"]) == {f"k2 | {call}" for call in comparisons.EVERY} | {
        "k2 | noise(1) | mix(initial)", "k2 | noise(1) | mask", BOTH_SIDES,
    }  # fmt: skip


def _pooled(before: State, after: State, mask: Mask) -> np.ndarray:
    moved = [(after.params[n] - before.params[n]).double().numpy()[keep] for n, keep in mask.items()]
    return np.concatenate(moved)


def test_changes_in_a_row_are_measured_from_the_unperturbed_start_and_one_by_one(made, frames):
    (second,) = _nodes(made, "perturb", level=1, start="k2 | noise(1) | mix(initial)")
    (first,), (start,) = made.parents(second)["start"], made.parents(second)["unperturbed"]
    assert (first.spec["start"], start.stage) == ("k2 | noise(1)", "rewind")
    assert made.parents(first)["start"] == [start]
    assert "unperturbed" not in made.parents(first)
    sizes = frames["perturbations"]
    own = sizes[(sizes["start"] == second.spec["start"]) & (sizes["layer"] == "all") & (sizes["level"] == 1)].set_index("seed")
    places = (start, first, second)
    states, masks = [_states(made, node) for node in places], _masks(made, second)
    for i, seed in enumerate(SEEDS):
        whole, last = (_pooled(states[from_][i], states[2][i], masks[i]) for from_ in (0, 1))
        assert own.loc[seed, "deviation"] == pytest.approx(whole.std())
        assert own.loc[seed, "norm"] == pytest.approx(np.linalg.norm(whole))
        assert own.loc[seed, "last_deviation"] == pytest.approx(last.std())
        assert own.loc[seed, "last_mean"] == pytest.approx(last.mean(), abs=1e-9)
        assert whole.std() != pytest.approx(last.std())


def test_a_change_before_the_mask_counts_from_the_unperturbed_network_under_the_same_mask(made):
    (node,) = _nodes(made, "perturb", level=1, start=BOTH_SIDES)
    start, unperturbed = (made.parents(node)[role][0] for role in ("start", "unperturbed"))
    assert made.parents(start)["mask"] == made.parents(unperturbed)["mask"]
    ((changed,), (plain,)) = (made.parents(masked)["state"] for masked in (start, unperturbed))
    assert (changed.stage, plain.stage) == ("perturb", "pretrain")
    assert made.parents(changed)["start"] == [plain]


def test_a_taught_network_goes_back_to_its_own_classes_and_to_step_0(made):
    (taught,) = _nodes(made, "teach", start="k0 | rotation(false) for 5")
    (start,) = made.parents(taught)["start"]
    for before, after in zip(_states(made, start), _states(made, taught), strict=True):
        assert {n: t.shape for n, t in before.params.items()} == {n: t.shape for n, t in after.params.items()}
        assert after.step == 0
        first = next(iter(before.params))
        assert not torch.equal(before.params[first], after.params[first])
    _, head = artifacts.read_states(_folder(made, taught) / "state.safetensors")
    assert head["diverged"] == [False, False]


def test_a_longer_lesson_is_the_shorter_one_and_more(made):
    short, long = (_nodes(made, "teach", start=f"k0 | rotation(false) for {n}")[0] for n in (3, 5))
    assert short.parents == long.parents
    assert not toys.same(_states(made, short)[0].params, _states(made, long)[0].params)


def test_a_lesson_until_a_step_goes_on_from_there(made, frames):
    (taught,) = _nodes(made, "teach", start="k0 | blur(2) until 3")
    assert {state.step for state in _states(made, taught)} == {3}
    runs = frames["runs"]
    assert set(runs[runs["start"] == "k0 | blur(2) until 3"]["start_step"]) == {3}


def test_a_taught_sparse_network_stays_sparse_its_new_head_included(made):
    for node in _nodes(made, "teach"):
        if "mask" in node.parents:
            for state, mask in zip(_states(made, node), _masks(made, node), strict=True):
                for name, keep in mask.items():
                    values = state.params[name].numpy()
                    assert not values[~keep].any()
                    assert values[keep].any()


def test_runs_say_what_they_started_from(frames):
    runs = frames["runs"]
    divided = tabulation.divided(frames)
    assert set(divided["runs"]["start"]) == {"k0", "k2"}
    sparse = "k2 | mask | rotation(false) for 5"
    assert set(runs[runs["start"] == sparse]["kind"]) == {"imp_changed", "random_prune_changed", "reinit_changed"}
    changed = divided["changed_runs"]
    assert set(changed[changed["start"] == sparse]["kind"]) == {"imp", "random_prune", "reinit"}
    assert set(runs[runs["start"] == sparse]["start_step"]) == {0}
    assert set(divided["changed_runs"]["start"]) >= {"k0 | rotation(false) for 3", *STARTS}
    assert len(divided["runs"]) + len(divided["changed_runs"]) == len(runs)


def test_signs_are_counted_on_all_weights_and_on_survivors(made, frames):
    early, late = (_states(made, _nodes(made, "pretrain", k=k, draw="W0")[0])[1].params for k in (0, 2))
    (node,) = _nodes(made, "signs")
    mask_node = made.parents(node)["masks"][node.spec["scopes"].index(2)]
    mask, _ = artifacts.read_arrays(_folder(made, mask_node) / "mask.safetensors")
    rows = frames["signs"][frames["signs"]["seed"] == 1].set_index("scope")
    differ = {name: ((early[name] < 0) != (late[name] < 0)).numpy() for name in mask}
    total = sum(d.size for d in differ.values())
    assert rows.loc["all", "changed"] == pytest.approx(sum(d.sum() for d in differ.values()) / total)
    kept = sum(mask[name][1].sum() for name in mask)
    assert rows.loc["k2", "changed"] == pytest.approx(sum(d[mask[name][1]].sum() for name, d in differ.items()) / kept)
    assert (rows.loc["k2", "num_weights"], rows.loc["k2", "level"]) == (kept, 1)


def test_telemetry_tells_of_the_states_that_training_went_through(made, frames):
    rows = frames["telemetry"][frames["telemetry"]["seed"] == 1].set_index("step")
    assert rows.index.tolist() == logged_steps(5)
    assert rows["test_error"].notna().tolist() == [step in evaluated_steps(5, 2) for step in rows.index]
    start, at_2 = (_states(made, _nodes(made, "pretrain", k=k, draw="W0")[0])[1].params for k in (0, 2))
    (dense,) = _nodes(made, "train", k=0, level=0, start="k0")
    final = _states(made, dense)[1].params
    names = [name for name in start if name.endswith("weight")]
    vectors = [torch.cat([params[n].double().flatten() for n in names]) for params in (start, at_2, final)]
    assert rows.loc[2, "l2_initial"] == pytest.approx(float((vectors[1] - vectors[0]).norm()), rel=1e-6)
    assert rows.loc[2, "mean_magnitude"] == pytest.approx(float(vectors[1].abs().mean()))
    assert rows.loc[2, "signs_changed"] == pytest.approx(float(((vectors[1] < 0) != (vectors[0] < 0)).double().mean()))
    assert rows.loc[2, "cosine_initial"] == pytest.approx(float(torch.cosine_similarity(vectors[1], vectors[0], dim=0)))
    assert rows.loc[2, "l2_final"] == pytest.approx(float((vectors[1] - vectors[2]).norm()), abs=2e-3)
    assert rows.loc[0, ["signs_changed", "l2_initial"]].tolist() == [0, 0]
    runs = frames["runs"][(frames["runs"]["start"] == "k0") & (frames["runs"]["level"] == 0) & (frames["runs"]["seed"] == 1)]
    assert set(runs["steps"]) == {6}  # the run goes on after the last logged step


def test_a_logged_gradient_is_that_of_the_logged_state(made, frames):
    (node,) = _nodes(made, "telemetry")
    task, folders = node.spec["task"], [made.config.results / parent.folder for parent in made.parents(node)["data"]]
    dataset = data.read(Job("", {}, made.config.results, {"data": folders}))
    network, at_2 = data.build(task, dataset), _states(made, _nodes(made, "pretrain", k=2, draw="W0")[0])[1]
    batches = stream(dataset, (1, 0), task["batch_size"])
    batches.load(2)
    x, y = batches.draw()
    params = {name: tensor.clone().requires_grad_() for name, tensor in at_2.params.items()}
    loss = torch.nn.functional.cross_entropy(torch.func.functional_call(network, params, (x,)), y)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(params.values()))])
    rows = frames["telemetry"][frames["telemetry"]["seed"] == 1].set_index("step")
    assert rows.loc[2, "gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert rows.loc[2, "gradient_mean"] == pytest.approx(float(gradient.abs().mean()), rel=1e-5)


def test_no_snapshot_is_left(made):
    (node,) = _nodes(made, "telemetry")
    assert not list(_folder(made, node).glob(".*"))


@pytest.mark.parametrize("stopped", [1, 4])
def test_telemetry_that_was_stopped_goes_on_to_the_same_table(made, tmp_path, monkeypatch, stopped):
    (node,) = _nodes(made, "telemetry")
    reads = {role: [made.config.results / parent.folder for parent in parents] for role, parents in made.parents(node).items()}
    job = Job(node.key, node.spec, tmp_path / node.folder, reads)
    report = resumption.Keeper.report

    def stop(keeper: resumption.Keeper, i: int, progress: Progress, rows: Any) -> None:
        if (i, progress.step) == (1, stopped):
            keeper.stop()
        report(keeper, i, progress, rows)

    monkeypatch.setattr(resumption.Keeper, "report", stop)
    with pytest.raises(Preempted):
        telemetry.run(job)
    monkeypatch.setattr(resumption.Keeper, "report", report)
    telemetry.run(job)
    again, whole = (tabulation.read(folder / "telemetry.parquet") for folder in (job.folder, _folder(made, node)))
    pd.testing.assert_frame_equal(again, whole, check_exact=True)
    assert not list(job.folder.glob(".*"))
