"""Files: whole or not at all, with the modes that the umask gives, and what to say of one that cannot be read."""

from __future__ import annotations

import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

_PRIVATE = re.compile(r"\..+\.(?P<place>[A-Za-z0-9_-]+)\.(?P<process>[0-9]+)\.[0-9a-f]{8}\.part")
_LEFT_SECONDS = 86_400.0  # nobody writes for so long


@cache
def place() -> str:
    """Name what numbers this process: the machine and, where several share its name, the container."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", platform.node())[:40] or "unnamed"
    with suppress(OSError):
        name = f"{name}-{Path('/proc/self/ns/pid').stat().st_ino}"
    return name


def private(path: Path) -> Path:
    """Name a file beside one that is to be written, as no other process does, of whatever machine or container."""
    return path.with_name(f".{path.name}.{place()}.{os.getpid()}.{secrets.token_hex(4)}.part")


def _begin(path: Path) -> int:
    """Make an empty file, and return its mode: what the umask leaves of 0666, as the folder wants it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(file).st_mode)
    finally:
        os.close(file)


def unwritable(path: Path, error: Exception) -> ValueError:
    """Say why a file could not be written.

    Args:
        path: the file.
        error: what writing it raised.
    """
    why = (isinstance(error, OSError) and error.strerror) or error
    remedy = "free space on its disk, check its folder's permissions, or set results in the config"
    return ValueError(f"file {path} must be writable, got: {why}; {remedy}")


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a private name in the same folder, then rename it into place.

    A reader sees the whole file or none; two writers cannot tear it. On failure nothing is left.

    Args:
        path: where the file will be.
        write: writes it to the path that it is given; the mode that it leaves does not count.

    Raises:
        ValueError: the disk is full, or the folder cannot be written to.
    """
    own = private(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _begin(own)
        write(own)
        with own.open("rb") as file:
            os.fsync(file.fileno())
        if stat.S_IMODE(own.stat().st_mode) != mode:  # safetensors gives its files to their owner alone
            own.chmod(mode)
        own.replace(path)
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__name__ != "SafetensorError":
            raise
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            own.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    """Tell whether the process that was writing a private file is gone: a day is long enough, whatever and wherever it was."""
    found = _PRIVATE.fullmatch(path.name)
    if found and found["place"] == place():
        try:
            os.kill(int(found["process"]), 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # alive, and another user's
            pass
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > _LEFT_SECONDS
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing into a folder; other machines' and containers' only after a day."""
    for path in folder.glob(".*.part"):
        if _is_left(path):
            path.unlink(missing_ok=True)


def refusal(path: Path, error: OSError, what: str = "artifact", remedy: str = "run the stage that makes it") -> ValueError:
    """Say why a file could not be read: that there is none is one thing, that it may not be read is another.

    Args:
        path: the file.
        error: what opening it raised.
        what: what it is.
        remedy: what to do if there is no such file.
    """
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return ValueError(f"{what} {path} must exist, got no such file; {remedy}")
    if isinstance(error, PermissionError):
        return ValueError(f"{what} {path} must be readable, got no permission; ask its owner for it, for file and folder")
    return ValueError(f"{what} {path} must be readable, got: {error.strerror or error}; check its disk")


def read(path: Path, what: str = "artifact", remedy: str = "run the stage that makes it") -> bytes:
    """Read a whole file.

    Raises:
        ValueError: there is none, or it may not or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(path, error, what, remedy) from None
