"""Which members of artifacts the rows of a table are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Of an artifact, by its key, the members along the first axis of its tensors: a seed each, or a seed and an order.
Members = Callable[[str], Sequence[Sequence[int]]]


def places(members: Members) -> Callable[[tuple[Any, ...]], int | None]:
    """Make what looks up a member by a key, a seed and, where that is needed, an order; None where there is no one such.

    Args:
        members: gives those of an artifact by its key: a seed each, or a seed and an order.
    """

    @cache
    def of(key: str) -> tuple[dict[tuple[int, ...], int], dict[tuple[int, ...], list[int]]]:
        whole, alone = dict[tuple[int, ...], int](), dict[tuple[int, ...], list[int]]()
        for i, each in enumerate(members(key)):
            whole[tuple(each)] = i
            alone.setdefault(tuple(each[:1]), []).append(i)
        return whole, alone

    def place(row: tuple[Any, ...]) -> int | None:
        key, *who = row
        whole, alone = of(key) if isinstance(key, str) else ({}, {})
        found = alone.get(tuple(who[:1]), [])
        return whole.get(tuple(who), found[0] if len(found) == 1 else None)

    return place


def with_members(frame: pd.DataFrame, members: Members) -> pd.DataFrame:
    """Add which member of its artifact each row is about.

    Args:
        frame: with `key`, and perhaps `other_key`, `seed` and orders as jobs number them.
        members: gives of an artifact, by its key, the members along the first axis: a seed each, or a seed and an order.
    """
    import pandas as pd

    place, orders = places(members), {"": ["noise_order", "order", "order_1"], "other_": ["order_2"]}
    for name in (name for name in orders if f"{name}key" in frame):
        order = [column for column in orders[name] if column in frame][:1]
        seed = [column for column in (f"{name}seed", "seed") if column in frame][:1]
        by = [f"{name}key", *([*seed, *order] if seed else [])]
        rows = frame[by].itertuples(index=False, name=None)
        frame[f"{name}member"] = pd.array([place(row) for row in rows], dtype="Int64")
    return frame
