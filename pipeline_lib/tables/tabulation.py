"""The tables: how they come from measurements, and are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_lib.core.definitions import STABLE_BELOW
from pipeline_lib.experiments.runs import FRESH
from pipeline_lib.store import environment, seals, verification
from pipeline_lib.store.job import Job
from pipeline_lib.tables import columns, rules
from pipeline_lib.tables.columns import Column
from pipeline_lib.tables.members import Members, places, with_members

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Columns that tabulation adds to what was measured, and the key where the measurement names none.
_ADDED = (
    *("experiment", "member", "other_member", "headroom", "headroom_share", "stable", "onset", "environment"),
    *(part.name for part in columns.PARTS),
)
_MEASURED = {"noise_order": "order"}  # what measurements call a column: a word of SQL, which no column of a table should be
# What columns that came later would have said of measurements from before them, which `rewind adopt` keeps: all they could.
_LATER: dict[str, Callable[[pd.DataFrame], Any]] = {
    "alignment": lambda frame: "none",
    "other_seed": lambda frame: frame.get("seed"),
    "other_level": lambda frame: frame.get("level"),
}
# By what rows are sorted.
_SORTED = (
    *("task", "alignment", "what", "kind", "start", "k", "level", "other_level", "level_1", "level_2", "seed", "other_seed"),
    *("noise_order", "order_1", "order_2", "plane", "split", "batchnorm", "step", "alpha"),
)
Columns = Sequence[Column]
SCHEMA = "1"  # of published tables: it changes when a column goes or means something else
# Tables that have runs from a plain W_k beside those from a changed start.
DIVIDED = ("runs", "curves")
CHANGED = "_changed"  # after the kind of the latter
# Tables that have pairs of one seed as they were trained beside pairs across seeds and with permuted units.
OF_PAIRS = ("interpolation", "instability", "distances", "paths", "barriers")


def measured(columns: Columns) -> list[str]:
    """List the columns that a measurement writes, and the key, in the table's order."""
    return [_MEASURED.get(c.name, c.name) for c in columns if c.name not in _ADDED]


def schema(columns: Columns) -> pa.Schema:
    """Build the Arrow schema of a table, with the unit and meaning of each column in its metadata."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "string": pa.string(), "int64": pa.int64(), "double": pa.float64()}
    return pa.schema([pa.field(c.name, types[c.type], metadata={"unit": c.unit, "meaning": c.meaning}) for c in columns])


def to_arrow(rows: list[dict[str, object]], columns: Columns) -> pa.Table:
    """Make a table with its columns in order and their documentation attached, without importing pandas.

    Args:
        rows: one mapping a row.
        columns: of the table.
    """
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema(columns))


def computed(rows: list[dict[str, object]], job: Job[Any]) -> pa.Table:
    """Make the table of a job that computes it from others; a row that names no artifact is about many, and has the job's key."""
    own = {"experiment": job.spec["experiment"], "key": job.key}
    own |= {"environment": environment.summary(job.facts.get("made_in", {}))}
    place = places(job.members)
    rows = [{"member": place((row["key"], row["seed"]))} | row if {"key", "seed"} <= row.keys() else row for row in rows]
    return described(to_arrow([own | row for row in rows], columns.read(job.spec["columns"])), job)


def described(table: pa.Table, job: Job[Any]) -> pa.Table:
    """Say in a file's metadata what it is and what it was made with: `pyarrow.parquet.read_schema(path).metadata`."""
    said = {"schema": SCHEMA, "table": job.spec["table"], "experiment": job.spec["experiment"]}
    said |= {name: str(job.facts[name]) for name in ("code", "processor") if name in job.facts}
    said |= {name: str(version) for name, version in job.facts.get("versions", {}).items()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **said})


def with_headroom(frame: pd.DataFrame, chance: Mapping[str, float]) -> pd.DataFrame:
    """Add what instability could at most be, and instability as a share of it, to a table of pairs.

    Args:
        frame: with `task`, `mean_end_error` and `instability`.
        chance: the error of guessing, by task.
    """
    headroom = (frame["task"].map(dict(chance)).astype(float) - frame["mean_end_error"]).clip(lower=0)
    return frame.assign(headroom=headroom, headroom_share=frame["instability"] / headroom.where(headroom > 0))


