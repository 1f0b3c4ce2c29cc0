"""Files of artifacts: atomic writes, checked reads.

A safetensors file carries two digests, of its header and of its tensors, and readers check them: a flipped bit is an error, not a
slightly different network. Nothing that is read here can run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_lib.core import files
from pipeline_lib.store import seals

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from torch import Tensor

    from pipeline_lib.core.types import State

Meta = dict[str, Any]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    files.write_atomic(path, lambda private: _write(private, text))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically, sealed, with the key of its folder's node."""
    files.write_atomic(path, lambda private: seals.write_table(private, table, seals.key_of(path.parent)))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a measurement as Parquet, its types read off the rows, columns by name; tabulation gives them order and meaning.

    So a stage that trains does not depend on how tables are documented, and a new column elsewhere retrains nothing.
    """
    import pyarrow as pa

    made = pa.Table.from_pylist(rows)
    write_table(path, made.select(sorted(made.column_names)))


# What a damaged or foreign file can make its readers raise: libraries' own errors, and facts of the wrong kind or name.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError, MemoryError)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    remedy = f"remove the folder {path.parent} and run again"
    try:
        path.open("rb").close()  # safetensors says of a file that may not be read that there is none
        yield
    except OSError as error:
        raise files.refusal(path, error) from None
    except (SafetensorError, *_DAMAGE) as error:
        found = str(error) if isinstance(error, SafetensorError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"artifact {path} must be a whole safetensors file, got: {found}; {remedy}") from None


def _changed(path: Path, what: str) -> ValueError:
    return ValueError(
        f"artifact {path} must be what its job wrote, got another {what}; remove the folder {path.parent} and run again"
    )


def _digest(meta: Meta) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def array(tensor: Tensor) -> np.ndarray:
    """Give a tensor's values as a numpy array, wherever it lies; here alone tensors become arrays."""
    values: np.ndarray = tensor.detach().cpu().numpy()
    return values


def _content(tensors: Mapping[str, Any]) -> str:
    """Hash names, types, shapes and bytes of numpy arrays or tensors on the CPU; equal ones of either kind have one digest."""
    import numpy as np

    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        if not isinstance(tensor, np.ndarray):
            import torch

            tensor = array(tensor.reshape(-1).view(torch.uint8))
        whole.update(f"{name} {str(tensors[name].dtype).removeprefix('torch.')} {list(tensors[name].shape)}\n".encode())
        whole.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return whole.hexdigest()


def _seals(path: Path) -> tuple[Meta, str]:
    """Read a file's header, checked, and the digest of its tensors."""
    from safetensors import safe_open

    with _readable(path):
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get("rewind")
        meta: Meta = {} if text is None else json.loads(text)
        key, (header, content) = ("", ("", "")) if text is None else (str(meta["key"]), meta.pop("sealed", ("", "")))
    if text is None:
        raise ValueError(f"artifact {path} must have been made by this pipeline, got a foreign file; remove it and run again")
    if not seals.belongs(path.parent, key):
        raise ValueError(f"artifact {path} must belong to its folder, got the file of node {key}; remove it and run again")
    if header != _digest(meta):
        raise _changed(path, "header")
    return meta, content


def read_meta(path: Path) -> Meta:
    """Read what a safetensors artifact's header says of it.

    Raises:
        ValueError: the file is missing, truncated, changed, made by something else, or another node's.
    """
    return _seals(path)[0]


def _header(tensors: Mapping[str, Any], meta: Meta) -> dict[str, str]:
    """Word a header: one entry, because safetensors writes several in any order, and equal artifacts have equal bytes."""
    plain: Meta = json.loads(json.dumps(meta))
    return {"rewind": json.dumps(plain | {"sealed": [_digest(plain), _content(tensors)]}, sort_keys=True)}


def _read(path: Path, load: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], Meta]:
    meta, content = _seals(path)
    with _readable(path):
        tensors = load(path)
        found = _content(tensors)
    if found != content:
        raise _changed(path, "content")
    return tensors, meta


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], meta: Meta) -> None:
    """Write named numpy arrays with a header."""
    import numpy as np
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = _header(whole, meta)
    files.write_atomic(path, lambda private: save_file(whole, private, header))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], Meta]:
    """Read named numpy arrays and the header.

    Raises:
        ValueError: as `read_meta`, or the arrays are not those that were written.
    """
    from safetensors.numpy import load_file

    return _read(path, load_file)


def read_masks(path: Path) -> tuple[list[dict[str, np.ndarray]], Meta]:
    """Read the masks of a chunk of seeds, one a seed, and the header.

    Raises:
        ValueError: as `read_arrays`.
    """
    arrays, meta = read_arrays(path)
    return [{name: array[i] for name, array in arrays.items()} for i in range(len(meta["diverged"]))], meta


def write_tensors(path: Path, tensors: Mapping[str, Any], meta: Meta) -> None:
    """Write named torch tensors, of whatever device, with a header."""
    from safetensors.torch import save_file

    # The one place where tensors leave their device for a file.
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = _header(whole, meta)
    files.write_atomic(path, lambda private: save_file(whole, private, header))


def read_tensors(path: Path) -> tuple[dict[str, Any], Meta]:
    """Read named torch tensors and the header.

    Raises:
        ValueError: as `read_meta`, or the tensors are not those that were written.
    """
    from safetensors.torch import load_file

    return _read(path, load_file)


def write_states(path: Path, members: list[State], meta: Meta) -> None:
    """Write a cohort's states with a leading member axis; optimiser slots are not kept (G-2)."""
    from pipeline_lib.core import algebra

    cohort = algebra.stack(members)
    tensors = {f"params/{n}": t for n, t in cohort.params.items()} | {f"buffers/{n}": t for n, t in cohort.buffers.items()}
    write_tensors(path, tensors, {**meta, "step": cohort.step})


def read_states(path: Path) -> tuple[list[State], Meta]:
    """Read a cohort's states, one a member."""
    from pipeline_lib.core import algebra
    from pipeline_lib.core.types import State

    tensors, meta = read_tensors(path)
    halves: dict[str, dict[str, Any]] = {"params": {}, "buffers": {}}
    with _readable(path):
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            halves[kind][rest] = tensor
        order = meta["params"]  # safetensors sorts names; the flat vector's layout is the network's
        params = {name: halves["params"][name] for name in order}
        return algebra.unstack(State(params, halves["buffers"], meta["step"])), meta
