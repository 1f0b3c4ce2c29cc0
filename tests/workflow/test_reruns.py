"""What runs again after an edit: exactly the jobs whose results can differ, and what follows from them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from typing import Any

import checkout as co
import yaml
from checkout import Checkout

from pipeline_lib.experiments import figure_needs

PUBLISHED = ("tabulate", "derive", "judge", "plot")
TRAINING = ("train", "trace")


def _copies(nodes: Iterable[dict[str, Any]]) -> int:
    """Count the jobs that publish some nodes: one each, and three more of a figure that is a table: as CSV, HTML and LaTeX."""
    published = [node for node in nodes if node["stage"] in PUBLISHED]
    tables = [node for node in published if node["stage"] == "plot" and figure_needs.FIGURES[node["spec"]["figure"]].as_table]
    return len(published) + 3 * len(tables)


def _follow(checkout: Checkout, first: set[str]) -> dict[str, int]:
    """Count, by stage, some nodes of the plan and all that depend on them, and the copies published of those."""
    nodes, changed = checkout.nodes(), set(first)
    for key, node in nodes.items():  # parents come before children
        if any(parent in changed for keys in node["parents"].values() for parent in keys):
            changed.add(key)
    counts = dict(Counter(nodes[key]["stage"] for key in changed))
    return {**counts, "publish": _copies(nodes[key] for key in changed)}


def _of_stage(checkout: Checkout, *stages: str) -> set[str]:
    return {key for key, node in checkout.nodes().items() if node["stage"] in stages}


def test_comments_layout_what_is_new_and_what_is_said_rerun_nothing(tiny: Checkout) -> None:
    tiny.append("pipeline_lib/training/loop.py", "\n\n# A comment.\n")
    tiny.append("pipeline_lib/stages/states/train.py", "\n\n\n")
    for name in ("pipeline_lib/pruning/selection.py", "pipeline_lib/tables/tabulation.py"):
        path = tiny.root / name
        path.write_text(path.read_text(encoding="utf-8").replace('"""', '"""In other words: ', 1), encoding="utf-8")
    tiny.append("config/tasks/digits_mlp.yaml", "# A comment.\n")
    tiny.append("pipeline_lib/training/loop.py", "\n\nUNUSED = 1\n")
    tiny.append(
        "pipeline_lib/training/optimisers/sgd.py",
        "\n\ndef plain(vector: Tensor, lr: Positive) -> Any:\n    return torch.optim.SGD([vector], lr=lr)\n",
    )
    tiny.edit("pipeline_lib/stages/support/training.py", "loss %.4f %.1f steps/s", "loss %.3f, %.1f steps a second")
    tiny.edit("pipeline_lib/store/artifacts.py", "must be a whole safetensors file", "has to be whole")
    assert co.dry(tiny) == {}


def test_edited_interpolation_reruns_it_and_what_follows(tiny: Checkout) -> None:
    expected = _follow(tiny, _of_stage(tiny, "interpolate", "follow", "layers"))
    assert set(expected) == {"interpolate", "follow", "layers", "publish", *PUBLISHED}
    assert expected["tabulate"] == 5  # interpolation, instability, distances, throughout, layers
    tiny.edit("pipeline_lib/analysis/paths.py", "for i in range(num)]", "for i in range(0, num)]")
    assert co.dry(tiny) == expected


def test_edited_pruning_reruns_what_follows_from_masks(tiny: Checkout) -> None:
    expected = _follow(tiny, _of_stage(tiny, "prune"))
    dense = [n for n in tiny.nodes().values() if n["stage"] == "train" and n["spec"]["level"] == 0]
    assert expected["train"] == len(_of_stage(tiny, "train")) - len(dense)
    tiny.edit(
        "pipeline_lib/pruning/selection.py",
        "math.ceil(round(fraction * remaining, 6))",
        "math.ceil(round(fraction * remaining, 7))",
    )
    assert co.dry(tiny) == expected


def test_edited_figure_reruns_only_its_plot(tiny: Checkout) -> None:
    tiny.edit(*co.OTHER_FIGURE)
    assert co.dry(tiny) == {"plot": 1, "publish": 1}


def test_results_without_snakemakes_records_are_made_again_all_the_same(single: Checkout) -> None:
    shutil.rmtree(single.root / ".snakemake")  # as when they come from another checkout
    assert co.dry(single) == {}
    single.edit(*co.OTHER_FIGURE)
    assert co.dry(single) == {"plot": 1, "publish": 1}
    assert co.dry(single, "results/single/figures/instability_sparse.svg") == {}, "what was not asked for is not made"
    single.configure({**co.SINGLE, "tasks": {"toy": {**co.TOY, "steps": 45}}})
    assert set(co.dry(single)) == set(_follow(single, _of_stage(single, "train")))
    co.succeed(single, "results/single/runs.parquet")
    assert set(single.table("single", "runs")["steps"]) == {45}


def test_one_more_seed_runs_its_jobs_and_the_tables(tiny: Checkout) -> None:
    stages = Counter(node["stage"] for node in tiny.nodes().values())
    tiny.configure({**co.TINY, "experiments": {"tiny": {**co.TINY["experiments"]["tiny"], "seeds": 3}}})
    # A chunk of one seed has as many jobs as the chunk of two that is finished.
    own = {
        stage: stages[stage] for stage in ("pretrain", "prune", "rewind", *TRAINING, "interpolate", "follow", "layers", "signs")
    }
    again = {stage: stages[stage] for stage in PUBLISHED}
    assert co.dry(tiny) == {**own, **again, "publish": _copies(tiny.nodes().values())}


def test_jobs_of_the_tiny_grid(tiny_done: Checkout) -> None:
    stages = Counter(node["stage"] for node in tiny_done.nodes().values())
    # Two rewind steps: levels 1 and 2 each, and shuffled ones of levels 1 and 2 at the first k, of level 1 at the other.
    assert stages["prune"] == 2 * 2 + 3
    # W_0, W_10 and a fresh draw for each k.
    assert stages["pretrain"] == 4
    # A masked start for each mask of the ladder, and one each for both controls at three places.
    assert stages["rewind"] == 4 + 2 * 3
    # The ladder's own order in one job, the two others in another one where all orders are wanted (dense and level 1).
    # The dense ones from step 10 are followed; the ladder's own is also there without the states that it keeps.
    assert (stages["train"], stages["trace"]) == (2 * (2 + 2 + 1) + 2 * (2 + 1 + 2) - 1, 2)
    assert stages["interpolate"] == 2 * 2 + 2 * 2


def test_back_to_the_old_code_means_no_job(tiny: Checkout) -> None:
    path = tiny.root / "pipeline_lib/training/loop.py"
    before = path.read_text(encoding="utf-8")
    tiny.edit("pipeline_lib/training/loop.py", "CHECK_EVERY = 100", "CHECK_EVERY = 101")
    again = co.dry(tiny)
    assert [again[stage] for stage in TRAINING] == [len(_of_stage(tiny, stage)) for stage in TRAINING]
    path.write_text(before, encoding="utf-8")
    assert co.dry(tiny) == {}


def test_after_running_new_code_the_old_one_only_publishes(single: Checkout) -> None:
    published = co.contents(single.results / "single")
    path = single.root / "pipeline_lib/analysis/paths.py"
    before = path.read_text(encoding="utf-8")
    single.edit("pipeline_lib/analysis/paths.py", "algebra.distance(first.params, second.params, prunable)", "12.5")
    expected = _follow(single, _of_stage(single, "interpolate"))
    co.succeed(single, "results/single/distances.parquet")
    assert (single.table("single", "distances")["l2_weights"] == 12.5).all()
    path.write_text(before, encoding="utf-8")
    assert co.dry(single) == {"publish": expected["publish"]}
    co.succeed(single)
    assert co.contents(single.results / "single") == published
    assert co.dry(single) == {}


def test_results_that_were_copied_without_their_times_are_not_made_again(single: Checkout) -> None:
    for age, path in enumerate(sorted(single.results.rglob("*.*"))):  # children older than their parents, among others
        os.utime(path, (1e9 - 1000 * age,) * 2)
    assert co.dry(single) == {}
    profile = yaml.safe_load((single.root / "workflow/profiles/default/config.yaml").read_text(encoding="utf-8"))
    states = (single.results / "artifacts").glob("*/*/*.safetensors")
    assert profile["max-checksum-file-size"] > 100 * max(path.stat().st_size for path in states), "larger networks, too"


def test_results_of_another_checkout_without_times_and_records_of_snakemake_train_nothing(single: Checkout) -> None:
    shutil.rmtree(single.root / ".snakemake")
    for age, path in enumerate(sorted(single.results.rglob("*.*"))):
        os.utime(path, (1e9 - 1000 * age,) * 2)
    assert set(co.dry(single)) <= {"publish"}
    co.succeed(single)
    assert co.dry(single) == {}
