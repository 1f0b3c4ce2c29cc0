from __future__ import annotations

from typing import Any

import pytest
import toys

from pipeline_lib.experiments import comparisons, config, figure_needs, starts
from pipeline_lib.experiments.figure_needs import FIGURES
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.planning import declared


def _experiment(**more: Any) -> config.Grid:
    given = {"rewind": [3, 0], "levels": 2, "orders": [4, 5], "controls": ["reinit"], "figures": ["paths_dense"]}
    given |= {"throughout": {"every": 2, "rewind": [3]}, "perturbed": [3], "starts": ["k3 | sphere(2)"]}
    given |= {
        "pretraining": {"pretexts": ["blur"], "durations": [5, 1], "reference": 3},
        "telemetry": {},
        "curvature": {},
        "validation": {},
    }
    given |= {"retraining": ["lr_rewinding", "fine_tuning(0.5)"], "connectivity": {}, "planes": {}, "lemma": {}}
    given |= {"limits": {"levels": [0, 2], "fractions": [0.2, 0.5]}, "adaptive": {"levels": 1}}
    return config.resolve(toys.raw_config(**(given | more))).experiments["tiny"].grids["toy"]


def _run(kind: str, k: int, level: int, order: int, text: str = "") -> Run:
    return Run(kind, starts.parse(text or f"k{k}", TASK), level, order)


TASK = _experiment().task
DENSE_FIRST = {_run("imp", 0, 0, 4), _run("imp", 0, 0, 5)}
DENSE_ALL = DENSE_FIRST | {_run("imp", 3, 0, 4), _run("imp", 3, 0, 5)}
SPARSE_FIRST = {_run(kind, 0, 2, o) for kind in ("imp", "reinit") for o in (4, 5)}
SPARSE_ALL = DENSE_ALL | SPARSE_FIRST | {_run(kind, 3, 2, o) for kind in ("imp", "reinit") for o in (4, 5)}
LADDER_FIRST = {_run("imp", 0, level, 4) for level in (0, 1, 2)} | {_run("reinit", 0, level, 4) for level in (1, 2)}
LADDER_ALL = LADDER_FIRST | {_run("imp", 3, level, 4) for level in (0, 1, 2)}

REFERENCE = {_run("imp", 0, 0, 4)}  # the dense networks that all others are compared with
LADDERS = {_run("imp", k, level, 4) for k in (0, 3) for level in (0, 1, 2)}


def _changed(*texts: str, k: int = 3, kinds: tuple[str, ...] = ("imp",), levels: tuple[int, ...] = (0, 1, 2)) -> set[Run]:
    return {_run(kind, k, level, 4, text) for kind in kinds for text in texts for level in levels}


def _perturbed(*calls: str) -> set[Run]:
    return LADDERS | _changed(*(f"k3 | {call}" for call in calls))


KINDS = ("imp", "reinit", "random_prune")
ALONE = {_run(kind, 3, level, 4) for kind in KINDS[1:] for level in (1, 2)}
LAST = {_run("imp", 3, level, 4) for level in (0, 1, 2)}
SPARSE_LEVEL = {_run("imp", k, 2, 4) for k in (0, 3)}

