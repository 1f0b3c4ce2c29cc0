"""Keys of real plans under edits of the code: what grows, moves or is said otherwise makes nothing anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import every_stage
import pytest
import toys

from pipeline_lib.experiments import config
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.planning import declared, driver, nodes
from pipeline_lib.planning.keys import fingerprint
from pipeline_lib.planning.keys.fingerprint import CODE, Named, code_of

Edits = dict[str, str | None]
TABLES = {"tabulate", "derive", "judge"}
TRAINING = {"pretrain", "teach", "train", "trace", "telemetry", "validation", "adapt"}  # they run the loop
LANDSCAPES = {"align", "interpolate", "follow", "layers", "similarity", "connect", "slice", "cut", "radii", "class_means"}
LANDSCAPES |= {"triangle"}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Named], str]:
    """Digests of the quick start, of the other papers' small experiments, and of a toy that has all stages else."""
    small = [config.ROOT / "config" / "experiments" / f"{name}_small.yaml" for name in ("unmasking", "early_phase")]
    toy = toys.make_plan(
        toys.raw_config(
            throughout={"every": 2, "rewind": [0]},
            layerwise=True,
            similarity={},
            align={},
            validation={"examples": 4},
            claims=["B"],
            starts=["k0 | mask | prune(0.3, snip)"],
        )
    )
    own = every_stage.OWN | {"figures": ["checkpoint_planes", "accuracy_by_start"]}
    brought = toys.brought(tmp_path_factory.mktemp("own"), mlp((1, 8, 8), 10, widths=[2]))
    toy_own = toys.make_plan(toys.raw_config(**own) | brought)
    made = [driver.load([config.ROOT / "config" / "config.yaml", *small]), toy, toy_own]
    asked = {(node.stage, nodes.named_functions(node.stage, node.spec)) for each in made for node in each.nodes.values()}
    assert {stage for stage, _ in asked} == set(declared.STAGES)
    return {(stage, named): fingerprint.fingerprint(stage, named) for stage, named in asked}


def _changed(before: dict[tuple[str, Named], str], edits: Edits) -> set[tuple[str, Named]]:
    code = code_of(CODE.root, edits)
    return {at for at, digest in before.items() if fingerprint.fingerprint(*at, code) != digest}


def _text(path: str) -> str:
    return (CODE.root / path).read_text(encoding="utf-8")


def _edit(path: str, old: str, new: str) -> Edits:
    assert _text(path).count(old) == 1, f"{path} has {_text(path).count(old)} places with {old!r}"
    return {path: _text(path).replace(old, new)}


def _add(path: str, name: str, body: str = "return None", arguments: str = "") -> Edits:
    """Add a public function to a module, or a module with one."""
    old = _text(path) if (CODE.root / path).is_file() else '"""New."""\n'
    return {path: f'{old}\n\ndef {name}({arguments}):\n    """Be new."""\n    {body}\n'}


def _everywhere(change: Callable[[str], str]) -> Edits:
    files = {str(path.relative_to(CODE.root)): path.read_text(encoding="utf-8") for path in CODE.root.rglob("*.py")}
    return {path: change(text) for path, text in files.items() if change(text) != text}


def _renamed(old: str, new: str) -> Edits:
    """Give a module another name, or another package."""
    found = _everywhere(lambda text: text.replace(f"pipeline_lib.{old} import", f"pipeline_lib.{new} import"))
    paths = [each.replace(".", "/") + ".py" for each in (old, new)]
    return found | {paths[0]: None, paths[1]: found.get(paths[0]) or _text(paths[0])}


def _moved() -> Edits:
    """Move a function to another package, where it is imported from."""
    text = _text("core/parameters.py")
    (block,) = re.findall(r"\n\ndef num_params\(.*?(?=\n\n\n|\Z)", text, re.DOTALL)
    there = f"{_text('core/algebra.py')}\n\nfrom torch import nn\n{block}"
    used = _edit(
        "stages/states/train.py", "num_params, prunable\n", "prunable\nfrom pipeline_lib.core.algebra import num_params\n"
    )
    return {"core/parameters.py": text.replace(block, ""), "core/algebra.py": there} | used


def _split(module: str, other: str, *names: str) -> Edits:
    """Move functions of a module to a new one, with all of its imports."""
    text = _text(f"{module}.py")
    head = text[: text.index("\n\n\ndef ")]
    blocks = [re.findall(rf"\n\n\ndef {name}\(.*?(?=\n\n\n|\Z)", text, re.DOTALL)[0] for name in names]
    for block in blocks:
        text = text.replace(block, "")
    return {
        f"{other}.py": head + "".join(blocks) + "\n",
        f"{module}.py": text.replace(head, f"{head}\nfrom pipeline_lib.{other.replace('/', '.')} import {', '.join(names)}\n"),
    }


