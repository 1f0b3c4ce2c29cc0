"""How a run gets its worker."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from pipeline_lib.core import locations, processors
from pipeline_lib.worker.client import SOCKET, VARIABLE

# How many jobs that train may share a process, and whether all of them are lost when one fails; empty for neither.
TOGETHER, ALL_OR_NONE = "PIPELINE_TOGETHER", "PIPELINE_ALL_OR_NONE"
TRAINING = ("yaml", "numpy", "pyarrow.parquet", "torch", "safetensors.torch")
LIBRARIES = (*TRAINING, "pandas", "matplotlib.pyplot", "seaborn")
SHORT = "/tmp"
FROM = 4  # jobs for which it pays to load all libraries once


def _listening() -> tuple[Path, socket.socket] | None:
    """Listen in a new folder of this user alone, in a short one if the usual is too long for a socket's name, or takes none."""
    for place in (None, SHORT):
        with suppress(OSError), ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="rewind-", dir=place))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(folder / SOCKET))
            listener.listen(128)
            stack.pop_all()
            return folder, listener
    return None


def start(results: Path, num_jobs: int, libraries: Sequence[str] = LIBRARIES) -> subprocess.Popen[bytes] | None:
    """Start the worker of this run, and let the jobs that this process starts find it.

    It ends when this process does, as that holds the other end of its standard input.

    Args:
        results: the results folder, for caches where the home folder cannot be written.
        num_jobs: that the run is going to do.
        libraries: what to load, as far as it is there.

    Returns:
        Its process, if one is of use: on Linux, where a process may be forked whatever libraries it has loaded, for several jobs,
        and where a socket can be made; else each job starts by itself.
    """
    if sys.platform != "linux" or num_jobs < FROM or VARIABLE in os.environ or not (found := _listening()):
        return None
    folder, listener = found
    locations.keep_caches(results)
    environment = os.environ | dict.fromkeys(processors.ARITHMETIC, "1")
    command = [sys.executable, str(Path(__file__).with_name("server.py")), str(folder), str(listener.fileno()), *libraries]
    with listener:
        made = subprocess.Popen(
            command, stdin=subprocess.PIPE, start_new_session=True, env=environment, pass_fds=[listener.fileno()]
        )
    os.environ[VARIABLE] = str(folder)
    return made


def stop(worker: subprocess.Popen[bytes] | None) -> None:
    """End the worker, and wait for it, so that what it used counts as its driver's."""
    if worker and worker.stdin:
        os.environ.pop(VARIABLE, None)
        worker.stdin.close()
        worker.wait()