EXPECTED = {
    "paths_dense": DENSE_FIRST,
    "instability_dense": DENSE_ALL,
    "accuracy_by_density": LADDER_FIRST,
    "paths_sparse": SPARSE_FIRST,
    "instability_sparse": SPARSE_ALL,
    "best_rewind": LADDER_ALL,
    "paths_dense_by_k": DENSE_ALL,
    "paths_sparse_by_k": SPARSE_ALL,
    "distance_dense": DENSE_ALL,
    "distance_sparse": SPARSE_ALL,
    "learning_curves": DENSE_FIRST,
    "instability_throughout": DENSE_ALL - DENSE_FIRST,
    "instability_by_layer": DENSE_ALL,
    "similarity_by_layer": DENSE_ALL,
    "alignments": DENSE_ALL,
    "instability_aligned": DENSE_ALL,
    "level_barriers_aligned": LADDERS,
    "instability_aligned_sparse": SPARSE_ALL,
    "checkpoint_paths": set(),
    "checkpoint_planes": set(),
    "checkpoint_spectra": set(),
    "schematic": DENSE_FIRST,
    "table_1": DENSE_FIRST,
    "accuracy_by_rewind": LADDERS,
    "telemetry": set(),
    "validation": set(),
    "timeline": set(),
    "curvature": set(),
    "perturbation_sizes": set(),
    "sign_changes": {run for run in LADDERS if run.level < 2},
    "signs_and_magnitudes": _perturbed("mix(k, fresh)", "mix(k, initial)", "mix(initial)", "mix(initial, initial)"),
    "shuffles": _perturbed(*(f"shuffle({scope})" for scope in ("global", "layer", "kernel", "incoming", "outgoing"))),
    "same_sign_shuffles": _perturbed(
        *(f"shuffle({scope}, same_sign)" for scope in ("global", "layer", "kernel")), "shuffle(layer, initial_signs)"
    ),
    "noise": _perturbed("noise(0.5)", "noise(1)", "noise(2)", "noise(3)"),
    "effective_deviation": SPARSE_LEVEL | _changed(*(f"k3 | {call}" for call in comparisons.EVERY), levels=(2,)),
    "pretraining": LADDERS | _changed("k0 | blur(4) for 1", "k0 | blur(4) for 5", k=0),
    "sparse_pretraining": LADDERS | ALONE | _changed("k3 | mask | rotation(false) for 5", kinds=KINDS, levels=(1, 2)),
    "accuracy_by_start": LADDERS | _changed("k3 | sphere(2)"),
    "landscape": LAST,
    "level_paths": LADDERS,
    "error_by_rewind": LADDERS,
    "pruning_planes": LAST | REFERENCE,
    "direction_planes": LAST | REFERENCE,
    "measured_limits": LAST | REFERENCE,
    "outliers": LAST,
    "spectra": LAST,
    "robustness": LAST | _changed("k3 | pruning_sized", levels=(0, 1)),
    "pruning_limits": LAST
    | REFERENCE
    | _changed(*(f"k3 | mask | prune({way})" for way in ("0.2, random", "0.5, random", "0.5, magnitude")), levels=(0, 2))
    | _changed("k3 | mask | prune(0.2, magnitude)", levels=(2,)),  # below the last level it is the ladder's next one
    "magnitudes": LAST | _changed("k3 | mask | lr_rewinding", "k3 | mask | fine_tuning(0.5)", levels=(1, 2)),
    "retraining": LAST | _changed("k3 | lr_rewinding", "k3 | fine_tuning(0.5)", levels=(1, 2)),
    "rewound_masks": {_run("imp", 3, 0, 4)}
    | _changed("k3 | lr_rewinding", "k3 | lr_rewinding | mask | weight_rewinding", levels=(1, 2)),
    "adaptive": LAST | _changed("k3 | adaptive(10000)", levels=(1,)),
    "lemma": set(),
    "claims_board": set(),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_needs_exactly_these_runs(figure):
    assert FIGURES[figure].runs(_experiment()) == EXPECTED[figure]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_from_tables_that_exist(figure):
    assert FIGURES[figure].tables
    assert set(FIGURES[figure].tables) <= set(declared.COLUMNS)


def test_the_ancestors_are_the_ladder_below():
    found = with_ancestors(_experiment(), [_run("reinit", 3, 2, 5)])
    assert found == {_run("reinit", 3, 2, 5), _run("imp", 3, 0, 4), _run("imp", 3, 1, 4)}


def test_the_ancestors_of_a_strategy_are_its_own_ladder_but_for_the_dense_network():
    tuned = _run("imp", 3, 2, 4, "k3 | lr_rewinding | mask | weight_rewinding")
    ladder = {_run("imp", 3, 0, 4), _run("imp", 3, 1, 4, "k3 | lr_rewinding")}
    assert with_ancestors(_experiment(), [tuned]) == {tuned} | ladder


def test_the_sparse_level_may_lie_inside_the_ladder():
    e = _experiment(sparse_level=1)
    assert {run.level for run in FIGURES["paths_sparse"].runs(e)} == {1}
    assert {run.level for run in FIGURES["best_rewind"].runs(e)} == {0, 1, 2}


def _default(**more: Any) -> set[str]:
    raw = toys.raw_config(**more)
    return set(config.resolve(raw).experiments["tiny"].figures)


OPTIONS: dict[str, Any] = {
    "throughout": {"every": 2}, "layerwise": True, "similarity": {}, "validation": {},
    "perturbed": [2], "starts": ["k2 | noise(1)"],
    "pretraining": {"durations": [1], "reference": 2}, "telemetry": {}, "curvature": {"steps": [0]},
    "connectivity": {}, "planes": {}, "limits": {}, "adaptive": {}, "retraining": ["lr_rewinding"], "lemma": {},
    "align": {},
}  # fmt: skip
# Of checkpoints that a config brings, whose experiments are their own.
BROUGHT = {name for name, demand in FIGURES.items() if demand.option == "analyse"}


def test_default_figures_are_those_that_can_be_drawn():
    plain = {name for name, demand in FIGURES.items() if demand.option is None}
    sparse = {name for name, demand in FIGURES.items() if demand.sparse}
    assert _default(levels=0) == plain - sparse
    assert _default(levels=1) == plain
    for option, value in OPTIONS.items():
        assert _default(levels=1, **{option: value}) == plain | {n for n, demand in FIGURES.items() if demand.option == option}
    assert _default(levels=1, **OPTIONS) == set(FIGURES) - BROUGHT - {config.BOARD}  # which comes with claims


def test_a_figure_of_sizes_trains_no_perturbed_run():
    made = toys.make_plan(toys.raw_config(perturbed=[2], figures=["perturbation_sizes"]))
    perturbed = [node for node in made.nodes.values() if node.stage == "perturb"]
    assert {node.spec["start"] for node in perturbed} == {f"k2 | {call}" for call in comparisons.EVERY}
    assert {node.spec["start"] for node in made.nodes.values() if node.stage == "train"} == {"k2"}
    assert set(made.figures["tiny"]) == {"perturbation_sizes"}


def test_perturbed_networks_of_a_figure_have_the_masks_of_their_ladder():
    made = toys.make_plan(toys.raw_config(perturbed=[2], rewind=[0, 2], figures=["noise"]))
    perturbed = [node for node in made.nodes.values() if node.stage == "perturb" and node.spec["level"]]
    masks = {parent.key for node in perturbed for parent in made.parents(node)["mask"]}
    assert masks == {n.key for n in made.nodes.values() if n.stage == "prune" and n.spec["k"] == 2}


def test_taught_networks_have_a_ladder_of_their_own():
    options = {"pretexts": ["blur(2)"], "durations": [3], "reference": 2}
    made = toys.make_plan(toys.raw_config(pretraining=options, figures=["pretraining"], levels=1, seeds=1))
    (taught,) = [node for node in made.nodes.values() if node.stage == "teach"]
    trained = [n for n in made.nodes.values() if n.stage == "train" and n.spec["start"] == "k0 | blur(2) for 3"]
    dense = next(n for n in trained if n.spec["level"] == 0)
    sparse = next(n for n in trained if n.spec["level"] == 1)
    assert made.parents(dense)["start"] == [taught]
    assert made.parents(made.parents(sparse)["mask"][0])["state"] == [dense]
    assert made.parents(made.parents(sparse)["start"][0])["state"] == [taught]


def test_a_network_needs_one_line_to_be_in_every_figure():
    """A further name under `tasks` is planned, trained and drawn in every figure of the experiment."""
    raw = toys.raw_config(tasks=["toy"], **OPTIONS)
    more = toys.raw_config(tasks=["toy", "digits_mlp"], **OPTIONS)
    before, after = toys.make_plan(raw), toys.make_plan(more)
    every = [each for each in FIGURES if each not in (config.BOARD, *BROUGHT)]
    assert list(before.figures["tiny"]) == list(after.figures["tiny"]) == every
    for figure, node in after.figures["tiny"].items():
        tables_read = {parent.stage for nodes in after.parents(node).values() for parent in nodes}
        assert tables_read <= {"tabulate", "derive"}
        assert (node.key == before.figures["tiny"][figure].key) == (figure == "lemma")  # which is of no network
    trained = [node for node in after.nodes.values() if node.stage in ("train", "trace")]
    kinds = [{(n.spec["k"], n.spec["level"]) for n in trained if n.spec["task"]["name"] == t} for t in ("toy", "digits_mlp")]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("figure", "lacking", "more"),
    [("sign_changes", {"rewind": [0]}, "a rewind step above 0"), ("instability_dense", {"orders": 1}, "2 orders")],
)
def test_a_figure_of_which_nothing_could_be_drawn_is_left_out_or_refused_when_planning(figure, lacking, more):
    raw = toys.raw_config(**lacking)
    assert figure not in config.resolve(raw).experiments["tiny"].figures
    assert figure in config.resolve(toys.raw_config()).experiments["tiny"].figures
    raw["experiments"]["tiny"]["figures"] = [figure]
    with pytest.raises(
        ValueError, match=rf"experiments\.tiny must have {more} for figure {figure}, got none; add to it, or leave"
    ):
        config.resolve(raw)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"runs": "nothin"}, "runs of figure new must be one of .* got 'nothin'; did you mean 'nothing'"),
        ({"table": []}, "key of figure new must be one of .* got 'table'; did you mean 'tables'"),
        ({"caption": None}, "figure new must say its caption in FIGURES of its file, got none; add it there"),
    ],
)
def test_a_wrong_word_about_a_figure_is_refused(said, words):
    right = {"runs": "nothing", "tables": ["runs"], "caption": "New."}
    given = {key: value for key, value in (right | said).items() if value is not None}
    with pytest.raises(ValueError, match=words):
        figure_needs._demand("new", given)


def test_a_drawing_and_what_is_said_of_it_go_together(monkeypatch):
    monkeypatch.setattr(figure_needs.registry, "stated", lambda kind, constant: {"lemma": {}})
    with pytest.raises(ValueError, match="must be a function and an entry in FIGURES of one file, got only one; add the other"):
        figure_needs._figures()
