"""The columns of every table: types, units and meanings.

The file that makes a table says its columns in a literal: a stage's file in `STAGE`, that of a derived table in `TABLES`. A
column is a list of its name, Arrow type, unit ("1" for counts and shares) and meaning, or the name alone of one of `SHARED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from pipeline_lib.core import registry

TYPES = ("bool", "string", "int64", "double")


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, unit and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


# Columns that mean the same in several tables, by name.
SHARED: dict[str, Column] = {
    name: Column(name, *rest)
    for name, *rest in (
        ("task", "string", "-", "name of the task: network, data set and recipe"),
        ("seed", "int64", "-", "replicate: initialisation, ladder and data streams are its own"),
        (
            "kind",
            "string",
            "-",
            "dense (level 0), imp, random_prune or reinit; in runs and curves imp_changed etc. where the start was changed",
        ),
        ("k", "int64", "steps", "rewind step: training copies start from the state after so many steps"),
        ("level", "int64", "-", "pruning level; 0 is dense"),
        ("density", "double", "1", "share of prunable weights that survive, counted in the mask"),
        ("start", "string", "-", "state that the run begins from, as a config words it: k500 is W_500; reinit draws it anew"),
        (
            "noise_order",
            "int64",
            "-",
            "order of SGD noise from step k on; the first is the ladder's own, each level's with fresh ladder_order",
        ),
        ("order_1", "int64", "-", "order of the run at alpha = 1"),
        ("order_2", "int64", "-", "order of the run at alpha = 0"),
        ("step", "int64", "steps", "optimiser steps since initialisation"),
        (
            "batchnorm",
            "string",
            "-",
            "statistics on the line: averaged like weights, recomputed on training images, or repaired",
        ),
        ("other_seed", "int64", "-", "seed of the run at alpha = 0: another one only for pairs across seeds"),
        ("alignment", "string", "-", "what the units of the run at alpha = 0 were permuted by: none, weights or activations"),
        ("mean_end_error", "double", "1", "mean error of the two runs"),
        ("max_error", "double", "1", "highest error on the line: the raw maximum (C-X3)"),
        ("instability", "double", "1", "max_error - mean_end_error"),
        ("headroom", "double", "1", "what instability could at most be: the error of guessing less mean_end_error, at least 0"),
        ("headroom_share", "double", "1", "instability as a share of headroom; null where there is none"),
        ("stable", "bool", "-", "instability is below 0.02; never where headroom is below 0.2, as with networks at chance"),
        ("l2_params", "double", "1", "L2 distance of the two runs over all trainable parameters"),
        ("l2_weights", "double", "1", "L2 distance of the two runs over prunable weights"),
        ("split", "string", "-", "train or test: the whole split, eval mode, no augmentation"),
        ("error", "double", "1", "share of wrong predictions"),
        ("loss", "double", "nats", "mean cross-entropy"),
        ("num_seeds", "int64", "1", "seeds"),
        ("what", "string", "-", "levels: two solutions; projection: one and itself pruned; perturbed: one and the run of start"),
        ("level_1", "int64", "-", "level of network 1"),
        ("level_2", "int64", "-", "level of network 2; of a projection the level that it is pruned to"),
        ("barrier", "double", "1", "highest excess of error over the chord between the ends (paper C, definition 2.1)"),
        ("loss_barrier", "double", "nats", "highest excess of loss over the chord between the ends"),
        ("midpoint_error", "double", "1", "error at alpha = 1/2, whether or not it is one of the points"),
        ("plane", "string", "-", "pruning: of solution, projection and next solution; directions: of two ways to prune"),
        ("x", "double", "1", "distance along the first axis, in weight space"),
        ("y", "double", "1", "distance along the second axis, in weight space"),
        ("test_error", "double", "1", "share of wrong predictions on the test split"),
        ("test_loss", "double", "nats", "mean cross-entropy on the test split"),
        ("dimension", "int64", "1", "surviving prunable weights that the operator acts on"),
        ("num_examples", "int64", "1", "training images"),
        ("operator", "string", "-", "hessian or gauss_newton, of the mean training loss"),
        ("epsilon", "double", "nats", "height of the matching sublevel set above the solution; null where it has none"),
    )
}
OF_TASKS = ("task", "setting")  # columns that name tasks
# What tabulation adds to a table that has `start`, and what it is made of: `experiments.changes.Start.parts`.
PARTS = tuple(
    Column(*each)
    for each in (
        ("change", "string", "-", "what becomes of W_k before training, as a config words it; empty from a plain W_k"),
        ("num_changes", "int64", "1", "changes, one after the other"),
        ("strategy", "string", "-", "how pruned networks are trained; empty is weight rewinding"),
        ("rule", "string", "-", "how the ladder finds its ratios; empty is as the config says"),
        ("pretext", "string", "-", "altered data that are learned first; empty for none"),
        (
            "pretext_length",
            "string",
            "-",
            "for 40ep: training then begins at step 0; until 500: as part of training",
        ),
        ("further_criterion", "string", "-", "criterion by which the level's solution is pruned once more; null if it is not"),
        ("further_fraction", "double", "1", "share of its survivors that this prunes"),
    )
)
FIND = "results/artifacts/*/*-KEY"
_EXPERIMENT = Column("experiment", "string", "-", "experiment that the row was tabulated for; others may share what it is about")
_MEMBER = "place along the first axis of that artifact's tensors; null where a job trained none or several such"
_ENVIRONMENT = Column(
    "environment", "string", "-", "where it and all that it comes from was computed: processor or GPU, versions; several by ;"
)
_OWN = "this table's own artifact, as the row is about many networks or none"


def _column(table: str, said: Any) -> Column:
    if isinstance(said, str):
        if said not in SHARED:
            raise registry.unknown(f"column of table {table}", said, list(SHARED), "write its type, unit and meaning beside it")
        return SHARED[said]
    if len(said) != 4 or not all(isinstance(word, str) and word for word in said) or said[1] not in TYPES:
        rule = f"column of table {table} must be a name, a type of {', '.join(TYPES)}, a unit and a meaning"
        raise ValueError(f"{rule}, got {said}; write all four")
    return Column(*said)


def _with_parts(column: Column) -> tuple[Column, ...]:
    return (column, *PARTS) if column.name == "start" else (column,)


def of(table: str, said: Mapping[str, Any]) -> tuple[Column, ...]:
    """Read the columns that a file says a table has; add the parts of a start, and those that lead from a row to its artifacts.

    Args:
        table: its name.
        said: `columns`; and `of`, whose artifact a row's key is, two for a row that is about two: the artifact with the weights,
            which pruning alone leaves as they are.

    Raises:
        ValueError: a column is not declared in full.
    """
    own = [column for each in said["columns"] for column in _with_parts(_column(table, each))]
    keys = []
    for name, whose in zip(("", "other_"), said.get("of", [""]), strict=False):
        keys.append(Column(f"{name}key", "string", "-", f"{f'artifact of {whose}' if whose else _OWN} ({FIND})"))
        if whose:
            keys.append(Column(f"{name}member", "int64", "-", _MEMBER))
    return (_EXPERIMENT, *own, *keys, _ENVIRONMENT)


def spelled(columns: Sequence[Column]) -> list[list[str]]:
    """Write columns for a spec, in which they are part of their table's key."""
    return [list(astuple(column)) for column in columns]


def read(spelled: Sequence[Sequence[str]]) -> tuple[Column, ...]:
    """Read columns out of a spec."""
    return tuple(Column(*each) for each in spelled)
