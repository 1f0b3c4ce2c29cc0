"""What a run makes of a plan when part of it is asked for."""

from __future__ import annotations

import pytest
import toys

from pipeline_lib.commands import running
from pipeline_lib.planning import nodes, plan_file


@pytest.fixture(scope="module")
def made() -> nodes.Plan:
    raw = toys.raw_config(figures=["paths_dense", "instability_dense"], levels=0)
    raw["experiments"]["other"] = raw["experiments"]["tiny"] | {"figures": ["paths_dense"]}
    return toys.make_plan(raw)


def test_without_a_choice_no_file_is_named_and_all_is_made(made):
    assert running._targets(made, None, None) == []


def test_an_experiment_alone_is_all_that_it_publishes(made):
    every = {f"results/{file}" for file in plan_file.published(made)}
    parts = [set(running._targets(made, None, name)) for name in ("tiny", "other")]
    assert parts[0] | parts[1] == every
    assert not parts[0] & parts[1]
    assert {"results/other/runs.parquet", "results/other/figures/paths_dense.svg"} < parts[1]


def test_a_figure_is_that_of_every_experiment_or_of_one(made):
    both = [f"results/{name}/figures/paths_dense.svg" for name in ("tiny", "other")]
    assert running._targets(made, "paths_dense", None) == both
    assert running._targets(made, "paths_dense", "other") == both[1:]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (
            ("paths_dens", None),
            "figure must be one of instability_dense, paths_dense, got 'paths_dens'; did you mean",
        ),
        (("instability_dense", "other"), "figure must be one of paths_dense, got 'instability_dense'"),
        ((None, "tinny"), "experiment must be one of other, tiny, got 'tinny'; did you mean 'tiny'?"),
    ],
)
def test_what_there_is_not_is_refused(made, asked, error):
    with pytest.raises(ValueError, match=error):
        running._targets(made, *asked)
