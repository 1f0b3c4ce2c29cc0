"""Plans and artifacts in words."""

from __future__ import annotations

import itertools
import json

import pytest
import toys

from pipeline_lib.experiments import figure_needs
from pipeline_lib.experiments.runs import with_ancestors
from pipeline_lib.planning import adopted, declared, explanation, lineage, nodes
from pipeline_lib.planning.keys import fingerprint, known_code
from pipeline_lib.store import artifacts, verification

MORE = {"controls": ["random_prune"], "levels": 3, "sparse_level": 2, "seeds": 2}


@pytest.fixture
def made(tmp_path):
    return toys.make_plan(toys.raw_config(tmp_path, **MORE))


def _record(made, node, **more):
    folder = made.config.results / node.folder
    for name in declared.STAGES[node.stage].files:
        artifacts.write_text(folder / name, node.key)
    record = {key: getattr(node, key) for key in ("key", "stage", "label", "spec", "parents")}
    record |= {"code": nodes.stage_code(node.stage, node.spec), "format": fingerprint.FORMAT, "versions": {"torch": "2"}}
    artifacts.write_text(folder / verification.RECORD, json.dumps(record | {"sha256": verification.digests(folder)} | more))
    return folder


def _explain(made, *words):
    return explanation.report(made.config.results, made, words)


def _node(made, stage, **spec):
    return next(n for n in made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items()))


def test_boxes_are_the_points_and_no_others():
    points = {(a, b, c) for a in "xy" for b in range(3) for c in range(2) if not (a == "y" and b == 2)}
    found = [point for box in explanation.boxes(points) for point in itertools.product(*box)]
    assert sorted(found) == sorted(points)
    assert explanation.boxes({(a, b) for a in "xy" for b in range(3)}) == [(("x", "y"), (0, 1, 2))]


def test_a_figure_says_which_networks_it_needs_and_which_only_lead_to_them(made):
    text = _explain(made, "instability_sparse")
    grid = made.config.experiments["tiny"].grids["toy"]
    drawn = figure_needs.FIGURES["instability_sparse"].runs(grid)
    every = with_ancestors(grid, drawn)
    assert f"{2 * len(every)} networks = task toy x 2 seeds x {len(every)}:" in text
    assert f"  {2 * len(every - drawn)} of them are levels below, whose masks lead to the ones that are drawn:" in text
    assert "    2 = IMP x 2 rewind steps (0, 2) x level 1 x order 0" in text
    assert "drawn or compared: 8 = IMP x 2 rewind steps (0, 2) x 2 levels (0, 2) x 2 orders (0, 1)" in text
    assert "drawn or compared: 4 = random pruning x 2 rewind steps (0, 2) x level 2 x 2 orders (0, 1)" in text
    assert "Every kind of sparse network at the sparse level" in text


def test_a_figure_says_what_it_shares(made):
    text = _explain(made, "best_rewind")
    grid = made.config.experiments["tiny"].grids["toy"]
    both = explanation.needs(grid, "best_rewind").runs & explanation.needs(grid, "accuracy_by_rewind").runs
    assert f"{2 * len(both)} with accuracy_by_rewind" in text
    assert "networks that only this figure of tiny needs: 0" in text


def test_a_figure_says_what_exists_of_it(made):
    train = _node(made, "train")
    assert " 0 " in next(line for line in _explain(made, "best_rewind").splitlines() if line.startswith("train "))
    _record(made, train)
    assert " 1 " in next(line for line in _explain(made, "best_rewind").splitlines() if line.startswith("train "))


def test_two_tasks_of_one_grid_are_one_product(tmp_path):
    raw = toys.raw_config(tmp_path)
    raw["tasks"]["other"] = {"base": "toy", "batch_size": 16}
    raw["experiments"]["tiny"]["tasks"] = ["toy", "other"]
    assert "= 2 tasks (toy, other) x 2 seeds x " in _explain(toys.make_plan(raw), "best_rewind")


def test_an_experiment_lists_its_figures(made):
    text = _explain(made)
    assert text.startswith("experiment tiny: 1 task (toy)\n")
    for figure in made.config.experiments["tiny"].figures:
        number = explanation.num_networks(made.config.experiments["tiny"], figure)
        assert any(line.split()[:2] == [figure, str(number)] for line in text.splitlines())
    assert "training runs: " in text


def test_experiments_share_networks(tmp_path):
    raw = toys.raw_config(tmp_path)
    raw["experiments"]["more"] = raw["experiments"]["tiny"] | {"levels": 1}
    assert "networks that it shares with experiment more: " in _explain(toys.make_plan(raw), "best_rewind")


