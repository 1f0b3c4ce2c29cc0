"""What docs/architecture.md promises of config keys: one edited file adds one, with its default, unit, meaning and rule."""

from __future__ import annotations

import checkout as co
from checkout import Checkout

from pipeline_lib.analysis.wells import long_tailed, threshold

# A key of an option that stays in the experiment's grid, and what it does there.
IN_A_GROUP = "pipeline_lib/experiments/settings/options.py"
KEY = '    every: Count = key(1, "levels", "of the asked levels every so many-th")\n'
# A key of an option that a stage declares, and what the stage does with it.
IN_A_STAGE = "pipeline_lib/stages/landscape/wells.py"
OPTION = '        "spread": {"default": 3.0, "unit": "", "rule": "Positive", "meaning": "spread of logarithmic curvatures"},\n'
CONFIG: co.Config = {
    "tasks": {"toy": co.TOY},
    "experiments": {
        "grown": {
            "tasks": ["toy"],
            "seeds": 1,
            "orders": 1,
            "levels": 2,
            "pruning": {"fraction": 0.36},
            "planes": {"points": 5, "every": 2},
            "lemma": {"dimension": 20, "trials": 5, "subspaces": 4, "distances": [1], "spread": 1},
            "figures": ["pruning_planes", "lemma"],
        }
    },
}


def _grow(checkout: Checkout) -> None:
    anchor = '    margin: Annotated[float, In("[0, 1000]")] = key(0.5,'
    checkout.edit(IN_A_GROUP, anchor, KEY + anchor)
    following = '        _refuse_above(f"{place}.levels", self.levels, grid.levels - 1)\n        return replace(self, levels='
    checkout.edit(IN_A_GROUP, f"{following}tuple(sorted(self.levels)))", f"{following}tuple(sorted(self.levels))[:: self.every])")
    anchor = '        "epsilon": {'
    checkout.edit(IN_A_STAGE, anchor, OPTION + anchor)
    checkout.edit(IN_A_STAGE, "long_tailed(dimension)", 'long_tailed(dimension, spec["spread"])')


def _said(checkout: Checkout, *words: str, code: int = 0) -> str:
    outcome = co.call(checkout.root, "-m", "pipeline_lib", *words)
    assert outcome.code == code, outcome.text
    return outcome.text


def test_a_key_in_one_edited_file_runs_from_config_to_figure(empty: Checkout) -> None:
    config = str(empty.config.relative_to(empty.root))
    empty.configure(CONFIG)
    assert "key of experiments.grown.lemma must be one of" in _said(empty, "plan", config, code=1)
    _grow(empty)
    table, schema = _said(empty, "settings"), _said(empty, "schema")
    assert "| `every` | `1` | levels | of the asked levels every so many-th | a whole number in [1, 1000000] |" in table
    assert "| `spread` | `3.0` |  | spread of logarithmic curvatures | a finite number in (0, 1000000] |" in table
    assert "of the asked levels every so many-th; in levels" in schema and "spread of logarithmic curvatures" in schema
    for option, wrong, near in (("planes", "evry", "every"), ("lemma", "spred", "spread")):
        override = f"experiments={{grown: {{{option}: {{{wrong}: 2}}}}}}"
        assert f"did you mean '{near}'?" in _said(empty, "plan", config, "--config", override, code=1)
    refused = _said(empty, "plan", config, "--config", "experiments={grown: {lemma: {spread: 0}}}", code=1)
    assert "experiments.grown.lemma.spread must be above 0, got 0" in refused
    _said(empty, "plan", config)
    assert "pruning_planes" in _said(empty, "explain", config, "pruning_planes")
    co.make(empty)
    assert {path.stem for path in (empty.results / "grown" / "figures").glob("*.svg")} == {"pruning_planes", "lemma"}
    assert set(empty.table("grown", "planes")["level"]) == {0}, "every other of the levels 0 and 1"
    (wells,) = (node for node in empty.nodes().values() if node["stage"] == "wells")
    assert wells["spec"]["spread"] == 1.0
    (found,) = set(empty.table("grown", "wells")["threshold"])
    assert found == threshold(long_tailed(20, 1.0), 1.0, 0.1) != threshold(long_tailed(20), 1.0, 0.1)
