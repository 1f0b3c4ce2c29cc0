"""From rows of tables to networks, masks, states and where they come from."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import toys

import pipeline_lib
from pipeline_lib import commands
from pipeline_lib.planning import footprint, nodes
from pipeline_lib.pruning.masks import density


@pytest.fixture(scope="module")
def found(made: nodes.Plan) -> pipeline_lib.Results:
    folder = made.config.results / "tiny"
    folder.mkdir()
    for table, node in made.tables["tiny"].items():
        path = made.config.results / node.folder / "table.parquet"
        if path.exists():
            shutil.copy(path, folder / f"{table}.parquet")
    return pipeline_lib.results(folder)


def _only(frame: pd.DataFrame, **values: object) -> pd.Series:
    (at,) = np.flatnonzero(np.logical_and.reduce([frame[name] == value for name, value in values.items()]))
    return frame.iloc[at]


def test_every_run_leads_to_the_network_with_its_error(found, world):
    for _, row in found["runs"].iterrows():
        network, state = found.network(row), found.state(row)
        assert not network.training
        assert toys.same(dict(network.named_parameters()), state.params)
        assert pipeline_lib.evaluate(world, state).error == row["test_error"]
        assert density(found.mask(row)) == row["density"]
        assert state.step == row["steps"]
        assert all(bool((state.params[name][~keep] == 0).all()) for name, keep in found.mask(row).items())


def test_a_pair_leads_to_both_of_its_networks(found, world):
    row = _only(found["instability"], level=0, k=2, split="test")
    ends = [found.state(row), found.state(row, other=True)]
    again = vars(pipeline_lib.instability(world, *ends, num=5))
    assert again == {name: row[name] for name in again}
    assert not toys.same(ends[0].params, ends[1].params)
    orders = [found.provenance(row, other=other)["order"] for other in (False, True)]
    assert orders == [row["order_1"], row["order_2"]]


def test_a_row_leads_to_the_world_that_it_was_measured_in(found):
    row = _only(found["instability"], level=0, k=2, split="test")
    again = pipeline_lib.instability(found.world(row), found.state(row), found.state(row, other=True), num=5)
    assert again.barrier == row["barrier"]


def test_a_start_and_a_spectrum_lead_to_their_states(found, made, w2):
    (row,) = found["curvature"].to_dict("records")
    assert toys.same(found.state(row).params, w2.params)
    rewound = next(node for node in made.nodes.values() if node.stage == "rewind")
    masked = found.state({"key": rewound.key, "seed": 3})
    assert toys.same(masked.params, pipeline_lib.masked(w2, found.mask({"key": rewound.key})).params)


def test_provenance_goes_back_to_the_data(found):
    row = _only(found["runs"], level=1, noise_order=0, kind="imp", start="k2")
    said = found.provenance(row.to_dict())
    assert (said["stage"], said["key"], said["seed"], said["order"], said["member"]) == ("train", row["key"], 3, 0, 0)
    stages = [each["stage"] for each in said["lineage"]]
    assert {"rewind", "prune", "pretrain", "prepare", "train"} == set(stages)
    assert len(stages) == len({each["folder"] for each in said["lineage"]})


def test_rows_that_lead_to_no_network_are_refused(found, made):
    with pytest.raises(ValueError, match=r"row must have key, got seed; take one of a table that has it"):
        found.state({"seed": 3})
    with pytest.raises(ValueError, match=r"key must be that of one artifact in .*, got 'ffffffffffff' of 0; check the folder"):
        found.state({"key": "ffffffffffff"})
    with pytest.raises(
        ValueError, match=r"row must mean one member of .* \(seed 3 order 0\), got 0; add seed, noise_order or member"
    ):
        found.network(_only(found["runs"], level=1, noise_order=0, kind="imp", start="k2").to_dict() | {"seed": 4})
    with pytest.raises(ValueError, match=r"row must be of a step whose state was kept, got step 5; take one of the last step"):
        found.state(_only(found["runs"], level=1, noise_order=0, kind="imp", start="k2").to_dict() | {"step": 5})
    with pytest.raises(ValueError, match=r"row must be of a network, got the key of a prune"):
        found.state({"key": next(node.key for node in made.nodes.values() if node.stage == "prune")})
    with pytest.raises(ValueError, match=r"folder must have tables, got none in .*; name the one of an experiment that was run"):
        _ = pipeline_lib.results(made.config.results)["runs"]


@pytest.fixture
def measured(made, tmp_path):
    """The same results, after a run has let go of all states and masks."""
    results = tmp_path / "results"
    shutil.copytree(made.config.results, results)
    assert footprint.let_go(made.nodes, results)[0] > 0
    return results


def test_what_was_let_go_says_so_wherever_it_is_asked_for_and_is_made_again(made, found, measured, tmp_path, capsys):
    row = _only(found["runs"], level=1, noise_order=0, kind="imp", start="k2")
    pruned = next(node.key for node in made.nodes.values() if node.stage == "prune")
    later = pipeline_lib.results(measured)
    rule = r" must be there, got one that a run let go once all was measured \(keep: measured\); make it again with: "
    rule += "rewind remake "
    for ask in (later.state, later.network, later.mask):
        with pytest.raises(ValueError, match=rule):
            ask(row)
    with pytest.raises(ValueError, match=f"{rule}{pruned} --results {measured}$"):
        later.mask({"key": pruned, "seed": 3})
    with pytest.raises(ValueError, match=f"{rule}{row['key']}"):
        pipeline_lib.export(measured, row["key"], None, tmp_path / "out")
    assert later.provenance(row)["key"] == row["key"]
    where = ["--results", str(measured)]
    for words, told in (
        (["show", row["key"], *where], "let go: state.safetensors, once all was measured; to have them again: rewind remake"),
        (["explain", row["key"], *where], "without state.safetensors, let go once all was measured"),
        (["verify", str(measured)], "of them without states or masks (keep: measured): rewind remake KEY makes them again"),
        (["remake", row["key"][:6], *where], f"{measured}/artifacts/train/"),
        (["remake", row["key"][:6], *where], f"all of {row['key'][:6]} is there"),
    ):
        assert commands.main(words) == 0
        assert told in capsys.readouterr().out
    assert toys.same(later.state(row).params, found.state(row).params)
    assert all(np.array_equal(keep, found.mask(row)[name]) for name, keep in later.mask(row).items())
    assert commands.main(["remake", "ffff", *where]) == 1
    assert "key must be that of one artifact" in capsys.readouterr().err
    (next(measured.glob(f"artifacts/train/*-{row['key']}")) / "spec.json").unlink()
    with pytest.raises(ValueError, match="must have its record, got none, as its job has not ended; run the experiment again"):
        pipeline_lib.results(measured).state(row)
    shutil.rmtree(measured / "plans")
    assert commands.main(["remake", row["key"], *where]) == 1
    assert "must be part of a plan in" in capsys.readouterr().err
