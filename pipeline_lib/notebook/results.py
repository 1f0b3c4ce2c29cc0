"""What the workflow has made: tables, and from a row of them to networks, masks and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from torch import nn

from pipeline_lib.core.types import Mask, State
from pipeline_lib.experiments.plugins import plug
from pipeline_lib.experiments.runs import FRESH
from pipeline_lib.stages.support.data import World
from pipeline_lib.stages.support.stored import Member, Stored
from pipeline_lib.tables import tabulation


@runtime_checkable
class Row(Protocol):
    """A line of a table: a pandas Series or a mapping, by column."""

    def keys(self) -> Iterable[Any]:
        """Name the columns."""

    def __getitem__(self, column: str, /) -> Any:
        """Give a column's value."""


@dataclass(frozen=True)
class Results:
    """The tables of an experiment, and the networks that their rows are about.

    A row is a line of a table (`runs.iloc[0]`), or a mapping that has `key` and what tells the member of that artifact: `seed`,
    and where a seed has several runs `noise_order`; or `member`, its number. Of a pair of networks the first is meant (`key`,
    `order_1`), with `other=True` the second (`other_key`, `order_2`).

    Args:
        folder: of the experiment, such as `results/quickstart`.
    """

    folder: Path

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """A table by name, such as `runs`; docs/tables.md says what their columns mean.

        Raises:
            ValueError: there is none, or one is damaged.
        """
        found = {path.stem: tabulation.read(path) for path in sorted(self.folder.glob("*.parquet"))}
        if not found:
            rule = f"folder must have tables, got none in {self.folder}"
            raise ValueError(f"{rule}; name the one of an experiment that was run")
        return found

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Give a table by its name."""
        return self.tables[table]

    def state(self, row: Row, other: bool = False) -> State:
        """Read the state of a row's network: its tensors by name, and its step."""
        return self._member(row, other).state()

    def mask(self, row: Row, other: bool = False) -> Mask:
        """Read the mask that a row's network was trained under; of a dense network all of it."""
        return self._member(row, other).mask()

    def network(self, row: Row, other: bool = False) -> nn.Module:
        """Build a row's network, with its weights and in eval mode."""
        return self._member(row, other).network()

    def world(self, row: Row, data_root: str | Path | None = None) -> World:
        """Give what a row's network was trained and measured in, for `path`, `hessian` and the like.

        Args:
            row: of the table.
            data_root: folder of the data sets, for images that stay in files.
        """
        return self._member(row, False).home.world(None if data_root is None else Path(data_root))

    def provenance(self, row: Row, other: bool = False) -> dict[str, Any]:
        """Say what a row's network is and what it comes from.

        Returns:
            What its artifact's record says (stage, spec, code, versions, processor, all environments under `made_in`), with
            `member`, `seed`, `order`, its `folder`, and under `lineage` stage and folder of all that it comes from.
        """
        member = self._member(row, other)
        own = {name: value for name, value in member.home.record.items() if name != "sha256"}  # digests are for `verify`
        lineage = [{"stage": each.record["stage"], "folder": str(each.folder)} for each in member.home.lineage()][1:]
        return {**own, **member.who, "member": member.number, "folder": str(member.home.folder), "lineage": lineage}

    def _member(self, row: Row, other: bool) -> Member:
        said = {name: row[name] for name in row.keys() if pd.notna(row[name])}  # noqa: SIM118 (of a Series, not its values)
        key = "other_key" if other else "key"
        if key not in said:
            raise ValueError(f"row must have {key}, got {', '.join(map(str, said))}; take one of a table that has it")
        home = Stored(self._root, str(said[key]))
        step = int(said["step"]) if "step" in said else None
        return Member(home, _number(home, said, "order_2" if other else "order_1"), step)

    @property
    def _root(self) -> Path:
        """The results folder: the experiment's, or the one around it."""
        return self.folder if (self.folder / "artifacts").is_dir() else self.folder.parent


def _number(home: Stored, said: Mapping[Any, Any], pair: str) -> int:
    """Find the member that a row means."""
    order = said.get("noise_order", said.get(pair))
    asked = said["member"] if isinstance(said.get("member"), Integral) else None
    fits = [
        number
        for number, (seed, own) in enumerate(home.members)
        if asked in (None, number)
        and said.get("seed", seed) == seed
        and (None in (own, order) or (own or 0) % FRESH == order)  # tables count a ladder's own order alike at all levels
    ]
    if len(fits) != 1:
        rule = f"row must mean one member of {home.folder.name} ({home.listed()})"
        raise ValueError(f"{rule}, got {len(fits)}; add seed, noise_order or member")
    return fits[0]


def results(folder: str | Path, plugins: Sequence[str] = ()) -> Results:
    """Open what an experiment made: `results(folder)["runs"]` is a table, and rows of it lead to networks.

    Args:
        folder: such as `results/quickstart`; or `results` itself, for rows that have a key.
        plugins: files whose functions its tasks name, as under `plugins` of its config.

    Returns:
        Tables by name under `tables`, and `network(row)`, `mask(row)`, `state(row)`, `provenance(row)`.

    Raises:
        ValueError: there is no such folder.

    Example:
        >>> results("nowhere")
        Traceback (most recent call last):
        ValueError: folder must exist, got nowhere; name the one of an experiment that was run
    """
    if not Path(folder).is_dir():
        raise ValueError(f"folder must exist, got {folder}; name the one of an experiment that was run")
    if plugins:
        plug(plugins)
    return Results(Path(folder))