def with_onset(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `stable` a pair and `onset` a setting to the instability table.

    The onset is judged on the mean over all pairs of a task, kind, level, split and alignment at one k (G-10), within seeds or
    across them.
    """
    setting = ["task", "kind", "level", "split", "batchnorm", "alignment"]
    marked = frame.assign(stable=rules.counted(frame) < STABLE_BELOW, onset=False)
    for _, group in frame.groupby([*setting, frame["seed"] == frame["other_seed"]]):
        steps = sorted(group["k"].unique().tolist())
        k = rules.onset(steps, [rules.is_stable(group[group["k"] == step]) for step in steps]).k
        marked.loc[group.index[group["k"] == k], "onset"] = True
    return marked


def _part(path: Path) -> pd.DataFrame:
    """Read a part and say where it was measured, and on what: if it names no artifact, on its own; joined ones say so."""
    frame = read(path)
    if "environment" in frame:
        return frame
    frame = frame.assign(environment=environment.summary(verification.made_in([path.parent])))
    return frame if "key" in frame else frame.assign(key=seals.key_of(path.parent))


def _completed(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Add those columns of a table that came later than a part of it."""
    return frame.assign(**{name: _LATER[name](frame) for name in names if name in _LATER and name not in frame})


def with_dense(frame: pd.DataFrame) -> pd.DataFrame:
    """Name dense networks: in a plan they are level 0 of the ladder of IMP, in tables a kind of their own."""
    return frame.assign(kind=frame["kind"].where(frame["level"] > 0, "dense"))


def with_changed(frame: pd.DataFrame) -> pd.DataFrame:
    """Tell runs from changed starts by their kind, so that means by kind are of ladders and controls alone."""
    return frame.assign(kind=frame["kind"].where(frame["change"] == "", frame["kind"] + CHANGED))


def of_kind(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Keep the networks of one kind; for IMP whole ladders, which begin with dense networks."""
    return frame[frame["kind"].isin(("dense", "imp") if kind == "imp" else (kind,))]


def with_parts(frame: pd.DataFrame, starts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Add the parts of starts.

    Args:
        frame: with `start`.
        starts: the parts of each start, by its text.
    """
    frame = frame.copy()
    for part in columns.PARTS:
        frame[part.name] = [starts[text][part.name] for text in frame["start"]]
    words = [part.name for part in columns.PARTS if part.type == "string"]  # even where there is no row
    return frame.astype(dict.fromkeys(words, object))


def joined(parts: Iterable[Path], columns: Columns, members: Members) -> pd.DataFrame:
    """Put the parts of a table, or what was joined of them, one below the other, with the members that rows are about.

    Args:
        parts: Parquet files of the same measurement.
        columns: of the table.
        members: gives those of an artifact that rows are about, along the first axis of its tensors.

    Raises:
        ValueError: a part lacks a column, or has one more.
    """
    import pandas as pd

    names = [*measured(columns), "environment"]
    found = {path: _completed(part, names) for path in parts if len(part := _part(path))}
    frames = list(found.values())
    told = bool(frames) and "member" in frames[0]
    names += [name for name in ("member", "other_member") if told and name in frames[0]]
    for path, part in found.items():
        if odd := sorted(set(part.columns) ^ set(names)):
            rule = f"columns of {path} must be those of its table, got {', '.join(odd)} in one of the two alone"
            raise ValueError(f"{rule}; it was measured by other code: remove its folder, and run again")
    # A column without any value has no type in a part.
    typed = [part.dropna(axis=1, how="all") for part in frames] or [pd.DataFrame(columns=names)]
    frame = pd.concat(typed, ignore_index=True).reindex(columns=names)
    return frame if told else with_members(frame, members)


def plain(frame: pd.DataFrame) -> pa.Table:
    """Make a table with types as they are, for what joins it further."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)


def tabulate(
    parts: Iterable[Path],
    columns: Columns,
    starts: Mapping[str, Mapping[str, Any]] | None = None,
    chance: Mapping[str, float] | None = None,
    *,
    experiment: str = "",
    members: Members = lambda key: (),
    divide: bool = False,
) -> pa.Table:
    """Join the measurements of an experiment to one sorted table.

    Args:
        parts: Parquet files of the same measurement.
        columns: of the table.
        experiment: its name.
        members: gives those of an artifact that rows are about, along the first axis of its tensors.
        divide: whether kinds tell changed starts from plain ones.
        starts: the parts of each start, by its text, for a table that has `start`.
        chance: the error of guessing, by task, for a table that has `headroom`.
    """
    import pyarrow as pa

    frame = joined(parts, columns, members).rename(columns={said: name for name, said in _MEASURED.items()})
    frame = frame.assign(experiment=experiment)
    orders = [name for name in frame if name in ("noise_order", "order_1", "order_2")]
    frame[orders] = frame[orders] % FRESH  # the ladder's own order has one number at all levels
    every = [column.name for column in columns]
    if "kind" in every:
        frame = with_dense(frame)
    frame = frame.sort_values([key for key in _SORTED if key in frame.columns], ignore_index=True)
    if "change" in every:
        frame = with_parts(frame, starts or {})
    if divide:
        frame = with_changed(frame)
    if "headroom" in every:
        frame = with_headroom(frame, chance or {})
    if "onset" in every:
        frame = with_onset(frame)
    return pa.Table.from_pandas(frame[every], schema(columns), preserve_index=False)


def read(path: Path) -> pd.DataFrame:
    """Read one table.

    Raises:
        ValueError: the file is missing, may not be read, is truncated, not Parquet, not what its job wrote, or another node's.
    """
    table, sealed = seals.read_table(path)
    verification.check(path, sealed)
    return table.to_pandas()


def divided(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Divide tables into what papers speak of, under their own names, and what else there is; what reads tables sees them so.

    Runs and curves are those from a plain W_k, and `changed_…` those from a changed start; pairs those of one seed as they were
    trained, and `every_…` all. So what speaks of ladders, controls and their stability need not know of the others.
    """
    found = dict(frames)
    for name in set(DIVIDED) & set(frames):
        plain = frames[name]["change"] == ""
        changed = frames[name][~plain]
        kinds = changed["kind"].str.removesuffix(CHANGED) if len(changed) else changed["kind"]
        found |= {name: frames[name][plain], f"changed_{name}": changed.assign(kind=kinds)}
    for name in set(OF_PAIRS) & set(frames):
        found |= {name: as_trained(frames[name]), f"every_{name}": frames[name]}
    return found


def as_trained(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the pairs of runs of one seed whose units stand where training put them; of other tables, all.

    What was measured before there was alignment says neither.
    """
    if "alignment" not in frame:
        return frame
    kept = frame["alignment"].fillna("none") == "none"
    if "other_seed" in frame:
        kept &= frame["other_seed"].isna() | (frame["seed"] == frame["other_seed"])
    return frame[kept]
