"""Files of artifacts: atomic writes, checked reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pipeline_lib.types import State

Meta = dict[str, Any]


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a private name in the same folder, then rename it into place.

    A reader sees the whole file or none; two writers cannot tear it. On failure nothing is left.

    Args:
        path: where the file will be.
        write: writes it to the path that it is given.

    Raises:
        ValueError: the disk is full, or the folder cannot be written to.
    """
    private = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(private)
        with private.open("rb") as file:
            os.fsync(file.fileno())
        private.replace(path)
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__name__ != "SafetensorError":
            raise
        remedy = "free space on its disk, check its folder's permissions, or set results in the config"
        raise ValueError(f"file {path} must be writable, got: {error}; {remedy}") from error
    finally:
        with suppress(OSError):
            private.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    write_atomic(path, lambda private: _write(private, text))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically."""
    import pyarrow.parquet as pq

    write_atomic(path, lambda private: pq.write_table(table, private))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a measurement as Parquet, its types read off the rows, columns by name; tabulation gives them order and meaning.

    So a stage that trains does not depend on how tables are documented, and a new column elsewhere retrains nothing.
    """
    import pyarrow as pa

    made = pa.Table.from_pylist(rows)
    write_table(path, made.select(sorted(made.column_names)))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    remedy = f"remove the folder {path.parent} and run again"
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"artifact {path} must exist, got no such file; run the stage that makes it") from None
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"artifact {path} must be a whole safetensors file, got: {error}; {remedy}") from None


def read_meta(path: Path) -> Meta:
    """Read what a safetensors artifact's header says of it.

    Raises:
        ValueError: the file is missing, truncated, made by something else, or another node's.
    """
    from safetensors import safe_open

    with _readable(path), safe_open(str(path), framework="numpy") as file:
        text = (file.metadata() or {}).get("rewind")
    if text is None:
        raise ValueError(f"artifact {path} must have been made by this pipeline, got a foreign file; remove it and run again")
    meta = json.loads(text)
    if not path.parent.name.endswith(f"-{meta['key']}"):
        raise ValueError(
            f"artifact {path} must belong to its folder, got the file of node {meta['key']}; remove it and run again"
        )
    return meta


def _header(meta: Meta) -> dict[str, str]:
    return {"rewind": json.dumps(meta, sort_keys=True)}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], meta: Meta) -> None:
    """Write named numpy arrays with a header."""
    import numpy as np
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(path, lambda private: save_file(whole, private, _header(meta)))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], Meta]:
    """Read named numpy arrays and the header."""
    from safetensors.numpy import load_file

    meta = read_meta(path)
    with _readable(path):
        return load_file(path), meta


def write_tensors(path: Path, tensors: Mapping[str, Any], meta: Meta) -> None:
    """Write named torch tensors with a header."""
    from safetensors.torch import save_file

    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, lambda private: save_file(whole, private, _header(meta)))


def read_tensors(path: Path) -> tuple[dict[str, Any], Meta]:
    """Read named torch tensors and the header."""
    from safetensors.torch import load_file

    meta = read_meta(path)
    with _readable(path):
        return load_file(path), meta


def write_states(path: Path, members: list[State], meta: Meta) -> None:
    """Write a cohort's states with a leading member axis; optimiser slots are not kept (G-2)."""
    from pipeline_lib import tree

    cohort = tree.stack(members)
    tensors = {f"params/{n}": t for n, t in cohort.params.items()} | {f"buffers/{n}": t for n, t in cohort.buffers.items()}
    write_tensors(path, tensors, {**meta, "step": cohort.step})


def read_states(path: Path) -> tuple[list[State], Meta]:
    """Read a cohort's states, one a member."""
    from pipeline_lib import tree
    from pipeline_lib.types import State

    tensors, meta = read_tensors(path)
    halves: dict[str, dict[str, Any]] = {"params": {}, "buffers": {}}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        halves[kind][rest] = tensor
    order = meta["params"]  # safetensors sorts names; the flat vector's layout is the network's
    params = {name: halves["params"][name] for name in order}
    return tree.unstack(State(params, halves["buffers"], meta["step"])), meta
