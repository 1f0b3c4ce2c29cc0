"""Spectra of toys, held against exact matrices, and the same after a stop."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import toys
from torch.func import functional_call

from pipeline_lib.analysis.lanczos import Tridiagonal
from pipeline_lib.analysis.resolution import places, unsettled
from pipeline_lib.analysis.spectra import Estimate, Spectrum, rademacher
from pipeline_lib.core import pace
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.planning import declared
from pipeline_lib.stages.landscape import hessian
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import numerics
from pipeline_lib.store import artifacts, resumption
from pipeline_lib.store.job import Job, Preempted
from pipeline_lib.tables import tabulation
from pipeline_lib.training import evaluation
from pipeline_lib.training.evaluation import chunks

TASK = {"name": "toy", "network": {"name": "mlp", "widths": [4]}, "precision": "fp32", "channels_last": False}
SEEDS = [0, 3]
SPEC = {
    **{"task": TASK, "seeds": SEEDS, "kind": "imp", "k": 2, "level": 1, "step": 6, "operators": ["hessian", "gauss_newton"]},
    **{"iterations": 100, "probes": 2, "examples": 1000, "subspace": 2, "tolerance": None, "resolution": 1e-4},
}
STOPPING = {"tolerance": 0.1, "resolution": 0.1}
NUM = 40
TABLES = ("spectrum", "curvature")


@pytest.fixture(autouse=True, scope="module")
def small_batches():
    """Three batches of at most sixteen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(evaluation._CHUNK_BYTES, "cpu", 1)
        yield


def _states() -> list[Any]:
    """Solutions on the survivors of their masks."""
    network = toys.dense_net()
    return [toys.masked(toys.start(network, seed), toys.random_mask(network, seed)) for seed in SEEDS]


def _job(root: Path, diverged: tuple[bool, bool] = (False, False), masked: bool = True, **more: Any) -> Job:
    """A job whose parents are made."""
    network, lost, prepared = toys.dense_net(), list(diverged), Job("data", {}, root / "prepare-data", {})
    data.write(prepared.folder / "data.safetensors", toys.dataset(NUM), prepared)
    reads = {"data": [prepared.folder], "state": [by_hand.whole_state(root, "w", _states(), prunable(network), lost)]}
    if masked:
        reads["mask"] = [by_hand.mask(root, "m", [toys.random_mask(network, seed) for seed in SEEDS], lost)]
    return by_hand.job(root, SPEC | more, reads)


def _run(job: Job) -> dict[str, pd.DataFrame]:
    hessian.run(job)
    assert sorted(path.name for path in job.folder.iterdir()) == ["curvature.parquet", "spectrum.parquet"]
    return {name: tabulation.read(job.folder / f"{name}.parquet") for name in TABLES}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, pd.DataFrame]:
    return _run(_job(tmp_path_factory.mktemp("hessian")))


def _exact(i: int) -> torch.Tensor:
    """The Hessian of the mean loss in the survivors, in float64, in one piece."""
    network, dataset, state = toys.dense_net().eval(), toys.dataset(NUM), toys.double(_states()[i])
    x, y = (torch.cat(parts) for parts in zip(*chunks(dataset.train, dataset, numerics(TASK)), strict=True))
    names = prunable(network)
    kept = torch.cat([torch.from_numpy(toys.random_mask(network, SEEDS[i])[n]).reshape(-1) for n in names])

    def loss(weights: torch.Tensor) -> torch.Tensor:
        pieces = weights.split([state.params[n].numel() for n in names])
        named = {n: piece.view(state.params[n].shape) for n, piece in zip(names, pieces, strict=True)}
        return F.cross_entropy(functional_call(network, {**state.params, **named}, (x.double(),)), y)

    matrix = torch.autograd.functional.hessian(loss, torch.cat([state.params[n].reshape(-1) for n in names]))
    return matrix[kept][:, kept]


def _of(frame: pd.DataFrame, **asked: Any) -> pd.DataFrame:
    for name, value in asked.items():
        frame = frame[frame[name] == value]
    return frame


def test_columns_are_the_documented_ones(found, tmp_path):
    for name, frame in found.items():
        assert set(frame.columns) == set(tabulation.measured(declared.COLUMNS[name]))
        frame.to_parquet(tmp_path / f"{name}.parquet")
        whole = tabulation.tabulate([tmp_path / f"{name}.parquet"], declared.COLUMNS[name])
        assert whole.num_rows == len(frame)
        assert whole.schema == tabulation.schema(declared.COLUMNS[name])


