"""The tables: their columns, types and meanings, and how they come from measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

STABLE_BELOW = 0.02  # G-10: two percentage points


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, unit ("1" for counts and shares) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


_TASK = Column("task", "string", "-", "name of the task: network, data set and recipe")
_SEED = Column("seed", "int64", "-", "replicate: initialisation, ladder and data streams are its own")
_KIND = Column("kind", "string", "-", "imp (level 0 is the dense network), random_prune or reinit")
_K = Column("k", "int64", "steps", "rewind step: training copies start from the state after so many steps")
_LEVEL = Column("level", "int64", "-", "pruning level; 0 is dense")
_DENSITY = Column("density", "double", "1", "share of prunable weights that survive, counted in the mask")
_ORDER = Column("order", "int64", "-", "order of SGD noise from step k on; the first one is the ladder's own")
_PAIR = (
    Column("order_1", "int64", "-", "order of the run at alpha = 1"),
    Column("order_2", "int64", "-", "order of the run at alpha = 0"),
)
_STEP = Column("step", "int64", "steps", "optimiser steps since initialisation")
_BATCHNORM = Column("batchnorm", "string", "-", "statistics on the line: averaged like weights, or recomputed on training images")
_ENDS = (
    Column("mean_end_error", "double", "1", "mean error of the two runs"),
    Column("max_error", "double", "1", "highest error on the line: the raw maximum (C-X3)"),
    Column("instability", "double", "1", "max_error - mean_end_error"),
)
_L2 = (
    Column("l2_params", "double", "1", "L2 distance of the two runs over all trainable parameters"),
    Column("l2_weights", "double", "1", "L2 distance of the two runs over prunable weights"),
)
_SPLIT = Column("split", "string", "-", "train or test: the whole split, eval mode, no augmentation")
_ERROR = Column("error", "double", "1", "share of wrong predictions")
_LOSS = Column("loss", "double", "nats", "mean cross-entropy")

COLUMNS: dict[str, tuple[Column, ...]] = {
    "runs": (
        _TASK, _SEED, _ORDER, _KIND,
        Column("start", "string", "-", "state that the run begins from: rewound (W_k) or fresh (a new initialisation)"),
        Column("mask", "string", "-", "none, the ladder's criterion, or shuffled (a ladder mask permuted in each layer)"),
        _K, _LEVEL, _DENSITY,
        Column("num_params", "int64", "1", "trainable parameters of the dense network"),
        Column("num_kept", "int64", "1", "surviving prunable weights"),
        Column("precision", "string", "-", "number format of training and evaluation: fp32, tf32 or bf16"),
        Column("channels_last", "bool", "-", "memory layout of images and convolutions"),
        Column("steps", "int64", "steps", "step at which training ends; the run itself takes steps - k"),
        Column("diverged", "bool", "-", "a weight became infinite or NaN here or where the mask comes from; errors are null"),
        Column("last_finite_step", "int64", "steps", "last step with a finite loss of a diverged run, else null"),
        Column("train_error", "double", "1", "share of wrong predictions on the training split at the end"),
        Column("train_loss", "double", "nats", "mean cross-entropy on the training split at the end"),
        Column("test_error", "double", "1", "share of wrong predictions on the test split at the end"),
        Column("test_loss", "double", "nats", "mean cross-entropy on the test split at the end"),
    ),
    "curves": (
        _TASK, _SEED, _ORDER, _KIND, _K, _LEVEL, _DENSITY,
        _STEP,
        Column("split", "string", "-", "test, or batch: the mean over training mini-batches since the last row, as trained"),
        _ERROR, _LOSS,
    ),
    "interpolation": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY,
        Column("alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"),
        _SPLIT, _BATCHNORM, _ERROR, _LOSS,
    ),
    "instability": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, _SPLIT, _BATCHNORM, *_ENDS,
        Column("barrier", "double", "1", "highest excess of error over the chord between the ends (paper C, definition 2.1)"),
        Column("loss_barrier", "double", "nats", "highest excess of loss over the chord between the ends"),
        Column("midpoint_error", "double", "1", "error at alpha = 1/2, whether or not it is one of the points"),
        Column("stable", "bool", "-", f"instability is below {STABLE_BELOW}"),
        Column("onset", "bool", "-", f"k is the smallest one whose mean instability over all pairs is below {STABLE_BELOW}"),
    ),
    "distances": (_TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, *_L2),
    "throughout": (_TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _STEP, _SPLIT, *_ENDS),
    "layers": (
        _TASK, _SEED, *_PAIR, _KIND, _K, _LEVEL, _DENSITY, _SPLIT,
        Column("block", "string", "-", "part of the network that moves from run 1 to run 2; all others stay at run 1"),
        Column("start_error", "double", "1", "error of run 1"),
        Column("end_error", "double", "1", "error of run 1 with the block of run 2"),
        Column("max_error", "double", "1", "highest error on the way"),
        Column("rise", "double", "1", "max_error - start_error"),
    ),
    "means": (
        _TASK, _KIND, _K, _LEVEL, _DENSITY, _SPLIT, _BATCHNORM,
        Column("instability", "double", "1", "mean over all pairs"),
        Column("deviation", "double", "1", "standard deviation over all pairs"),
        Column("error", "double", "1", "standard error: deviation / sqrt(num_pairs), as if pairs were independent"),
        Column("seed_error", "double", "1", "standard error of the mean over seeds, which does not assume that"),
        Column("num_pairs", "int64", "1", "pairs"),
        Column("num_seeds", "int64", "1", "seeds"),
    ),
    "onsets": (
        _TASK, _KIND, _LEVEL,
        Column("of", "string", "-", "stability (test instability below 0.02) or matching (accuracy of dense less sd or 0.002)"),
        Column("k", "int64", "steps", "smallest rewind step of the grid with the property; null if none has it"),
        Column("low", "int64", "steps", "2.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"),
        Column("high", "int64", "steps", "97.5 % quantile of k over bootstrap samples of seeds; null beyond the grid"),
        Column("found", "double", "1", "share of bootstrap samples in which a step of the grid has the property"),
        Column("num_seeds", "int64", "1", "seeds"),
    ),
    "networks": (
        _TASK,
        Column("network", "string", "-", "name of the network function"),
        Column("dataset", "string", "-", "name of the data set"),
        Column("num_params", "int64", "1", "trainable parameters"),
        Column("steps", "int64", "steps", "length of training"),
        Column("batch_size", "int64", "1", "examples a batch"),
        Column("optimiser", "string", "-", "name of the optimiser"),
        Column("lr", "double", "1", "peak learning rate"),
        Column("schedule", "string", "-", "name of the schedule"),
        Column("warmup", "int64", "steps", "length of the linear warm-up"),
        Column("accuracy", "double", "1", "mean test accuracy of the dense network over seeds"),
        Column("accuracy_sd", "double", "1", "its standard deviation"),
        Column("num_seeds", "int64", "1", "seeds"),
        Column("density", "double", "1", "share of weights left at the sparse level; null without one"),
        Column("pruning", "string", "-", "iterative or one-shot"),
    ),
    "claims": (
        Column("claim", "string", "-", "identifier of the claim, see config/claims"),
        Column("setting", "string", "-", "task that it is judged on"),
        Column("text", "string", "-", "the claim in words"),
        Column("source", "string", "-", "where the paper makes it"),
        Column("unit", "string", "-", "unit of the values"),
        Column("measured", "double", "unit", "measured value; infinity for an onset beyond the grid, null if not measured"),
        Column("spread", "double", "unit", "standard deviation of the measured value over replicates"),
        Column("num", "int64", "1", "replicates"),
        Column("paper_value", "double", "unit", "the paper's value; null where it gives none"),
        Column("paper_spread", "double", "unit", "the paper's standard deviation"),
        Column("rule", "string", "-", "what the measured value must obey"),
        Column("verdict", "string", "-", "holds, fails, or not measured"),
    ),
}  # fmt: skip


def schema(table: str) -> pa.Schema:
    """Build the Arrow schema of a table, with the unit and meaning of each column in its metadata."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "string": pa.string(), "int64": pa.int64(), "double": pa.float64()}
    return pa.schema([pa.field(c.name, types[c.type], metadata={"unit": c.unit, "meaning": c.meaning}) for c in COLUMNS[table]])


