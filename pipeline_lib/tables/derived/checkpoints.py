"""What was measured of checkpoints that the config brings, by their names there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "checkpoint_paths": {
        "from": ["paths", "brought"],
        "of": ["checkpoint 1", "checkpoint 2"],
        "columns": [
            "task", "seed",
            ["checkpoint_1", "string", "-", "the network at alpha = 1"],
            ["checkpoint_2", "string", "-", "the network at alpha = 0"],
            ["alpha", "double", "1", "position on the line: alpha W_1 + (1 - alpha) W_2"],
            "split", "error", "loss",
        ],
    },
    "checkpoint_barriers": {
        "from": ["barriers", "brought"],
        "of": ["checkpoint 1", "checkpoint 2"],
        "columns": [
            "task", "seed",
            ["checkpoint_1", "string", "-", "the network at alpha = 1"],
            ["checkpoint_2", "string", "-", "the network at alpha = 0"],
            "split",
            ["error_1", "double", "1", "error of checkpoint 1"],
            ["error_2", "double", "1", "error of checkpoint 2"],
            "mean_end_error", "max_error", "instability", "barrier", "loss_barrier", "midpoint_error", "l2_params", "l2_weights",
        ],
    },
    "checkpoint_curvature": {
        "from": ["curvature", "brought"],
        "of": ["the checkpoint"],
        "columns": [
            "task", "seed",
            ["checkpoint", "string", "-", "its name in the config"],
            "step",
            ["top", "double", "1", "largest eigenvalue of the Hessian of the training loss"],
            ["bottom", "double", "1", "smallest eigenvalue"],
            ["negative_mass", "double", "1", "share of the eigenvalues' absolute sum that is negative"],
            ["trace", "double", "1", "sum of the eigenvalues, estimated"],
            ["overlap", "double", "1", "share of the gradient's square in the top subspace; null if not converged"],
            "dimension", "num_examples",
            ["loss", "double", "nats", "mean cross-entropy over those images"],
        ],
    },
    "checkpoint_spectra": {
        "from": ["spectrum", "brought"],
        "of": ["the checkpoint"],
        "columns": [
            "task", "seed",
            ["checkpoint", "string", "-", "its name in the config"],
            "step",
            ["probe", "int64", "-", "number of the random start"],
            ["node", "double", "1", "Ritz value: an eigenvalue of the iteration's small matrix"],
            ["weight", "double", "1", "share of the start vector in this direction"],
            "dimension", "num_examples",
        ],
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Rows = list[dict[str, Any]]


def _named(frames: Frames, measured: str, keys: dict[str, str]) -> pd.DataFrame:
    """Keep the rows of a table that are about checkpoints, with their names.

    Args:
        frames: it and `brought`.
        measured: its name.
        keys: the columns of names that are added, each with the column of keys that tells them.
    """
    names = frames["brought"].drop_duplicates("key").set_index("key")["checkpoint"]
    frame = frames[measured]
    frame = frame[frame[list(keys.values())].isin(names.index).all(axis=1)]
    return frame.assign(**{name: frame[key].map(names) for name, key in keys.items()})


def _rows(frame: pd.DataFrame, table: str, *keys: str) -> Rows:
    columns: list[Any] = TABLES[table]["columns"]  # type: ignore[assignment]
    found = frame[[*(each if isinstance(each, str) else each[0] for each in columns), *keys]].astype(object)
    return [{str(name): value for name, value in row.items()} for row in found.where(found.notna(), None).to_dict("records")]


_BOTH = {"checkpoint_1": "key", "checkpoint_2": "other_key"}
_KEYS = ("key", "member", "other_key", "other_member")


def checkpoint_paths(frames: Frames, spec: dict[str, Any]) -> Rows:
    """List the points of lines between checkpoints.

    Args:
        frames: `paths` and `brought`.
        spec: not used.
    """
    return _rows(_named(frames, "paths", _BOTH), "checkpoint_paths", *_KEYS)


def checkpoint_barriers(frames: Frames, spec: dict[str, Any]) -> Rows:
    """Sum up the lines between checkpoints.

    Args:
        frames: `barriers` and `brought`.
        spec: not used.
    """
    return _rows(_named(frames, "barriers", _BOTH), "checkpoint_barriers", *_KEYS)


def checkpoint_curvature(frames: Frames, spec: dict[str, Any]) -> Rows:
    """List what the Hessian is like at checkpoints.

    Args:
        frames: `curvature` and `brought`.
        spec: not used.
    """
    return _rows(_named(frames, "curvature", {"checkpoint": "key"}), "checkpoint_curvature", "key")


def checkpoint_spectra(frames: Frames, spec: dict[str, Any]) -> Rows:
    """List the Ritz values of the Hessian at checkpoints, from random starts.

    Args:
        frames: `spectrum` and `brought`.
        spec: not used.
    """
    frame = _named(frames, "spectrum", {"checkpoint": "key"})
    return _rows(frame[frame["vector"] == "rademacher"], "checkpoint_spectra", "key")