def test_every_start_has_its_rows(found):
    runs = found["spectrum"].groupby(["seed", "operator", "vector", "probe"])
    starts = [("gauss_newton", "rademacher", i) for i in (0, 1)]
    starts += [("hessian", "gradient", -1), *(("hessian", "rademacher", i) for i in (0, 1))]
    assert list(runs.groups) == [(seed, *start) for seed in SEEDS for start in starts]
    for _, run in runs:
        assert run["index"].tolist() == list(range(len(run)))
        assert run["weight"].sum() == pytest.approx(1)
    common = found["spectrum"][["task", "kind", "k", "level", "step", "num_examples", "batchnorm"]].drop_duplicates()
    assert common.to_numpy().tolist() == [["toy", "imp", 2, 1, 6, NUM, "eval"]]


def test_alpha_and_beta_are_what_nodes_come_from(found):
    for _, run in found["spectrum"].groupby(["seed", "operator", "probe"]):
        alpha, beta = run["alpha"].to_numpy(), run["beta"].to_numpy()
        values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        np.testing.assert_array_equal(run["node"], values)
        np.testing.assert_array_equal(run["weight"], vectors[0] ** 2)
        np.testing.assert_array_equal(run["residual"], beta[-1] * np.abs(vectors[-1]))


@pytest.mark.parametrize("i", [0, 1])
def test_a_masked_spectrum_is_that_of_the_exact_matrix_on_survivors(found, i):
    matrix = _exact(i)
    values = torch.linalg.eigvalsh(matrix).numpy()
    spread, dimension = values[-1] - values[0], int(toys.dense_net().stem.fc1.weight.numel() + 12)
    rows, read = _of(found["spectrum"], seed=SEEDS[i], operator="hessian"), _of(found["curvature"], seed=SEEDS[i]).iloc[0]
    assert set(rows["dimension"]) == {len(values)} == {read["dimension"]}
    assert 0 < len(values) < dimension
    assert np.abs(rows["node"].to_numpy()[:, None] - values).min(axis=1).max() < 1e-5 * spread
    assert read["top"] == pytest.approx(values[-1], rel=1e-5)
    assert read["bottom"] == pytest.approx(values[0], rel=1e-4)
    signs = rademacher(matrix[0], [torch_generator("probe", SEEDS[i], j) for j in range(2)])
    forms = (signs @ matrix * signs).sum(1)
    for j, form in enumerate(forms):
        own = _of(rows, probe=j)
        assert own["weight"] @ own["node"] * len(values) == pytest.approx(float(form), rel=1e-4, abs=1e-5 * spread)
    assert read["trace"] == pytest.approx(float(forms.mean()), rel=1e-4, abs=1e-5 * spread)


def test_gauss_newton_has_no_negative_nodes_and_is_not_the_hessian(found):
    for seed in SEEDS:
        nodes = {name: _of(found["spectrum"], seed=seed, operator=name)["node"] for name in ("hessian", "gauss_newton")}
        assert nodes["gauss_newton"].min() > -1e-6 * nodes["gauss_newton"].max()
        assert nodes["hessian"].min() < -1e-3 * nodes["hessian"].max()


def test_the_loss_is_that_of_the_examples(found):
    dataset = toys.dataset(NUM)
    for i, seed in enumerate(SEEDS):
        expected = evaluation.evaluate(toys.dense_net(), _states()[i], dataset.train, dataset).loss
        for frame in found.values():
            assert set(_of(frame, seed=seed)["loss"]) == {expected}


def test_without_a_mask_all_weights_count(tmp_path):
    dense = _run(_job(tmp_path, masked=False, operators=["hessian"], iterations=3, examples=20))
    assert set(dense["spectrum"]["dimension"]) == {76}
    assert set(dense["curvature"]["num_examples"]) == {20}
    assert set(dense["spectrum"]["operator"]) == {"hessian"}