def test_a_table_says_where_it_comes_from(made):
    text = _explain(made, "runs.parquet")
    assert text.startswith("table runs of tiny, measured by train, ")
    assert "drawn in: accuracy_by_density, " in text
    assert f"comes from {sum(n.num_runs for n in made.nodes.values())} trained networks" in text
    assert "computed from instability" in _explain(made, "means")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best_rewin"], "figure, table or key must be one of .*; did you mean 'best_rewind'"),
        (["ffff"], r"key must be that of one artifact, or its first 4 digits or more, got ffff, none of .* and of the plan"),
        (["best_rewind", "runs"], "name one thing at a time"),
        (["ffff", "best_rewind"], "name one thing at a time"),
    ],
)
def test_a_word_that_is_nothing_is_refused(made, words, message):
    with pytest.raises(ValueError, match=message):
        _explain(made, *words)


def test_without_a_plan_only_keys_can_be_explained(made):
    with pytest.raises(ValueError, match="must be a config with a figure, table or key, or two keys, got best_rewind"):
        explanation.report(made.config.results, None, ["best_rewind"])
    node = _node(made, "prepare")
    with pytest.raises(ValueError, match="rewind explain CONFIG KEY looks in a plan, too"):
        explanation.report(made.config.results, None, [node.key])
    _record(made, node)
    assert explanation.report(made.config.results, None, [node.key]).startswith(node.folder)


def test_a_key_may_be_short_as_long_as_it_is_one(made, monkeypatch):
    node = _node(made, "prepare")
    whole = _explain(made, node.key)
    for word in (node.key[:6], f"{made.config.results}/{node.folder}/", f"{node.label}-{node.key}"):
        assert _explain(made, word) == whole
    found = lineage.Lineage(made.config.results, made)
    monkeypatch.setattr(found, "_nodes", {"abcd00000000": node, "abcd11111111": node})
    with pytest.raises(ValueError, match="got abcd, 2 that begin so: abcd00000000, abcd11111111"):
        found.key("abcd")


def test_an_artifact_says_what_it_is_and_what_would_make_it_again(made):
    node = _node(made, "interpolate")
    text = _explain(made, node.key)
    reached = len(known_code.of("interpolate", nodes.named_functions("interpolate", node.spec)).definitions)
    assert "does not exist yet" in text
    assert "  alphas: 3\n" in text
    assert f"code: {nodes.stage_code('interpolate', node.spec)}, {reached} definitions in " in text
    assert f"  one of the {reached} definitions that its stage reaches, or its spec" in text
    for parent in itertools.chain.from_iterable(made.parents(node).values()):
        assert f": {parent.stage}/{parent.label}-{parent.key}" in text
    _record(made, node)
    assert "exists: 0.00 MiB in 4 files" in _explain(made, node.key)
    assert 'versions: {"torch": "2"}' in _explain(made, node.key)


def test_an_artifact_that_the_plan_does_not_have_says_what_it_has_instead(made, tmp_path):
    more = toys.make_plan(toys.raw_config(tmp_path, **{**MORE, "alphas": 5}))
    node = _node(more, "interpolate")
    _record(more, node)
    text = _explain(made, node.key)
    assert "the plan does not need it; it has instead:" in text
    assert "spec: alphas: 5 in the first, 3 in the second" in text


def test_two_artifacts_differ_where_the_difference_begins(made, tmp_path):
    more = toys.make_plan(toys.raw_config(tmp_path, **MORE) | {"tasks": {"toy": toys.task(batch_size=16)}})
    first, second = _node(made, "interpolate", level=2, k=2), _node(more, "interpolate", level=2, k=2)
    for node in more.nodes.values():
        _record(more, node)
    text = _explain(made, first.key, second.key)
    assert "spec: task.batch_size: 32 in the first, 16 in the second" in text
    assert not [line for line in text.splitlines() if line.startswith("  ") and "batch_size" not in line]
    assert _explain(made, first.key, first.key).endswith("are one artifact")


def test_two_artifacts_differ_in_definitions(made, monkeypatch):
    old, new = (known_code.Sources(fingerprint.FORMAT, (known_code.Definition("m", "LIMIT", d, f"LIMIT = {d}"),)) for d in "12")
    monkeypatch.setattr(known_code, "read", lambda results: {"a" * 12: old, "b" * 12: new})
    train = _node(made, "train")
    twin = nodes.Node("train", train.label, train.spec, train.parents, "1234" * 3)
    _record(made, train, code="a" * 12)
    _record(made, twin, code="b" * 12)
    text = _explain(made, train.key, twin.key)
    assert f"differ in train/{train.label}-{train.key}:\n  code: m.LIMIT\n" in text
    assert "  -LIMIT = 1\n  +LIMIT = 2" in text
    monkeypatch.setattr(known_code, "read", lambda results: {})
    assert "nobody wrote down what it was" in _explain(made, twin.key)


def test_what_other_code_made_says_so(made):
    node = _node(made, "prepare")
    _record(made, node)
    adopted.write(made.config.results, [adopted.Kept("1" * 12, node.folder, "a" * 12, "b" * 12, "2026-01-02")])
    assert f"counts as {'1' * 12}, made by code {'b' * 12}, since it was kept on 2026-01-02" in _explain(made, node.key)
