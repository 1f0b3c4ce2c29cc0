"""Work that takes a data set in chunks, in the memory that there is."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Room:
    """How many times smaller than usual chunks are, and the largest that was taken."""

    divisor: int = 1
    largest: int = 0


_ROOM: ContextVar[Room | None] = ContextVar("room", default=None)


def sized(usual: int) -> int:
    """Give the size of chunks that the work under way is to take, where `usual` examples keep a device busy."""
    room = _ROOM.get()
    if room is None:
        return usual
    room.largest = max(1, usual // room.divisor)
    return room.largest


def fitting(function: Callable[P, T], kept: Room | None = None) -> Callable[P, T]:
    """Let a function begin again with chunks of half the size while a GPU's memory is too small for it.

    What it computes may depend on the size up to rounding alone.

    Args:
        function: takes chunks of the size that `sized` says.
        kept: what calls find out for later ones; each call finds out by itself if not given.

    Raises:
        torch.OutOfMemoryError: there is too little for single examples, or the function does not ask for the size of its chunks.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        room = kept or Room()
        while True:
            token = _ROOM.set(room)
            try:
                return function(*args, **kwargs)
            except torch.OutOfMemoryError:
                if room.largest <= 1:
                    raise
            finally:
                _ROOM.reset(token)
            # Outside the handler: its traceback would keep what the failed try had allocated.
            room.divisor *= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    return call
