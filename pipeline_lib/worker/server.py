"""A run's worker: a process that has loaded the libraries that jobs need, and forks a process for each job.

Called as `python server.py FOLDER LISTENER LIBRARY...`, with a listening socket as a descriptor and a pipe as standard input
whose other end the run's driver holds: when the driver ends, however it ends, the worker stops its jobs and ends. It loads
nothing of this project: each job imports that by itself, as it would in a Python of its own.
"""

import fcntl
import gc
import importlib
import json
import logging
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "PIPELINE_WORKER"  # as in client.py: a job is no client of its worker
DESCRIPTORS = range(4)  # the most that a client passes on
MOST = 2**22  # bytes of a job's words and environment


Asked = dict[str, Any]  # words, folder, environment and descriptors of a job, as client.py sends them


@dataclass
class Job:
    """A client's connection, what it has said so far, and the process that does its job."""

    client: socket.socket
    descriptors: list[int] = field(default_factory=list)
    said: bytes = b""
    number: int = 0

    def drop(self) -> None:
        """Close the client's descriptors, which are its job's."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def close(self) -> None:
        """Close all that is open for the job here."""
        self.client.close()
        self.drop()


def _settle(job: Job, asked: Asked) -> None:
    """Make a forked process look like one that was started for the job."""
    signal.set_wakeup_fd(-1)
    for which in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(which, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # First above all numbers that are asked for, as one may be that of a descriptor which is still to be moved.
    above = [fcntl.fcntl(d, fcntl.F_DUPFD, 1 + max(DESCRIPTORS)) for d in job.descriptors]
    job.close()
    for source, target in zip(above, asked["descriptors"], strict=True):
        os.dup2(source, target)
        os.close(source)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update({name: value for name, value in asked["environment"].items() if name != VARIABLE})
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [asked["folder"], *(str(Path(path).absolute()) for path in paths), *sys.path]
    sys.argv = ["pipeline_lib", *asked["words"]]


def _do(job: Job, asked: Asked) -> None:
    """Run the job in this process, and end with its status."""
    status = 1
    try:
        _settle(job, asked)
        runpy.run_module("pipeline_lib", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as done:
        status = done.code if isinstance(done.code, int) else 0 if done.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


class Worker:
    """Takes jobs until the driver ends."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener, self.jobs, self.going = listener, list[Job](), True
        self.selector = selectors.DefaultSelector()
        self.rang, self.bell = socket.socketpair()
        self.bell.setblocking(False)
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "going", False))
        for source, what in ((listener, self._greet), (self.rang, self._reap), (sys.stdin.fileno(), self._end)):
            self.selector.register(source, selectors.EVENT_READ, what)

    def _greet(self) -> None:
        client, _ = self.listener.accept()
        job = Job(client)
        self.jobs.append(job)
        self.selector.register(client, selectors.EVENT_READ, lambda: self._hear(job))

    def _hear(self, job: Job) -> None:
        """Take what a client says; one that is gone has no use for its job, which is killed as the client was."""
        try:
            said, descriptors, _, _ = socket.recv_fds(job.client, 2**16, len(DESCRIPTORS))
        except OSError:
            said, descriptors = b"", []
        job.descriptors += descriptors
        job.said += said
        if not said or len(job.said) > MOST:
            self._forget(job)
            if job.number:
                with suppress(ProcessLookupError):
                    os.kill(job.number, signal.SIGKILL)
        elif job.said.endswith(b"\n") and not job.number:
            self._start(job, json.loads(job.said[1:]))

    def _start(self, job: Job, asked: Asked) -> None:
        job.number = os.fork()
        if not job.number:
            for end in (self.listener, self.rang, self.bell):
                end.close()
            for other in self.jobs:
                if other is not job:
                    other.close()
            _do(job, asked)
        job.drop()
        self._tell(job, job.number)

    def _tell(self, job: Job, number: int) -> None:
        with suppress(OSError):
            job.client.sendall(f"{number}\n".encode())

    def _forget(self, job: Job) -> None:
        self.jobs.remove(job)
        self.selector.unregister(job.client)
        job.close()

    def _reap(self) -> None:
        """Tell clients how their jobs ended."""
        self.rang.recv(4096)
        with suppress(ChildProcessError):
            while True:
                number, status = os.waitpid(-1, os.WNOHANG)
                if not number:
                    return
                for job in [job for job in self.jobs if job.number == number]:
                    self._tell(job, os.waitstatus_to_exitcode(status))
                    self._forget(job)

    def _end(self) -> None:
        self.going = bool(os.read(sys.stdin.fileno(), 4096))

    def work(self) -> None:
        """Serve until the driver has ended or says so."""
        while self.going:
            for key, _ in self.selector.select():
                key.data()
        for job in self.jobs:
            if job.number:
                with suppress(ProcessLookupError):
                    os.kill(job.number, signal.SIGTERM)


def main(folder: str, listener: int, libraries: list[str]) -> None:
    """Load the libraries, while jobs queue at the socket, and work; the folder goes with the worker."""
    with socket.socket(fileno=listener) as queue:
        try:
            del sys.path[0]  # this script's folder
            for name in libraries:
                with suppress(ImportError):
                    importlib.import_module(name)
            gc.freeze()  # what is there now is shared with all jobs
            Worker(queue).work()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