GROWTH: dict[str, Edits] = {
    "criterion": _add(
        "pruning/criteria/magnitude.py",
        "first",
        "return dict(weights)",
        "weights",
    ),
    "optimiser": _add(
        "training/optimisers/sgd.py", "plain", "return torch.optim.SGD([vector], lr=lr)", "vector: Tensor, lr: Positive"
    ),
    "schedule": _add("training/schedules/steps.py", "halved", "return lambda step: 0.5"),
    "initialisation": _add("training/initialisers/kaiming.py", "zeros", "return network", "network, generator"),
    "network": _add("networks/mlp.py", "perceptron", "return mlp(input_shape, num_classes)", "input_shape, num_classes"),
    "network in a file": _add("networks/new.py", "perceptron", "return None", "input_shape, num_classes"),
    "data set": _add("datasets/digits.py", "letters", "return digits(data_root)", "data_root"),
    "data set in a file": _add("datasets/letters.py", "letters", "return None", "data_root"),
    "perturbation": _add("perturbations/noises.py", "none", "return weights", "weights, around, rng"),
    "pretext": _add("pretexts/blurs.py", "sharpen", "return blur(2)"),
    "strategy": _add("pruning/strategies/rewinding.py", "never", "return weight_rewinding()"),
    "rule": _add("pruning/ratios/adaptive.py", "bold", "return []"),
    "figure": _add("figures/density.py", "empty", "return best_rewind(frames, sparse_levels)", "frames, sparse_levels"),
    "measure": _add("claims/measures/stability.py", "nothing", "return None", "frames, task, sparse_level"),
    "summary": _add("tables/derived/early.py", "nothing", "return []", "frames, spec"),
    "stage": _add("stages/states/nothing.py", "run", "return None", "job"),
    "constant": {"training/loop.py": _text("training/loop.py") + "\n\nUNUSED = 1\n"},
}
WORDS: dict[str, Edits] = {
    "error of the registry": _edit("core/registry.py", "must be one of", "has to be one of"),
    "error of artifacts": _edit("store/artifacts.py", "must be a whole safetensors file", "has to be whole"),
    "error of pruning": _edit("pruning/selection.py", "alone here, got {lacking[0]}", "and no more, got {lacking[0]}"),
    "error in a variable": _edit("stages/support/data.py", "} of {total} that are not: ", "} broken: "),
    "how often is logged": _edit("core/pace.py", "SECONDS = 5.0", "SECONDS = 7.0"),
    "how a line looks": _edit("stages/support/training.py", '"%s step %d/%d loss', '"%s: step %d of %d, loss'),
    "what came of a run": _edit("stages/states/train.py", "no weight left, not trained", "empty"),
    "how often is saved": _edit("store/resumption.py", "SAVE_SECONDS = 180.0", "SAVE_SECONDS = 60.0"),
    "choice of the device": _edit("store/device.py", 'environ.get(VARIABLE, "auto")', 'environ.get(VARIABLE) or "auto"'),
    "annotations": _edit("core/types.py", "    loss: torch.Tensor\n", "    loss: object\n"),
    "annotation of what a job reads": _edit(
        "training/loop.py", "def _flat_mask(mask: Mask | None,", "def _flat_mask(mask: object,"
    ),
}
LAYOUT: dict[str, Edits] = {
    "another line of the log": _edit(
        "stages/states/train.py", "    starts, head =", '    log.info("reading %d", len(job.reads))\n    starts, head ='
    ),
    "docstrings and comments": _everywhere(lambda text: text.replace('"""', '"""In other words: ', 1) + "\n# A comment.\n"),
    "name of a module": _renamed("core.parameters", "networks.parts"),
    "name of the loop's module": _renamed("training.loop", "training.runs"),
    "place of a function": _moved(),
    "file of a network": {"networks/mlp.py": None, "networks/perceptrons.py": _text("networks/mlp.py")},
    "file of a criterion's helpers": _split("pruning/selection", "pruning/helpers", "num_pruned", "_lowest"),
}


def _anew(before: dict[tuple[str, Named], str], kinds: dict[str, Edits]) -> dict[str, set[tuple[str, Named]]]:
    """Name the edits that make something anew: all are made at once, and one by one if that does."""
    together = {path: text for edits in kinds.values() for path, text in edits.items()}
    assert len(together) == sum(map(len, kinds.values())), "each edits its own files"
    anew = _changed(before, together)
    if not anew:
        return {}
    alone = {name: _changed(before, edits) for name, edits in kinds.items()}
    return {name: changed for name, changed in alone.items() if changed} or {"all of them together": anew}


