"""Artifacts that are not what their folder's name says, others' files that may not be read, and records that are damaged."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import toys

from pipeline_lib import __main__ as command
from pipeline_lib.planning import driver, estimate, nodes, plan_file
from pipeline_lib.store import artifacts, seals, verification
from pipeline_lib.tables import tabulation

STAGES = ("prepare", "pretrain", "prune", "rewind", "train", "interpolate", "tabulate", "derive", "plot")


class Results:
    """A small experiment, made in this process."""

    def __init__(self, root: Path) -> None:
        raw = toys.raw_config(root, seeds=1, rewind=[0], levels=1, figures=["instability_sparse"])
        self.root, self.made = root, toys.make_plan(raw | {"per_job": {"seeds": 1, "orders": 1}})

    def make(self, *wanted: nodes.Node) -> None:
        plan = driver.write_plan(self.made, [])
        for node in wanted or self.made.nodes.values():
            driver.run_node(node.stage, self.folder(node), plan)

    def folder(self, node: nodes.Node) -> Path:
        return self.root / node.folder

    def of(self, stage: str, **spec: object) -> list[nodes.Node]:
        return [n for n in self.made.nodes.values() if n.stage == stage and all(n.spec.get(k) == v for k, v in spec.items())]

    def refuses(self, node: nodes.Node, *words: str) -> None:
        """Check that a job is refused in one clear line, and makes nothing."""
        shutil.rmtree(self.folder(node), ignore_errors=True)
        with pytest.raises(ValueError, match=r"(?s)^(artifact|record) .+ must .+, got .+; .+") as found:
            self.make(node)
        assert [word for word in words if word not in str(found.value)] == [], found.value
        assert not self.folder(node).exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("swapped") / "results"
    Results(root).make()
    driver.write_index(root)
    return root


@pytest.fixture
def results(whole, tmp_path) -> Results:
    shutil.copytree(whole, tmp_path / "results", symlinks=True)
    return Results(tmp_path / "results")


def _link(own: Path, other: Path) -> None:
    shutil.rmtree(own)
    own.symlink_to(other)


def _copy(own: Path, other: Path) -> None:
    shutil.rmtree(own)
    shutil.copytree(other, own)


def _files(own: Path, other: Path) -> None:
    for path in other.iterdir():
        shutil.copy(path, own)


def _files_but_the_record(own: Path, other: Path) -> None:
    for path in other.glob("[!s]*.parquet"):
        shutil.copy(path, own)


def _files_under_own_record(own: Path, other: Path) -> None:
    """As one would do who wants the digests to fit."""
    record = json.loads((own / verification.RECORD).read_text())
    _files(own, other)
    artifacts.write_text(own / verification.RECORD, json.dumps(record | {"sha256": verification.digests(own)}))


SWAPS = [_link, _copy, _files, _files_but_the_record, _files_under_own_record]


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize(("stage", "table"), [("train", "runs"), ("interpolate", "instability"), ("interpolate", "distances")])
def test_a_folder_with_another_nodes_tables_is_refused(results, swap, stage, table):
    own, other = results.of(stage)[:2]
    swap(results.folder(own), results.folder(other))
    results.refuses(results.of("tabulate", table=table)[0], "must belong to its folder", f"node {other.key}", "remove")
    if swap in (_link, _copy, _files):
        assert own.key in "".join(verification.verify(results.root)[1])


def test_another_nodes_state_is_refused_through_a_link_too(results):
    own, other = results.of("train", level=0, start="k0")[:2]
    _link(results.folder(own), results.folder(other))
    results.refuses(results.of("prune")[0], "must belong to its folder")


def test_one_stages_table_in_the_place_of_anothers_is_refused(results):
    own, other = (results.of("tabulate", table=name)[0] for name in ("instability", "runs"))
    shutil.copy(results.folder(other) / "table.parquet", results.folder(own))
    for node in (*results.of("derive", table="means"), *results.of("plot")):
        results.refuses(node, "must belong to its folder", f"node {other.key}")


def test_a_folder_that_was_moved_and_linked_is_still_what_it_is(results, tmp_path):
    own = results.folder(results.of("train")[0])
    for place in (tmp_path / "scratch" / own.name, tmp_path / "scratch" / "anything"):
        place.parent.mkdir(exist_ok=True)
        (own.resolve()).rename(place)
        own.unlink(missing_ok=True)
        own.symlink_to(place)
        (table,) = results.of("tabulate", table="runs")
        before = tabulation.read(results.folder(table) / "table.parquet")
        results.make(table)
        assert tabulation.read(results.folder(table) / "table.parquet").equals(before)


def test_a_published_copy_is_read_and_its_seal_too(results, tmp_path):
    table = results.folder(results.of("tabulate", table="runs")[0]) / "table.parquet"
    copy = tmp_path / "tiny" / "runs.parquet"
    copy.parent.mkdir()
    shutil.copy(table, copy)
    assert tabulation.read(copy).equals(tabulation.read(table))
    assert json.loads(pq.read_metadata(copy).metadata[seals.NAME])["key"] == table.parent.name[-12:]
    content = copy.read_bytes()
    other = content[:-9], content.replace(b"toy", b"toi"), b""
    assert [seals.key_in(each) for each in (content, *other)] == [table.parent.name[-12:], "", "", ""]
    pq.write_table(pq.read_table(copy).replace_schema_metadata(None), copy)  # as users do
    assert not seals.key_in(copy.read_bytes())
    assert len(tabulation.read(copy)) == len(tabulation.read(table))
    pq.write_table(pq.read_table(table).replace_schema_metadata(None), table)
    with pytest.raises(ValueError, match="must have been made by this pipeline, got a foreign file"):
        tabulation.read(table)


def test_no_bit_of_a_table_can_be_flipped(results):
    table = results.folder(results.of("tabulate", table="runs")[0]) / "table.parquet"
    (table.parent / verification.RECORD).unlink()  # the file speaks for itself
    content = table.read_bytes()
    tabulation.read(table)
    for at in [*range(0, len(content), 97), *range(len(content) - 200, len(content))]:
        table.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(ValueError, match=r"(?s)artifact .* must .*; remove the folder"):
            tabulation.read(table)


PLACES = '{"key": "000000000000", "sha256": {}, "made_in": [1]}'


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"key": 3, "sha256": {}}', '{"key": "x", "sha256": []}', "\x00", "another's", PLACES]
)
def test_a_damaged_record_that_nobody_needs_stops_nothing(results, damage, caplog):
    odd = results.root / "artifacts" / "train" / "old-000000000000"
    odd.mkdir()
    text = (results.folder(results.of("train")[0]) / verification.RECORD).read_text() if damage == "another's" else damage
    (odd / verification.RECORD).write_text(text)
    before = pq.read_table(results.root / "index.parquet")
    driver.write_index(results.root)
    assert pq.read_table(results.root / "index.parquet").equals(before)
    assert "left out of the index" in caplog.text
    assert odd.name in caplog.text
    (line,) = verification.verify(results.root)[1]
    assert str(odd) in line
    assert "train" in estimate.report(results.made, lambda task, root: (1.0, 1.0))
    results.make(results.of("tabulate", table="runs")[0])


@pytest.mark.parametrize(
    "content", ["", "\n", "s\th:m:s\n", "s\th:m:s\n-\t-\n", "s\nnan\n", "s\ninf\n", "h:m:s\n1\n", "\x00\x00", "\udcff"]
)
def test_an_empty_benchmark_file_does_not_stop_an_estimate(results, content):
    node = results.of("train")[0]
    record = results.root / "benchmarks" / "train" / f"{results.folder(node).name}.tsv"
    record.parent.mkdir(parents=True)
    record.write_bytes(content.encode(errors="surrogateescape"))
    shutil.rmtree(results.folder(results.of("train")[1]))
    assert "a short calibration of toy" in estimate.report(results.made, lambda task, root: (1.0, 1.0))


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o007, 0o660, 0o770)])
def test_a_group_can_read_all_that_the_umask_lets_it(tmp_path, mask, file, folder):
    before = os.umask(mask)
    try:
        made = Results(tmp_path / "results")
        made.make()
        driver.write_index(made.root)
        artifacts.write_tensors(made.root / f"toy-{'0' * 12}" / ".resume.safetensors", {}, {"key": "0" * 12})
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [made.root, *made.root.rglob("*")]}
    assert {path.suffix for path in modes if path.is_file()} >= {
        ".safetensors",
        ".parquet",
        ".json",
        ".jsonl",
        ".svg",
        ".png",
        ".pdf",
    }
    assert {path: mode for path, mode in modes.items() if mode != (folder if path.is_dir() else file)} == {}


@contextmanager
def _nobody(path: Path) -> Iterator[None]:
    """Work as somebody who may not read a file."""
    path.chmod(0)
    if os.geteuid():
        yield
    else:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


READERS: list[tuple[str, Callable[[Path], object]]] = [
    ("state.safetensors", artifacts.read_meta),
    ("state.safetensors", artifacts.read_arrays),
    ("state.safetensors", artifacts.read_tensors),
    ("state.safetensors", artifacts.read_states),
    ("runs.parquet", tabulation.read),
    (verification.RECORD, lambda path: verification.record(path.parent)),
    (verification.RECORD, lambda path: verification.check(path.parent / "runs.parquet")),
    ("plan.jsonl", lambda path: plan_file.find_line(path, "0" * 12)),
    ("plan.jsonl", plan_file.Written),
    ("plan.jsonl", plan_file.folders),
    ("config.yaml", lambda path: driver.load([path])),
]


@pytest.mark.parametrize(("name", "read"), READERS)
def test_a_file_that_may_not_be_read_is_not_said_to_be_missing(shared, results, name, read):
    folder = shared / results.folder(results.of("train")[0]).name
    shutil.copytree(results.folder(results.of("train")[0]), folder)
    path = folder / name
    if not path.exists():
        path.write_text("x: 1\n")
    with _nobody(path), pytest.raises(ValueError, match=r"must be .*read.*(permission|Permission)") as found:
        read(path)
    assert "exist" not in str(found.value)
    assert path.name in str(found.value)


def test_a_plan_that_may_not_be_read_is_written_anew(shared):
    made = toys.make_plan(toys.raw_config(shared / "results", figures=["paths_dense"], levels=0))
    path = driver.write_plan(made, [])
    content = path.read_bytes()
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o777)
    with _nobody(path):
        assert driver.write_plan(made, []).read_bytes() == content


def test_what_a_terminal_obeys_in_a_header_is_not_printed(tmp_path, capsys):
    folder = tmp_path / "results" / "artifacts" / "train" / "\x1b[31mred-000000000000"
    folder.mkdir(parents=True)
    (tmp_path / "\x1b[2J.yaml").write_text("\x1b]0;title\x07: [")
    for name, path in (("verify", "results"), ("plan", "\x1b[2J.yaml"), ("gc", "\x9b31m\udcff")):
        command.main([name, str(tmp_path / path)])
    told = capsys.readouterr()
    assert not [c for c in told.out + told.err if not c.isprintable() and c != "\n"]
    assert r"\x1b[31mred" in told.out
    artifacts.write_arrays(folder / "state.safetensors", {}, {"key": "\x1b[31m"})
    with pytest.raises(ValueError, match="must belong to its folder"):
        artifacts.read_meta(folder / "state.safetensors")
