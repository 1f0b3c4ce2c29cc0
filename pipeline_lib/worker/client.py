"""A job's command, where its run has a worker: the worker does the job, and this process stands for it.

It imports no more than it needs, so that it starts in hundredths of a second.
"""

from __future__ import annotations

import os
import signal
import sys

VARIABLE = "PIPELINE_WORKER"  # folder of the worker of the run that this process is part of; empty for none
SOCKET = "socket"
DESCRIPTORS = (0, 1, 2, 3)  # 3 is the terminal of the run


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def done_by_worker(words: list[str]) -> int | None:
    """Let the worker of the run do a job, and pass signals on to it.

    Args:
        words: of the command line.

    Returns:
        Its exit status as a shell gives it; None where there is no worker that takes it.
    """
    folder = os.environ.get(VARIABLE)
    return _ask(folder, words) if folder else None


def _ask(folder: str, words: list[str]) -> int | None:
    import json
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as worker:
        try:
            worker.connect(os.path.join(folder, SOCKET))  # noqa: PTH118 (pathlib is slow to load)
            descriptors = [d for d in DESCRIPTORS if _is_open(d)]
            folder, umask = os.getcwd(), os.umask(0o077)  # noqa: PTH109
            os.umask(umask)
            job = {"words": words, "folder": folder, "umask": umask, "environment": dict(os.environ), "descriptors": descriptors}
            socket.send_fds(worker, [b"J"], descriptors)
            worker.sendall(json.dumps(job).encode() + b"\n")
            answers = worker.makefile("r")
            number = answers.readline()
        except OSError:
            return None
        if not number:
            return None
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, lambda which, _: os.kill(int(number), which))
        ended = answers.readline()
    if not ended:
        print("error: the run's worker must outlive its jobs, got none; run again", file=sys.stderr)
        return 1
    status = int(ended)
    return status if status >= 0 else 128 - status