def test_what_is_new_makes_nothing_anew(before):
    assert _anew(before, GROWTH) == {}


def test_words_make_nothing_anew(before):
    assert _anew(before, WORDS) == {}


@pytest.mark.parametrize("name", LAYOUT)
def test_names_places_comments_and_logs_make_nothing_anew(before, name):
    assert _changed(before, LAYOUT[name]) == set()


ABOUT: dict[str, tuple[Edits, set[str]]] = {
    "step": (_edit("training/loop.py", "        self._optimiser.step()", "        self._optimiser.step(None)"), TRAINING),
    "optimiser": (
        _edit("training/optimisers/sgd.py", "nesterov=nesterov, fused=True", "nesterov=nesterov, fused=False"),
        TRAINING,
    ),
    "evaluation": (
        _edit("training/evaluation.py", "_CHUNK_BYTES =", "_CHUNK_BYTES = 2 *"),
        TRAINING | LANDSCAPES | {"hessian", "bring"},
    ),
    "Lanczos": (_edit("analysis/lanczos.py", "def _norm(vector: Tensor)", "def _norm(vector, scale=1)"), {"hessian"}),
    "statistics": (_edit("analysis/paths.py", "STATISTICS_IMAGES = 5000", "STATISTICS_IMAGES = 6000"), {"interpolate"}),
    "types of columns": (
        _edit("tables/tabulation.py", '"double": pa.float64()', '"double": pa.float32()'),
        TABLES,
    ),
    "verdicts": (_edit("claims/verdicts.py", 'verdict = "not measured"', 'verdict = "unknown"'), {"judge"}),
}
NAMED: dict[tuple[str, str, str], Edits] = {
    ("plot", "figures", "learning_curves"): _edit(
        "figures/density.py", 'curves = frames["curves"]', 'curves = dict(frames)["curves"]'
    ),
    ("perturb", "perturbations", "noise"): _edit("perturbations/noises.py", "np.concatenate(scales)", "np.hstack(scales)"),
    ("teach", "pretexts", "blur"): _edit("pretexts/blurs.py", "Lesson(change=change)", "Lesson(None or change)"),
    ("prune", "criteria", "magnitude"): _edit("pruning/criteria/magnitude.py", "np.abs(weight)", "np.fabs(weight)"),
    ("score", "derivatives", "gradients"): _edit(
        "analysis/derivatives/gradients.py", '"train")[1], mask)', '"train")[-1], mask)'
    ),
    ("judge", "measures", "unstable_matches"): {
        "claims/measures/stability.py": _text("claims/measures/stability.py").replace(
            "def unstable_matches(ev: Evidence, kind: str", "def unstable_matches(ev: Evidence, *, kind: str"
        )
    },
}


@pytest.mark.parametrize("name", ABOUT)
def test_an_edit_makes_the_stages_anew_that_it_is_about(before, name):
    edit, stages = ABOUT[name]
    assert {stage for stage, _ in _changed(before, edit)} == stages


@pytest.mark.parametrize("at", NAMED, ids=lambda at: at[-1])
def test_an_edit_of_a_registered_function_is_about_what_names_it(before, at):
    stage, *function = at
    naming = {each for each in before if each[0] == stage and tuple(function) in each[1]}
    assert naming
    changed = _changed(before, NAMED[at])
    assert {each for each in changed if each[0] == stage} == naming
    assert {each for each, _ in changed} <= {stage, "cut", "adapt"}  # which prune, too


def test_few_modules_count_as_a_whole():
    """One that calls something at its import does: all that it uses is in all keys then, as with a flag of `store.job`."""
    whole = {each.module for stage in declared.STAGES for each in fingerprint.reached(stage) if each.name == "*"}
    assert whole == {f"pipeline_lib.core.{name}" for name in ("registry", "sources", "values")}


def test_a_format_makes_all_anew(before, monkeypatch):
    monkeypatch.setattr(fingerprint, "FORMAT", fingerprint.FORMAT + 1)
    assert _changed(before, {}) == set(before)


def test_columns_are_in_the_key_of_their_table_and_of_what_comes_from_it(monkeypatch):
    def keys() -> dict[str, str]:
        made = toys.make_plan(toys.raw_config())
        tables = {name: node.key for name, node in made.tables["tiny"].items()}
        return tables | {node.label: key for key, node in made.nodes.items() if node.stage not in {*TABLES, "plot"}}

    before = keys()
    column = declared.COLUMNS["instability"][0]
    monkeypatch.setitem(
        declared.COLUMNS, "instability", (replace(column, meaning="another"), *declared.COLUMNS["instability"][1:])
    )
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {"instability", "means", "onsets"}