def test_a_diverged_member_has_no_spectrum_and_no_values(tmp_path, found):
    lost = _run(_job(tmp_path, diverged=(True, False)))
    assert set(lost["spectrum"]["seed"]) == {SEEDS[1]}
    whole = _of(found["spectrum"], seed=SEEDS[1]).reset_index(drop=True)
    pd.testing.assert_frame_equal(lost["spectrum"], whole, check_exact=True)
    (row,) = _of(lost["curvature"], seed=SEEDS[0]).to_dict("records")
    assert all(pd.isna(row[name]) for name in ("top", "bottom", "negative_mass", "trace", "overlap", "loss"))
    expected = _of(found["curvature"], seed=SEEDS[0]).iloc[0]
    assert (row["dimension"], row["num_examples"]) == (expected["dimension"], NUM)


def test_if_all_have_diverged_there_is_no_row(tmp_path):
    lost = _run(_job(tmp_path, diverged=(True, True)))
    assert (len(lost["spectrum"]), len(lost["curvature"])) == (0, 2)


def test_a_collapsed_network_has_a_flat_spectrum_and_no_share_of_its_gradient(tmp_path):
    """No weight of the last layer is left: nothing that the others do reaches the loss, and their gradient is zero."""
    network, job = toys.dense_net(), _job(tmp_path)
    first, last = prunable(network)[0], prunable(network)[-1]
    collapsed = {name: np.full(network.get_parameter(name).shape, name == first) for name in prunable(network)}
    job.reads["mask"] = [by_hand.mask(tmp_path, "c", [collapsed] * 2, [False, False])]
    states = [toys.masked(toys.start(network, seed), collapsed) for seed in SEEDS]
    assert not states[0].params[last].any()
    job.reads["state"] = [by_hand.whole_state(tmp_path, "z", states, prunable(network), [False, False])]
    frames = _run(job)
    hessian = _of(frames["spectrum"], operator="hessian")
    assert set(hessian["vector"]) == {"rademacher"}
    assert (hessian["node"] == 0).all()
    assert frames["curvature"]["overlap"].isna().all()
    assert (frames["curvature"][["trace", "top"]].fillna(0) == 0).all(axis=None)


def test_without_the_hessian_there_is_nothing_to_read_off(tmp_path, found):
    alone = _run(_job(tmp_path, operators=["gauss_newton"]))
    pd.testing.assert_frame_equal(alone["spectrum"], _of(found["spectrum"], operator="gauss_newton").reset_index(drop=True))
    assert alone["curvature"][["top", "bottom", "trace", "overlap", "negative_mass"]].isna().all(axis=None)
    assert alone["curvature"]["loss"].tolist() == found["curvature"]["loss"].tolist()


@pytest.fixture(scope="module")
def settled(tmp_path_factory) -> dict[str, pd.DataFrame]:
    return _run(_job(tmp_path_factory.mktemp("settled"), **STOPPING))


def test_iterations_end_where_the_limit_is_settled(settled, found):
    for (seed, operator, num), rows in _of(settled["spectrum"], vector="rademacher").groupby(
        ["seed", "operator", "num_examples"]
    ):
        lengths = rows.groupby("probe")["index"].max() + 1
        assert lengths.nunique() == 1
        probes = [
            Tridiagonal(o["alpha"].to_numpy(), o["beta"].to_numpy()[:-1], o["beta"].iloc[-1]) for _, o in rows.groupby("probe")
        ]
        of = Spectrum(int(rows["dimension"].iloc[0]), probes)
        semidefinite = operator == "gauss_newton"
        assert max(unsettled(of, places(of, 0.1), semidefinite)) <= 0.1
        whole = _of(found["spectrum"], seed=seed, operator=operator, probe=0)
        assert lengths.iloc[0] < len(whole)
        if num == NUM:
            np.testing.assert_array_equal(_of(rows, probe=0)["alpha"], whole["alpha"][: lengths.iloc[0]])


def test_examples_are_doubled_until_the_limit_stays_and_then_the_hessian_follows(settled):
    for seed in SEEDS:
        own = _of(settled["spectrum"], seed=seed)
        sizes = sorted(set(_of(own, operator="gauss_newton")["num_examples"]))
        assert sizes == [5, 10, 20, 40][: len(sizes)]
        assert len(sizes) > 1
        assert set(_of(own, operator="hessian")["num_examples"]) == {sizes[-1]}
        assert _of(settled["curvature"], seed=seed)["num_examples"].tolist() == sizes[-1:]
        assert own.groupby("num_examples")["loss"].nunique().eq(1).all()
        assert own["loss"].nunique() == len(sizes)


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Estimate(0.5, 0.01, 0.04), 0.5),
        (Estimate(0.5, 0.01, -0.06), None),  # beyond both five errors and a tenth
        (Estimate(0.5, 0.02, 0.06), 0.5),  # within five errors
        (Estimate(0.9, 0.01, -0.06), 0.9),  # within a tenth
        (Estimate(0.4, math.nan, 0.09), 0.4),
        (Estimate(0.4, math.nan, -0.11), None),
        (Estimate(0.0, 0.0, 0.0), 0.0),
        (Estimate(math.nan, math.nan, math.nan), None),
    ],
)
def test_where_error_bars_disagree_there_is_no_value(estimate, expected):
    assert hessian._agreed(estimate) == expected


