"""Paper A's figures and tables through the workflow, from real runs of a toy."""

from __future__ import annotations

from collections import Counter

import checkout as co
import pyarrow.parquet as pq
import pytest
from checkout import Checkout

from pipeline_lib.experiments import comparisons, figure_needs
from pipeline_lib.planning import declared

OPTIONS = (None, "perturbed", "pretraining", "telemetry", "curvature", "starts", "claims")
PRETEXTS, CALLS = len(comparisons.PRETEXTS), len(comparisons.EVERY)
ROWS = {
    # two ladders; every change at both levels; ladders from each pretext; sparse pretraining; a deficit; controls at k = 10
    "runs": 2 * 2 + 2 * CALLS + 2 * PRETEXTS + 3 + 2 + 2,
    "perturbations": CALLS * 2 * (1 + 3),  # all weights, and three layers
    "telemetry": 21,
    "signs": 3,
    "spectrum": 2 * 2 * 8,  # two steps, a random start and the gradient
    "curvature": 2,
    "correlations": 2 * 2,  # levels, and both sets of perturbations
    "timeline": 4 + 4 + 1 + 1,  # accuracies, events of gradients and signs, IMP that matches, the subspace
}


@pytest.mark.parametrize("name", list(ROWS))
def test_tables_have_their_schema_and_rows(early_done: Checkout, name: str) -> None:
    table = pq.ParquetFile(early_done.results / "early" / f"{name}.parquet")
    types = {str(field.name): str(field.type) for field in table.schema_arrow}
    assert list(types.items()) == [(column.name, column.type) for column in declared.COLUMNS[name]]
    assert table.metadata.num_rows == ROWS[name]


def test_every_figure_is_published(early_done: Checkout) -> None:
    found = {path.name for path in (early_done.results / "early" / "figures").iterdir()}
    of_pairs = {"interpolation", "instability", "distances"}  # one order makes no pair
    asked = [n for n, demand in figure_needs.FIGURES.items() if demand.option in OPTIONS and not of_pairs & set(demand.tables)]
    assert found == co.files_of(asked)


def test_perturbed_networks_train_on_from_their_step(early_done: Checkout) -> None:
    runs = early_done.table("early", "runs").set_index("start")
    for call in comparisons.EVERY:
        assert set(runs.loc[f"k10 | {call}", "start_step"]) == {10}
    assert set(runs.loc["k10 | mask | rotation(false) for 4", "kind"]) == {
        "imp_changed",
        "reinit_changed",
        "random_prune_changed",
    }
    assert set(runs.loc["k0 | random_labels(1) for 4", "start_step"]) == {0}


def test_the_sizes_of_perturbations_obey_their_laws(early_done: Checkout) -> None:
    sizes = early_done.table("early", "perturbations")
    pooled = sizes[(sizes["layer"] == "all") & (sizes["level"] == 1)].set_index("start")["deviation"]
    for scope in ("global", "layer"):
        assert pooled[f"k10 | shuffle({scope})"] > pooled[f"k10 | shuffle({scope}, same_sign)"] > 0
    assert pooled["k10 | shuffle(kernel)"] == 0, "a dense layer's kernels are single weights"
    noise = [pooled[f"k10 | noise({n})"] for n in ("0.5", "1", "2", "3")]
    assert noise == sorted(noise)
    assert pooled["k10 | mix(initial)"] < pooled["k10 | mix(k, fresh)"]


def test_an_edited_perturbation_reruns_its_own_jobs_and_what_follows(early_done: Checkout, tmp_path) -> None:
    early = co.copy(early_done, tmp_path / "checkout")
    own = [n for n in early.nodes().values() if n["stage"] == "perturb" and n["spec"]["steps"][0]["name"] == "noise"]
    early.edit("pipeline_lib/perturbations/noises.py", "np.concatenate(scales)", "np.hstack(scales)")
    again = co.dry(early)
    assert (again["perturb"], again["train"]) == (len(own), len(own))
    assert set(again) == {"perturb", "train", "tabulate", "derive", "judge", "plot", "publish"}


def test_an_edited_pretext_reruns_its_own_jobs_and_their_ladders(early_done: Checkout, tmp_path) -> None:
    early = co.copy(early_done, tmp_path / "checkout")
    taught = [n for n in early.nodes().values() if n["stage"] == "teach"]
    blurred = [n for n in taught if any(pretext["name"] == "blur" for pretext in n["spec"]["pretexts"])]
    early.edit("pipeline_lib/pretexts/blurs.py", "Lesson(change=change)", "Lesson(None or change)")
    again = co.dry(early)
    assert Counter(again)["teach"] == len(blurred) == 3
    assert (again["train"], again["prune"], again["rewind"]) == (2 * 3, 3, 3)
