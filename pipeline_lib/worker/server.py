"""A run's worker: a process that has loaded the libraries that jobs need, and forks a process for each job.

Called as `python server.py FOLDER LISTENER LIBRARY...`, with a listening socket as a descriptor and a pipe as standard input
whose other end the run's driver holds: when that ends, however it does, the worker stops its jobs and ends with them. It loads
nothing of this project: each job imports that by itself. Jobs that may share a process wait a moment for each other.
"""

import ctypes
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
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "PIPELINE_WORKER"  # as in client.py: a job is no client of its worker
TOGETHER, ALL_OR_NONE = "PIPELINE_TOGETHER", "PIPELINE_ALL_OR_NONE"  # as in start.py
BESIDE = "PIPELINE_BESIDE"  # as in store/beside.py
STAGE = "train"  # whose jobs may share a process
MOMENT = 5.0  # seconds that a job waits for others to share its process
DESCRIPTORS = range(4)  # the most that a client passes on
MOST = 2**22  # bytes of a job's words and environment
STOPPED = 128 + signal.SIGTERM
Asked = dict[str, Any]  # words, folder, umask, environment and descriptors of a job, as client.py sends them


@dataclass(eq=False)
class Job:
    """A client's connection, what it has said so far, and the process that does its job."""

    client: socket.socket
    descriptors: list[int] = field(default_factory=list)
    said: bytes = b""
    asked: Asked = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    number: int = 0
    shares: bool = False  # its process with other jobs

    @property
    def most(self) -> int:
        """How many jobs may be done by its process."""
        words, most = self.asked["words"], self.asked["environment"].get(TOGETHER, "")
        joins = words[:1] == [STAGE] and words[2:3] == ["--plan"]
        return max(1, int(most)) if joins and most.isdecimal() else 1

    def like(self, other: "Job") -> bool:
        """Tell whether another job differs in its artifact alone."""
        own, its = (asked | {"words": asked["words"][:1] + asked["words"][2:]} for asked in (self.asked, other.asked))
        return own == its

    def drop(self) -> None:
        """Close the client's descriptors, which are its job's."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def close(self) -> None:
        """Close all that is open for the job here."""
        self.client.close()
        self.drop()


def _above(descriptor: int) -> int:
    """Copy a descriptor to a number above all that are asked for."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, 1 + max(DESCRIPTORS))


