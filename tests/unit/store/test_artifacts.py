from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import toys

from pipeline_lib.core.types import State
from pipeline_lib.store import artifacts

KEY = "0123456789ab"
META: dict[str, Any] = {"key": KEY, "spec": {"k": 2}}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / f"toy-{KEY}" / "state.safetensors"


def _files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_write_makes_the_folder_and_leaves_one_file(path):
    artifacts.write_text(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert _files(path.parent) == [path.name]


def test_a_table_round_trip(path):
    table = pa.table({"a": [1, 2]})
    artifacts.write_table(path, table)
    assert pq.read_table(path).equals(table)


def test_arrays_round_trip_bits_types_and_header(path):
    arrays = {"b": np.array([[True, False]]), "a": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    artifacts.write_arrays(path, arrays, META)
    found, meta = artifacts.read_arrays(path)
    assert meta == META == artifacts.read_meta(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_tensors_round_trip_where_they_are_not_contiguous(path):
    tensors = {"t": torch.arange(6).view(2, 3).T, "u": torch.zeros(2, dtype=torch.uint8)}
    artifacts.write_tensors(path, tensors, META)
    found, _ = artifacts.read_tensors(path)
    assert toys.same({n: found[n] for n in tensors}, tensors)


def _cohort() -> list[State]:
    network = toys.norm_net()
    states = [toys.scrambled(network, seed) for seed in range(3)]
    params = [dict(reversed(s.params.items())) for s in states]
    return [State(p, s.buffers, 7) for p, s in zip(params, states, strict=True)]


def test_states_round_trip_with_bits_step_and_the_networks_parameter_order(path):
    members = _cohort()
    order = list(members[0].params)
    assert order != sorted(order)
    artifacts.write_states(path, members, META | {"params": order})
    found, meta = artifacts.read_states(path)
    assert meta["step"] == 7
    for member, expected in zip(found, members, strict=True):
        assert toys.same(member.params, expected.params)
        assert toys.same({n: member.buffers[n] for n in expected.buffers}, expected.buffers)
        assert (member.step, member.slots) == (7, {})


def test_the_same_states_have_the_same_bytes(path):
    meta = META | {"params": list(_cohort()[0].params)}
    artifacts.write_states(path, _cohort(), meta)
    first = path.read_bytes()
    for _ in range(5):
        artifacts.write_states(path, _cohort(), meta)
        assert path.read_bytes() == first


READERS = [artifacts.read_meta, artifacts.read_arrays, artifacts.read_tensors, artifacts.read_states]


def _whole(path: Path) -> bytes:
    artifacts.write_states(path, _cohort(), META | {"params": list(_cohort()[0].params)})
    return path.read_bytes()


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_file_is_one_clear_error(path, read, length):
    path.write_bytes(_whole(path)[:length])
    with pytest.raises(ValueError, match=r"must be a whole safetensors file, got: .*; remove the folder .* and run again"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_file_of_another_kind_is_one_clear_error(path, read):
    path.parent.mkdir()
    path.write_bytes(b"hello, this is no tensor file at all")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_is_one_clear_error(path, read):
    with pytest.raises(ValueError, match=r"artifact .* must exist, got no such file; run the stage that makes it"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_foreign_safetensors_file_is_refused(path, read):
    from safetensors.numpy import save_file

    path.parent.mkdir()
    save_file({"a": np.zeros(2)}, path, {"made_by": "another program"})
    with pytest.raises(ValueError, match="must have been made by this pipeline, got a foreign file"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_file_in_another_nodes_folder_is_refused(path, read):
    moved = path.parent.with_name("toy-ba9876543210") / path.name
    moved.parent.mkdir()
    moved.write_bytes(_whole(path))
    with pytest.raises(ValueError, match=f"must belong to its folder, got the file of node {KEY}"):
        read(moved)