@pytest.fixture
def saves(monkeypatch):
    """Counts the batches of a job; `stop` sends this process a SIGTERM at one, `crash` ends it there without a word."""
    counted = {"num": 0, "stop": 0, "crash": 0}
    save = resumption.Notes.save

    def counting(notes: resumption.Notes) -> None:
        counted["num"] += 1
        if counted["num"] == counted["stop"]:
            os.kill(os.getpid(), signal.SIGTERM)
        save(notes)
        if counted["num"] == counted["crash"]:
            raise KeyboardInterrupt

    monkeypatch.setattr(resumption.Notes, "save", counting)
    return counted


def _same(first: dict[str, pd.DataFrame], second: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(first[name], second[name], check_exact=True)


# The first pass, of three batches, is the gradient's; the last two are within other operators and the second member.
@pytest.mark.parametrize("at", [1, 5, 40, 150, 300])
def test_a_job_that_is_told_to_stop_goes_on_to_the_same_tables(found, saves, tmp_path, at):
    job = _job(tmp_path)
    saves["stop"] = at
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="stopped on the way; run again to go on from there"):
        hessian.run(job)
    assert signal.getsignal(signal.SIGTERM) is before
    assert [path.name for path in job.folder.iterdir()] == [resumption.NAME]
    _same(_run(job), found)
    # A pass is three batches. The one under way is made again, and the gradient of its operator, and no more.
    passes = (found["spectrum"].groupby(["seed", "operator"])["index"].max() + 2).sum()
    assert 3 * passes <= saves["num"] <= 3 * (passes + 2)


@pytest.mark.parametrize("at", [1, 5, 12, 20, 33, 41, 47, 53])
def test_a_job_that_ends_early_goes_on_to_the_same_tables(settled, saves, tmp_path, at):
    job = _job(tmp_path, **STOPPING)
    saves["stop"] = at
    with pytest.raises(Preempted):
        hessian.run(job)
    _same(_run(job), settled)


@pytest.mark.parametrize("at", [5, 100])
def test_a_job_that_was_killed_goes_on_from_the_last_save(found, saves, tmp_path, monkeypatch, at):
    monkeypatch.setattr(resumption, "SAVE_SECONDS", 0.0)
    job = _job(tmp_path)
    saves["crash"] = at
    with pytest.raises(KeyboardInterrupt):
        hessian.run(job)
    assert (job.folder / resumption.NAME).is_file()
    _same(_run(job), found)


def test_nothing_is_saved_before_its_time(tmp_path, saves):
    job = _job(tmp_path)
    saves["crash"] = 50
    with pytest.raises(KeyboardInterrupt):
        hessian.run(job)
    assert not job.folder.exists()


@pytest.mark.parametrize("content", ["not a file of ours", "a cohort's"])
def test_notes_that_cannot_be_used_are_left_aside(found, tmp_path, caplog, content):
    caplog.set_level("INFO")
    job = _job(tmp_path)
    if content == "a cohort's":
        artifacts.write_tensors(job.folder / resumption.NAME, {}, {"key": job.key, "members": {}})
    else:
        artifacts.write_text(job.folder / resumption.NAME, content)
    _same(_run(job), found)
    assert "starting anew, what was kept cannot be used" in caplog.text


def test_progress_is_logged(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    _run(_job(tmp_path, iterations=4))
    assert "seed 0 hessian 40 iteration 1/4" in caplog.text
    last = next(record for record in caplog.records if "seed 3 gauss_newton 40 iteration 4/4, 0 s left" in record.message)
    assert (last.who, last.pace.done, last.pace.total) == ("seed 3 gauss_newton 40", 4, 4)