def _settle(jobs: list[Job], told: int) -> None:
    """Make a forked process look like one that was started for the jobs, with standard streams of the first one."""
    signal.set_wakeup_fd(-1)
    for which in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(which, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: nothing goes on that nobody waits for
    if os.getppid() != os.getsid(0):  # the worker leads its session; it has died meanwhile
        os._exit(STOPPED)
    asked, words = jobs[0].asked, jobs[0].asked["words"]
    # First above all numbers that are asked for, as one may be that of a descriptor which is still to be moved.
    above = [_above(descriptor) for descriptor in jobs[0].descriptors]
    environment = {name: value for name, value in asked["environment"].items() if name != VARIABLE}
    if len(jobs) > 1:
        logs = [_above(job.descriptors[asked["descriptors"].index(2)]) for job in jobs[1:]]
        environment[BESIDE] = " ".join(map(str, [_above(told), 2, *logs]))
        words = [words[0], *(job.asked["words"][1] for job in jobs), *words[2:]]
    os.close(told)
    for job in jobs:
        job.close()
    for source, target in zip(above, asked["descriptors"], strict=True):
        os.dup2(source, target)
        os.close(source)
    os.chdir(asked["folder"])
    os.umask(asked["umask"])
    if (numbers := sys.modules.get("numpy.random")) is not None:
        numbers.seed()  # anew, as each Python draws its own
    os.environ.clear()
    os.environ.update(environment)
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [asked["folder"], *(str(Path(path).absolute()) for path in paths), *sys.path]
    sys.argv = ["pipeline_lib", *words]


def _do(jobs: list[Job], told: int) -> None:
    """Run jobs in this process, and end with their status."""
    status = 1
    try:
        _settle(jobs, told)
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
        self.begun: dict[int, list[Job]] = {}  # those of a process, by the descriptor at which it says how each ended
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
        """Take what a client says; the job of one that is gone is killed, or told to stop where others share its process."""
        if job not in self.jobs:
            return
        said, descriptors = b"", list[int]()
        with suppress(OSError):
            said, descriptors, _, _ = socket.recv_fds(job.client, 2**16, len(DESCRIPTORS))
        job.descriptors += descriptors
        job.said += said
        if not said or len(job.said) > MOST:
            self._forget(job)
            self._signal(job.number, signal.SIGTERM if job.shares else signal.SIGKILL)
        elif job.said.endswith(b"\n") and not job.asked:
            job.asked = json.loads(job.said[1:])
            self._gather(job)

    def _signal(self, number: int, which: int) -> None:
        if number:
            with suppress(ProcessLookupError):
                os.kill(number, which)

    def _waiting(self) -> list[Job]:
        return [job for job in self.jobs if job.asked and not job.number]

    def _gather(self, job: Job) -> None:
        """Start a job with those that wait for it, once they are as many as may be or have waited for long enough."""
        if not self.going:
            self._tell(job, os.getpid())
            self._ended(job, STOPPED)
            return
        alike = [other for other in self._waiting() if other.like(job)][: job.most]
        if len(alike) == job.most or time.monotonic() >= alike[0].since + MOMENT:
            self._start(alike)

    def _start(self, jobs: list[Job]) -> None:
        try:
            heard, told = os.pipe()
            number = os.fork()
        except OSError:  # no more processes or descriptors: their clients do them
            for job in jobs:
                self._forget(job)
            return
        if not number:
            others = [other.close for other in self.jobs if other not in jobs]
            for close in (self.listener.close, self.rang.close, self.bell.close, *others):
                close()
            for descriptor in (heard, *self.begun):
                os.close(descriptor)
            _do(jobs, told)
        for job in jobs:
            job.number, job.shares = number, len(jobs) > 1
            job.drop()
            self._tell(job, number)
        os.close(told)
        os.set_blocking(heard, False)
        self.begun[heard] = jobs
        self.selector.register(heard, selectors.EVENT_READ, lambda: self._learn(heard))

    def _tell(self, job: Job, number: int) -> None:
        with suppress(OSError):
            job.client.sendall(f"{number}\n".encode())

    def _forget(self, job: Job) -> None:
        self.jobs.remove(job)
        self.selector.unregister(job.client)
        job.close()

    def _ended(self, job: Job, status: int) -> None:
        """Tell a client how its job ended; where others' results are lost with it, they stop and keep what they have."""
        if job not in self.jobs:
            return
        self._tell(job, status)
        self._forget(job)
        if status and job.asked["environment"].get(ALL_OR_NONE):
            self._stop()

    def _learn(self, heard: int) -> None:
        """Tell clients how their jobs ended whose process goes on with others."""
        with suppress(BlockingIOError):
            while heard in self.begun:
                said = os.read(heard, 2**16)  # all that a pipe holds, so that lines are whole
                for line in said.decode().splitlines():
                    i, status = map(int, line.split())
                    self._ended(self.begun[heard][i], status)
                if not said:
                    del self.begun[heard]
                    self.selector.unregister(heard)
                    os.close(heard)

    def _reap(self) -> None:
        """Tell clients how their jobs ended."""
        self.rang.recv(4096)
        with suppress(ChildProcessError):
            while True:
                number, status = os.waitpid(-1, os.WNOHANG)
                if not number:
                    return
                for heard in [heard for heard, jobs in self.begun.items() if jobs[0].number == number]:
                    self._learn(heard)
                for job in [job for job in self.jobs if job.number == number]:
                    # A process of several jobs says of each that it ended well.
                    self._ended(job, os.waitstatus_to_exitcode(status) or int(job.shares))

    def _end(self) -> None:
        self.going = bool(os.read(sys.stdin.fileno(), 4096))

    def _stop(self) -> None:
        for number in {job.number for job in self.jobs}:
            self._signal(number, signal.SIGTERM)

    def _look(self) -> None:
        """Do what is to be done now, or next."""
        waiting = [job.since for job in self._waiting()]
        for key, _ in self.selector.select(max(0.0, min(waiting) + MOMENT - time.monotonic()) if waiting else None):
            key.data()
        for job in self._waiting():
            if job in self.jobs and not job.number:
                self._gather(job)

    def work(self) -> None:
        """Serve until the driver has ended or says so; then stop all jobs, and wait until they have kept what they have."""
        while self.going:
            self._look()
        for source in (self.listener, sys.stdin.fileno()):
            self.selector.unregister(source)
        for job in self._waiting():
            self._gather(job)
        self._stop()
        while any(job.number for job in self.jobs):
            self._look()


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
