from __future__ import annotations

from pathlib import Path
from typing import Any

import every_stage
import pytest
import toys

from pipeline_lib.core.jpegs import Jpegs
from pipeline_lib.core.types import Split
from pipeline_lib.stages.measurements import validation
from pipeline_lib.tables import tabulation


def test_held_out_images_are_not_trained_on():
    train = toys.split(50)
    rest, held = validation.divided(train, 12, 32)
    assert (len(rest.y), len(held.y)) == (38, 12)
    images = sorted(image.tobytes() for part in (rest, held) for image in part.x.numpy())
    assert images == sorted(image.tobytes() for image in train.x.numpy())
    assert not {image.tobytes() for image in rest.x.numpy()} & {image.tobytes() for image in held.x.numpy()}


def test_a_batch_must_be_left_and_images_in_memory():
    rule = r"validation\.examples must be at most 18, so that a batch is left, got 19; lower it"
    with pytest.raises(ValueError, match=rule):
        validation.divided(toys.split(50), 19, 32)
    files = Split(Jpegs(Path(), ("a",), 4, 4), toys.split(1).y)
    with pytest.raises(ValueError, match=r"validation must be of a data set in memory, got a folder of images"):
        validation.divided(files, 1, 1)


def test_the_first_step_of_lowest_validation_error_is_chosen():
    rows: list[dict[str, Any]] = [{"step": s, "validation_error": e} for s, e in ((3, 0.5), (6, 0.2), (9, 0.2))]
    assert [row["chosen"] for row in validation._chosen(rows, False)] == [False, True, False]
    assert not any(row["chosen"] for row in validation._chosen(rows, True))


def test_a_run_is_evaluated_on_both_and_networks_has_the_accuracy_at_the_chosen_step(tmp_path):
    raw = {"results": str(tmp_path), "tasks": {"toy": every_stage.TASK}}
    grid = {"tasks": ["toy"], "seeds": 1, "orders": 1, "validation": {"examples": 40}, "figures": ["validation", "table_1"]}
    made = toys.make_plan(raw | {"experiments": {"tiny": grid}})
    every_stage.make(made, without=("plot",))
    tables = {
        node.spec["table"]: tabulation.read(tmp_path / node.folder / "table.parquet")
        for node in made.nodes.values()
        if "table" in node.spec
    }
    found = tables["validation"]
    assert found["step"].tolist() == [3, 6]
    assert found["validation_error"].between(0, 1).all()
    (chosen,) = found[found["chosen"]]["test_error"]
    assert tables["networks"]["validated_accuracy"].tolist() == [1 - chosen]