def to_arrow(rows: list[dict[str, object]], table: str) -> pa.Table:
    """Make a table with its columns in order and their documentation attached, without importing pandas.

    Args:
        rows: one mapping a row; columns that a measurement leaves to tabulation may be missing from all of them.
        table: name of the table.
    """
    import pyarrow as pa

    present = pa.schema([field for field in schema(table) if not rows or field.name in rows[0]])
    return pa.Table.from_pylist(rows, present)


def with_onset(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `stable` a pair and `onset` a setting to the instability table.

    The onset is judged on the mean over all pairs of a task, kind, level and split at one k (G-10).
    """
    setting = ["task", "kind", "level", "split", "batchnorm"]
    known = frame.assign(instability=frame["instability"].fillna(float("inf")))  # a diverged run is not stable
    means = known.groupby([*setting, "k"], as_index=False)["instability"].mean()
    stable = means[means["instability"] < STABLE_BELOW].groupby(setting, as_index=False)["k"].min()
    marked = frame.merge(stable.rename(columns={"k": "onset_k"}), on=setting, how="left")
    onset = (marked["k"] == marked["onset_k"]).to_numpy()
    return frame.assign(stable=frame["instability"] < STABLE_BELOW, onset=onset)


def tabulate(parts: Iterable[Path], table: str) -> pa.Table:
    """Join the measurements of an experiment to one sorted table.

    Args:
        parts: Parquet files of the same measurement.
        table: name of the table.
    """
    import pandas as pd
    import pyarrow as pa

    frame = pd.concat([read(path) for path in parts], ignore_index=True)
    keys = ["kind", "k", "level", "seed", "order", "order_1", "order_2", "split", "batchnorm", "step", "alpha"]
    frame = frame.sort_values(["task", *(key for key in keys if key in frame.columns)], ignore_index=True)
    if table == "instability":
        frame = with_onset(frame)
    return pa.Table.from_pandas(frame[[c.name for c in COLUMNS[table]]], schema(table), preserve_index=False)


def read(path: Path) -> pd.DataFrame:
    """Read one table.

    Raises:
        ValueError: the file is truncated, or not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read().to_pandas()
    except pa.ArrowInvalid as error:
        remedy = f"remove the folder {path.parent} and run again"
        raise ValueError(f"artifact {path} must be a whole Parquet file, got: {error}; {remedy}") from None


def document() -> str:
    """Write the data dictionary, `docs/tables.md`, from the same text as the Parquet metadata."""
    lines = [
        "# Tables",
        "",
        "One row a replicate or pair. Shares are in [0, 1]. Units and meanings are in the Parquet schema metadata too.",
        "",
    ]
    for table, columns in COLUMNS.items():
        lines += [f"## {table}", "", "| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in columns]
        lines.append("")
    return "\n".join(lines)
