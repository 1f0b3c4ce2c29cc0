from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from PIL import Image

from pipeline_lib.core import pace
from pipeline_lib.core.types import Progress
from pipeline_lib.experiments import config
from pipeline_lib.planning import driver
from pipeline_lib.stages.support import training
from pipeline_lib.stages.support.training import Run, Setting, train_cohort
from pipeline_lib.store import artifacts, device, resumption
from pipeline_lib.tables import tabulation
from pipeline_lib.training.loop import _Sums, train
from pipeline_lib.training.precision import Numerics

STEPS = 9


def _setting(**more: Any) -> Setting:
    recipe = {"name": "toy", **toys.task(batch_size=6, pad=1, steps=STEPS, **more)}
    task = config.load_task("toy", {"toy": {k: v for k, v in recipe.items() if k != "name"}})
    return Setting(task, toys.norm_net(), toys.dataset(), STEPS, evaluate_every=3)


def _runs(setting: Setting) -> list[Run]:
    return [Run(toys.start(setting.network, seed), None, (seed, order)) for seed, order in ((0, 0), (0, 1), (1, 0))]


def _same(first, second) -> bool:
    return all(
        toys.same_state(replace(a.state, slots={}), replace(b.state, slots={}))
        and (a.last_finite, curve) == (b.last_finite, other)
        for (a, curve), (b, other) in zip(first, second, strict=True)
    )


@pytest.fixture
def keeper(tmp_path):
    return lambda: resumption.Keeper(tmp_path / "node-0123456789ab" / resumption.NAME, {"key": "0123456789ab"}, STEPS)


@pytest.mark.parametrize("reports", range(1, 3 * STEPS - 1))
def test_a_stopped_cohort_goes_on_to_the_same_bits(keeper, reports, monkeypatch):
    setting = _setting()
    whole = train_cohort(setting, _runs(setting))
    first, seen = keeper(), []
    report = first.report

    def stop_then(*arguments: Any) -> None:
        seen.append(arguments)
        if len(seen) == reports:
            first.stop()
        report(*arguments)

    monkeypatch.setattr(first, "report", stop_then)
    with pytest.raises(resumption.Preempted, match="stopped at step"):
        train_cohort(setting, _runs(setting), first)
    second = replace(keeper(), members=resumption._read(first.path))
    assert second.members
    steps: list[int] = []
    report_again = second.report
    monkeypatch.setattr(second, "report", lambda *arguments: (steps.append(arguments[0]), report_again(*arguments)))
    assert _same(train_cohort(setting, _runs(setting), second), whole)
    assert 0 < len(steps) <= 3 * STEPS - reports


def test_a_cohort_is_saved_every_few_minutes(keeper, monkeypatch):
    monkeypatch.setattr(resumption, "SAVE_SECONDS", 0.0)
    setting, kept = _setting(), keeper()
    kept._due = 0.0
    train_cohort(setting, _runs(setting), kept)
    saved = resumption._read(kept.path)
    assert {i: one.state.step for i, one in saved.items()} == {0: STEPS, 1: STEPS, 2: STEPS - 1}
    assert [point["step"] for point in saved[0].curve] == [3, 3, 6, 6, 9, 9]


