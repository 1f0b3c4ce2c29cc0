from __future__ import annotations

import pytest
import toys

from pipeline_lib.experiments import config, starts
from pipeline_lib.experiments.changes import Further, Perturbation, Start, Teaching

TASK = config.resolve(toys.raw_config()).experiments["tiny"].grids["toy"].task


def _parse(text: str) -> Start:
    return starts.parse(text, TASK | {"steps": 1000, "batch_size": 64, "dataset": {"name": "digits", "num_train": 640}})


CANONICAL = {
    "k500": "k500",
    "k500it": "k500",
    "k2ep": "k20",
    " k500|shuffle ": "k500 | shuffle(layer)",
    "k500 | shuffle(signs=same_sign)": "k500 | shuffle(layer, same_sign)",
    "k500 | mask | shuffle(kernel)": "k500 | shuffle(kernel)",
    "k500 | noise(1) | noise(sigma=0.50)": "k500 | noise(1) | noise(0.5)",
    "k0 | rotation for 40ep": "k0 | rotation(false) for 40ep",
    "k0 | rotation(true) for 30it": "k0 | rotation(true) for 30",
    "k0|blur+rotation for 4ep": "k0 | blur(4) + rotation(false) for 4ep",
    "k500 | mask | rotation for 40ep": "k500 | mask | rotation(false) for 40ep",
    "k500 | mix(initial)": "k500 | mix(initial)",
    "k500 | mix(magnitudes=initial)": "k500 | mix(k, initial)",
    "k0 | blur(4, true) for 1ep": "k0 | blur(4, true) for 1ep",
    "k500 | noise(2) in body.fc1": "k500 | noise(2) in body.fc1",
    "k500 | shuffle in stem|noise": "k500 | shuffle(layer) in stem | noise(1)",
    "k500 | noise(1) | mask": "k500 | noise(1) | mask",
    "k10 | blur until 50 | mask | noise(2) | rotation for 1ep": "k10 | blur(4) until 50 | noise(2) | rotation(false) for 1ep",
    "k500|lr_rewinding": "k500 | lr_rewinding",
    "k500 | mask | fine_tuning": "k500 | mask | fine_tuning(0.01)",
    "k500 | lr_rewinding | mask | weight_rewinding": "k500 | lr_rewinding | mask | weight_rewinding",
    "k500 | lr_rewinding | noise(2)": "k500 | lr_rewinding | noise(2)",
    "k500 | adaptive(threshold=batch)": "k500 | adaptive(10000)",
    "k500 | prune(.30)": "k500 | mask | prune(0.3, magnitude)",
    "k500 | mask | prune( 0.5 , random )": "k500 | mask | prune(0.5, random)",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_equal_starts_have_one_wording_and_it_reads_back(text):
    start = _parse(text)
    assert start.text == CANONICAL[text]
    assert _parse(start.text) == start


def test_teachings_come_before_the_mask_and_perturbations_after():
    start = _parse("k0 | blur for 2ep | shuffle | rotation for 1ep")
    assert [type(change) for change in start.before] == [Teaching]
    assert [type(change) for change in start.after] == [Perturbation, Teaching]
    assert start.ladder.text == "k0 | blur(4) for 2ep"


def test_the_mask_moves_the_border():
    dense, sparse = _parse("k500 | rotation for 1ep"), _parse("k500 | mask | rotation for 1ep")
    assert (len(dense.before), len(dense.after)) == (1, 0)
    assert (len(sparse.before), len(sparse.after), sparse.ladder.text) == (0, 1, "k500")


@pytest.mark.parametrize(
    ("text", "dense", "masked"),
    [
        ("k500", 500, 500),
        ("k500 | shuffle", 500, 500),
        ("k500 | rotation for 3ep", 0, 0),
        ("k500 | mask | rotation for 3ep", 500, 0),
        ("k100 | blur until 300", 300, 300),
        ("k100 | blur for 2ep | blur until 10", 10, 10),
        ("k500 | weight_rewinding", 500, 500),
        ("k500 | lr_rewinding", 0, 0),
        ("k500 | mask | fine_tuning", 0, 0),
        ("k500 | lr_rewinding | mask | weight_rewinding", 500, 500),
        ("k500 | mask | prune(0.3)", 500, 500),
    ],
)
def test_training_begins_at_the_step_that_the_changes_lead_to(text, dense, masked):
    start = _parse(text)
    assert (start.step(masked=False), start.step()) == (dense, masked)


def test_a_teaching_knows_its_pretexts_and_its_end():
    (teaching,) = _parse("k100 | random_labels(0.5) until 20ep").before
    assert teaching == Teaching(
        "random_labels(0.5) until 20ep",
        ({"name": "random_labels", "share": 0.5},),
        200,
        False,
        "random_labels(0.5)",
        "until 20ep",
    )


def test_a_perturbation_may_be_of_one_layer():
    (change,) = _parse("k5 | noise(2) in body.fc1").after
    assert change.steps == ({"name": "noise", "sigma": 2.0, "layer": "body.fc1"},)


def test_strategies_and_rules_are_of_the_ladder_or_of_one_network():
    ladder, branch = _parse("k500 | adaptive | lr_rewinding"), _parse("k500 | mask | lr_rewinding")
    assert (ladder.ladder.text, branch.ladder.text) == ("k500 | adaptive(10000) | lr_rewinding", "k500")
    assert ladder.rule and ladder.retraining and branch.retraining and not branch.rule
    assert _parse("k500 | lr_rewinding | mask | weight_rewinding").retraining == _parse("k500 | weight_rewinding").retraining
    assert (_parse("k500").retraining, _parse("k500 | mask | prune(0.3)").further) == (
        None,
        Further("prune(0.3, magnitude)", 0.3, "magnitude"),
    )


def test_the_dense_network_has_no_strategy_and_no_rule():
    start = _parse("k500 | adaptive | lr_rewinding | mask | fine_tuning | noise(1)")
    assert start.at(1) == start
    assert start.at(0).text == "k500 | noise(1)"


ERRORS = {
    "500 | shuffle": "start must begin with a rewind step such as k500, got '500 | shuffle'; write it like",
    "k1000": "start must begin below toy's 1000 steps, got k1000; lower it",
    "k500 | shufle": "got 'shufle'; did you mean 'shuffle'",
    "k500 | shuffle(layer, any, 3)": "start shuffle must have at most 2 options, got 3",
    "k500 | shuffle(size=3)": "option of start shuffle must be one of scope, signs, got 'size'",
    "k500 | shuffle(layr)": "kernel, layer, outgoing, got 'layr'; did you mean 'layer'",
    "k500 | rotation": "start rotation must say how long it lasts, got 'rotation'; add 'for 40ep' or 'until 500'",
    "k0 | rotatoin for 2ep": "start must be one of blur, random_labels, rotation, got 'rotatoin'; did you mean 'rotation'",
    "k0 | shuffle for 2ep": "start must be one of blur, random_labels, rotation, got 'shuffle'",
    "k0 | blur for 0": "start must last at least one step, got 'blur for 0' at step 0; lengthen it",
    "k500 | blur until 500": "start must last at least one step, got 'blur until 500' at step 500; lengthen it",
    "k0 | blur until 1000": "start must end before toy's 1000 steps, got '1000'; shorten it",
    "k0 | mask | mask": "start must have at most one mask",
    "k500 | prune(1.2)": "start must prune a fraction in (0, 1), got 'prune(1.2)'; write it like 'prune(0.3, random)'",
    "k500 | prune(0.3, randm)": "be one of grasp, magnitude, random, snip, synflow, taylor, got 'randm'; did you mean 'random'",
    "k500 | fine_tuning(2)": "factor of start fine_tuning must be a finite number in (0, 1], got '2'; correct the config",
    "k0 | (layer)": "start must be a name with options in brackets, got '(layer)'",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_say_what_is_wrong(text):
    with pytest.raises(ValueError) as error:
        _parse(text)
    assert ERRORS[text] in str(error.value)