def test_what_is_logged_carries_the_numbers_for_those_who_watch(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    setting = _setting()
    train_cohort(setting, _runs(setting)[:1])
    told = [record for record in caplog.records if hasattr(record, "pace")]
    assert told[-1].message.startswith(f"seed 0 order 0 step {STEPS}/{STEPS} loss ")
    assert (told[-1].who, told[-1].pace.total) == ("seed 0 order 0", STEPS)
    assert f"loss {told[-1].loss:.4f}" in told[-1].message
    assert {row["split"] for row in told[-1].rows} == {"batch", "test"}


def test_members_side_by_side_are_kept_at_one_round(keeper):
    """As on a GPU: the members report in turn, and the file is written when the first one reports again."""
    kept = keeper()

    def at(step: int) -> Progress:
        return Progress(
            step,
            torch.zeros(()),
            torch.zeros(1),
            _Sums(torch.device("cpu"), None),
            lambda: replace(toys.start(toys.norm_net()), step=step),
        )

    for i in range(3):
        kept.report(i, at(1), list)
    kept.stop()
    kept.report(1, at(2), list)
    kept.report(2, at(2), list)
    kept.report(0, at(3), list)
    assert not kept.path.exists()
    with pytest.raises(resumption.Preempted):
        kept.report(1, at(3), list)
    assert {i: one.state.step for i, one in resumption._read(kept.path).items()} == {0: 3, 1: 2, 2: 2}


def test_a_cohort_that_is_too_large_for_the_device_is_split(monkeypatch, caplog):
    caplog.set_level("INFO")
    setting, sizes = _setting(), []
    whole = train_cohort(setting, _runs(setting))

    def small(network, members, recipe, until):
        sizes.append(len(members))
        if len(members) > 1:
            members[0].monitor  # noqa: B018  # as if it had begun
            train(network, members[:1], recipe, 4)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return train(network, members, recipe, until)

    monkeypatch.setattr(training, "train", small)
    assert _same(train_cohort(setting, _runs(setting)), whole)
    assert sizes == [3, 1, 2, 1, 1]
    assert "out of memory with 3 runs side by side: going on with 1, then 2" in caplog.text


def test_one_run_that_does_not_fit_is_refused(monkeypatch):
    def never(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr(training, "train", never)
    setting = _setting()
    with pytest.raises(
        ValueError, match=r"one run of toy must fit into the GPU's memory, got: CUDA out of memory.*lower batch_size"
    ):
        train_cohort(setting, _runs(setting))


@pytest.mark.parametrize(("asked", "present"), [("gpu", False), ("cuda", False), ("", False)])
def test_a_device_that_is_not_there_is_refused(asked, present, monkeypatch):
    monkeypatch.setenv(device.VARIABLE, asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    with pytest.raises(
        ValueError, match=rf"PIPELINE_DEVICE must be auto, cpu, or cuda where there is one, got '{asked}' and no CUDA"
    ):
        device.pick(Numerics())


@pytest.mark.parametrize(("asked", "present", "found"), [("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")])
def test_the_gpu_is_taken_where_there_is_one(asked, present, found, monkeypatch):
    monkeypatch.setenv(device.VARIABLE, asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert device.pick(Numerics()).type == found


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_only_tf32_lets_a_gpu_round_its_products(precision):
    device.pick(Numerics(precision))
    assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")


def test_an_imagenet_task_trains_from_jpegs_through_its_stages(tmp_path):
    """ResNet-50's recipe at 32 pixels on generated files: prepare, pretrain, train, interpolate, tabulate."""
    rng = np.random.default_rng(0)
    for part, num in (("train", 4), ("val", 2)):
        for label in ("cat", "dog"):
            (tmp_path / "data" / "imagenet" / part / label).mkdir(parents=True)
            for i in range(num):
                image = Image.fromarray(rng.integers(0, 256, (40 + i, 48, 3), dtype=np.uint8))
                image.save(tmp_path / "data" / "imagenet" / part / label / f"{i}.jpg")
    small = {"num_train": 8, "num_classes": 2, "size": 32, "resize": 36}
    task = {
        "base": "resnet50_imagenet",
        "dataset": small,
        "batch_size": 4,
        "schedule": {"drops": ["1ep"], "warmup": 1},
        "steps": "2ep",
    }
    grid = {"tasks": ["small"], "seeds": 1, "orders": 2, "rewind": ["1ep"], "levels": 0, "alphas": 3, "figures": ["paths_dense"]}
    raw = {"results": str(tmp_path / "results"), "data_root": str(tmp_path / "data"), "per_job": {"orders": 2}}
    made = toys.make_plan(raw | {"tasks": {"small": task | {"evaluate_every": "1ep"}}, "experiments": {"tiny": grid}})
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, made.config.results / node.folder, plan_file)
    frames = {n: tabulation.read(made.config.results / node.folder / "table.parquet") for n, node in made.tables["tiny"].items()}
    assert frames["runs"]["num_params"].tolist() == [25_557_032 - 998 * 2049] * 2
    assert frames["runs"]["steps"].tolist() == [4, 4]
    ends = frames["interpolation"].query("alpha == 1 and split == 'test'")
    assert ends["error"].tolist() == frames["runs"]["test_error"].tolist()[:1]


def _diverging(results: Path) -> dict[str, Any]:
    """Seed 1 of a ladder whose learning rate is far too high for it; `_poison` decides which."""
    given = {"controls": ["random_prune"], "rewind": [2], "levels": 2, "orders": 2, "figures": ["instability_sparse"]}
    return toys.raw_config(results, **given) | {"per_job": {"seeds": 2, "orders": 1}}


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A small experiment in which the ladder's run of seed 1 at level 1 diverges."""
    real = training.train

    def poisoned(network, members, recipe, until):
        found = real(network, members, recipe, until)
        level_1 = members[0].mask is not None and 0.7 < np.mean([keep.mean() for keep in members[0].mask.values()]) < 0.95
        if until == 6 and level_1 and members[0].monitor and len(found) == 2:
            found[1] = replace(found[1], last_finite=3)
        return found

    monkeypatch.setattr(training, "train", poisoned)
    made = toys.make_plan(_diverging(tmp_path))
    plan_file = driver.write_plan(made, [])
    for node in made.nodes.values():
        if node.stage != "plot":
            driver.run_node(node.stage, tmp_path / node.folder, plan_file)
    return made, {n: tabulation.read(tmp_path / node.folder / "table.parquet") for n, node in made.tables["tiny"].items()}


def test_a_diverged_run_is_recorded_and_ends_its_ladder(grid):
    made, frames = grid
    runs = tabulation.of_kind(frames["runs"].query("noise_order == 0"), "imp").set_index(["seed", "level"])
    assert runs["diverged"].to_dict() == {(0, 0): False, (0, 1): False, (0, 2): False, (1, 0): False, (1, 1): True, (1, 2): True}
    assert runs.loc[(1, 1), "last_finite_step"] == 3
    assert runs.loc[(1, 2), "last_finite_step"] == 2  # it ended before its first step
    assert runs["test_error"].isna().to_dict() == runs["diverged"].to_dict()
    control = frames["runs"].query("kind == 'random_prune' and level == 2").set_index("seed")["diverged"].groupby("seed").any()
    assert control.to_dict() == {0: False, 1: True}
    masks = [node for node in made.nodes.values() if node.stage == "prune" and node.spec["level"] == 2]
    assert {tuple(artifacts.read_meta(made.config.results / node.files()[0])["diverged"]) for node in masks} == {(False, True)}


def test_a_pair_with_a_diverged_run_has_no_values(grid):
    _, frames = grid
    for name, value in (("interpolation", "error"), ("instability", "instability")):
        sparse = frames[name].query("kind == 'imp' and level == 2")
        assert sparse[value].isna().groupby(sparse["seed"]).all().to_dict() == {0: False, 1: True}
    ends = frames["instability"].query("kind == 'imp' and level == 2")
    assert not ends["onset"].any()
    assert not ends[ends["seed"] == 1]["stable"].any()
