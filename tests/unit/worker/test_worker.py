"""Jobs that a worker does are as those that a Python of their own does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.store import beside
from pipeline_lib.worker import client, server, start

CLIENT = f"import sys; sys.path.insert(0, {str(Path(client.__file__).parents[2])!r}); from pipeline_lib.worker import client"
CLIENT += "; status = client.done_by_worker(sys.argv[1:]); print('none' if status is None else '', end=''); sys.exit(status or 0)"
# What stands for the project: it says what a job finds, and does what its first word says.
PROJECT = """
import os, signal, sys, time
from pathlib import Path
word = sys.argv[1]
if word == "say":
    print(sys.argv[1:], Path.cwd().name, os.environ.get("COLOUR"), "PIPELINE_WORKER" in os.environ, __name__)
    print("error", file=sys.stderr)
    os.write(3, b"terminal")
elif word == "draw":
    import numpy
    print(numpy.random.randint(2**31), oct(os.umask(0)))
elif word == "fail":
    raise ValueError("no luck")
elif word == "end":
    sys.exit(int(sys.argv[2]))
elif word == "wait":
    def stopped(which, frame):
        Path("stopped").write_text(str(which))
        sys.exit(143)
    signal.signal(signal.SIGTERM, stopped)
    Path("going").write_text(str(os.getpid()))
    time.sleep(60)
elif word == "train":
    folders = sys.argv[2:-2]
    heard, *logs = map(int, os.environ.get("PIPELINE_BESIDE", "-1 2").split())
    print(os.getpid(), *folders)
    for folder, log in zip(folders, logs):
        os.write(log, f"about {folder}".encode())
    if "silent" in folders:
        sys.exit(0)
    if "slow" in folders:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for i, folder in enumerate(folders):
        if folder != "slow" and heard >= 0:
            os.write(heard, f"{i} {int(folder == 'bad')}\\n".encode())
    Path("trains").write_text(str(os.getpid()))
    if "slow" in folders:
        time.sleep(60)
"""


@dataclass
class Place:
    """A folder with a project, and a worker."""

    root: Path
    worker: subprocess.Popen[bytes]
    folder: Path
    clients: list[subprocess.Popen[str]] = field(default_factory=list)

    def begin(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a job's command, with what it says on descriptor 3 in a file."""
        environment = os.environ | {client.VARIABLE: str(self.folder), "PYTHONPATH": str(self.root)} | more
        with (self.root / "terminal").open("w") as terminal:
            line = f'exec "$0" -c "$1" "${{@:2}}" 3>&{terminal.fileno()}'
            how: dict[str, Any] = {"cwd": self.root, "env": environment, "text": True, "pass_fds": [terminal.fileno()]}
            command = ["bash", "-c", line, sys.executable, CLIENT, *words]
            self.clients.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how))
        return self.clients[-1]

    def do(self, *words: str, **more: str) -> tuple[int, str, str]:
        """Do a job: its exit status, what it printed and its errors."""
        began = self.begin(*words, **more)
        printed, errors = began.communicate(timeout=60)
        return began.returncode, printed, errors

    def train(self, *folders: str, together: int = 0, **more: str) -> list[subprocess.Popen[str]]:
        """Start the commands of jobs that may share a process."""
        asked = {start.TOGETHER: str(together or len(folders))} | more
        return [self.begin("train", folder, "--plan", "plan", **asked) for folder in folders]

    def waiting(self) -> tuple[subprocess.Popen[str], int]:
        """A job that waits, and the number of the process that does it."""
        began = self.begin("wait")
        _until(lambda: (self.root / "going").exists() and (self.root / "going").read_text())
        return began, int((self.root / "going").read_text())


def _until(true: Callable[[], object]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def _is_going(number: int) -> bool:
    """Whether a process is there and not merely unburied."""
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@contextmanager
def _placed(root: Path, monkeypatch: pytest.MonkeyPatch, libraries: list[str]) -> Iterator[Place]:
    if sys.platform != "linux":
        pytest.skip("workers are for Linux")
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.delenv(client.VARIABLE, raising=False)
    monkeypatch.setattr(start.tempfile, "tempdir", None)
    project = root / "pipeline_lib"
    project.mkdir()
    (project / "__init__.py").touch()
    (project / "__main__.py").write_text(PROJECT)
    worker = start.start(root / "results", start.FROM, libraries)
    assert worker is not None
    found = Place(root, worker, Path(os.environ[client.VARIABLE]))
    yield found
    os.environ.pop(client.VARIABLE)  # as `start.stop` does; runs of later tests would go without a worker
    assert worker.stdin is not None
    worker.stdin.close()
    worker.wait(30)
    for each in found.clients:
        each.kill()
        each.communicate()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with _placed(tmp_path, monkeypatch, ["json", "no_such_library"]) as found:
        yield found


def test_a_job_finds_what_it_would_find_by_itself(place):
    status, printed, errors = place.do("say", "two words", COLOUR="blue")
    assert (status, errors) == (0, "error\n")
    assert printed == f"['say', 'two words'] {place.root.name} blue False __main__\n"
    assert (place.root / "terminal").read_text() == "terminal"


def test_jobs_draw_numbers_of_their_own_under_their_commands_umask(tmp_path, monkeypatch):
    with _placed(tmp_path, monkeypatch, ["numpy.random"]) as place:
        before = os.umask(0o027)
        try:
            drawn = [place.do("draw")[1].split() for _ in range(3)]
        finally:
            os.umask(before)
    assert [mask for _, mask in drawn] == ["0o27"] * 3
    assert len({number for number, _ in drawn}) == 3


def test_jobs_for_which_there_is_no_process_are_done_plainly(tmp_path, monkeypatch):
    (tmp_path / "no_more.py").write_text("import os\ndef fork():\n    raise BlockingIOError(11, 'none left')\nos.fork = fork\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with _placed(tmp_path, monkeypatch, ["no_more"]) as place:
        assert [place.do("end", "3")[1] for _ in range(2)] == ["none", "none"]
        assert [printed for _, printed, _ in _ends(place.train("a", together=2) + place.train("b", together=2))] == [
            "none",
            "none",
        ]
        assert [printed for _, printed, _ in _ends(place.train("a", "b", together=3))] == ["none", "none"], "forgotten together"
        assert place.worker.poll() is None


@pytest.mark.parametrize("status", [0, 1, 7])
def test_its_exit_status_is_the_commands(place, status):
    assert place.do("end", str(status))[0] == status


def test_an_error_is_told_where_the_job_tells_it(place):
    status, _, errors = place.do("fail")
    assert status == 1
    assert errors.endswith("ValueError: no luck\n")


def test_what_changed_since_the_worker_started_is_what_the_next_job_runs(place):
    assert place.do("end", "3")[0] == 3
    (place.root / "pipeline_lib" / "__main__.py").write_text("print('new code')\n")
    assert place.do("end", "3")[:2] == (0, "new code\n")


def test_jobs_run_side_by_side(place):
    first, _ = place.waiting()
    assert place.do("end", "5")[0] == 5
    assert first.poll() is None


def test_a_signal_to_the_command_reaches_the_job(place):
    began, number = place.waiting()
    began.send_signal(signal.SIGTERM)
    assert began.wait(30) == 143
    assert (place.root / "stopped").read_text() == str(int(signal.SIGTERM))
    assert not _is_going(number)


def test_a_job_dies_with_its_command(place):
    began, number = place.waiting()
    began.kill()
    _until(lambda: not _is_going(number))
    assert not (place.root / "stopped").exists(), "it was to be killed as its command was"


def test_a_job_that_is_killed_is_told_as_a_shell_tells_it(place):
    began, number = place.waiting()
    os.kill(number, signal.SIGKILL)
    assert began.wait(30) == 128 + signal.SIGKILL


def test_the_worker_ends_with_its_driver_and_stops_its_jobs(place):
    _, number = place.waiting()
    assert place.worker.stdin is not None
    place.worker.stdin.close()
    assert place.worker.wait(30) == 0
    _until(lambda: (place.root / "stopped").exists() and not _is_going(number))
    assert not place.folder.exists()


def test_of_a_worker_that_is_killed_the_command_says_so_and_its_job_is_stopped(place):
    began, number = place.waiting()
    place.worker.kill()
    assert began.wait(30) == 1
    _until(lambda: (place.root / "stopped").exists() and not _is_going(number))
    assert began.communicate()[1] == "error: the run's worker must outlive its jobs, got none; run again\n"
    assert place.do("end", "3")[1] == "none", "later jobs are done plainly"


def test_without_a_worker_a_job_is_done_plainly(monkeypatch, tmp_path):
    monkeypatch.delenv(client.VARIABLE, raising=False)
    assert client.done_by_worker(["train"]) is None
    monkeypatch.setenv(client.VARIABLE, str(tmp_path / "nowhere"))
    assert client.done_by_worker(["train"]) is None


def test_few_jobs_and_runs_that_want_none_get_no_worker(monkeypatch, tmp_path):
    monkeypatch.delenv(client.VARIABLE, raising=False)
    assert start.start(tmp_path, start.FROM - 1) is None
    monkeypatch.setenv(client.VARIABLE, "")
    assert start.start(tmp_path, 100) is None


def test_a_worker_listens_where_a_sockets_name_is_short_enough_or_there_is_none(monkeypatch, tmp_path):
    monkeypatch.delenv(client.VARIABLE, raising=False)
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(start.tempfile, "tempdir", None)
    worker = start.start(tmp_path, start.FROM, [])
    assert os.environ[client.VARIABLE].startswith(f"{start.SHORT}/rewind-")
    start.stop(worker)
    monkeypatch.setattr(start, "SHORT", str(long))
    assert start.start(tmp_path, start.FROM, []) is None
    assert list(long.iterdir()) == []
    assert client.VARIABLE not in os.environ


def _ends(clients: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    said = [each.communicate(timeout=60) for each in clients]
    return [(each.returncode, *words) for each, words in zip(clients, said, strict=True)]


def test_jobs_that_may_share_a_process_do_and_each_hears_its_own(place):
    ends = _ends(place.train("a", "bad", "c"))
    assert [status for status, _, _ in ends] == [0, 1, 0]
    assert [errors for _, _, errors in ends] == ["about a", "about bad", "about c"]
    (printed,) = [printed for _, printed, _ in ends if printed]
    assert sorted(printed.split()[1:]) == ["a", "bad", "c"], "one process"


def test_a_job_waits_for_others_only_for_a_moment_and_joins_none_that_differs(place):
    clients = place.train("a", together=3) + place.train("b", together=3, COLOUR="blue") + place.train("c", "d", together=2)
    ends = _ends(clients)
    assert [status for status, _, _ in ends] == [0] * 4
    did = [" ".join(sorted(printed.split()[1:])) for _, printed, _ in ends]
    assert (did[:2], sorted(did[2:])) == (["a", "b"], ["", "c d"])


def test_no_other_stage_waits(place):
    assert place.do("end", "3", **{start.TOGETHER: "9"})[0] == 3


def test_a_process_of_several_jobs_that_says_nothing_has_failed(place):
    assert [status for status, _, _ in _ends(place.train("silent", "b"))] == [1, 1]


def _trains(place: Place) -> None:
    _until(lambda: (place.root / "trains").exists() and (place.root / "trains").read_text())


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGKILL])
def test_what_stops_one_job_stops_all_of_its_process_so_that_they_keep_what_they_have(place, which):
    one, other = place.train("slow", "slow")
    _trains(place)
    one.send_signal(which)
    assert [status for status, _, _ in _ends([one, other])] == [143 if which == signal.SIGTERM else -which, 143]


@pytest.mark.parametrize("lost", [False, True])
def test_a_job_that_fails_stops_others_only_where_it_takes_what_they_make_with_it(place, lost):
    more = {start.ALL_OR_NONE: "yes"} if lost else {}
    bad, slow = place.train("bad", "slow", **more)
    assert bad.wait(30) == 1
    if not lost:
        _trains(place)
        slow.send_signal(signal.SIGTERM)
    assert slow.wait(30) == 143


def test_the_worker_ends_only_when_what_it_stops_has_ended_and_starts_no_more(place):
    slow = place.train("slow", "slow")
    _trains(place)
    late = place.train("late", together=9)
    time.sleep(0.5)
    assert place.worker.stdin is not None
    place.worker.stdin.close()
    assert place.worker.wait(30) == 0
    assert [(status, printed) for status, printed, _ in _ends(late)] == [(143, "")]
    assert [status for status, _, _ in _ends(slow)] == [143, 143]


def test_the_worker_and_its_clients_agree():
    assert server.VARIABLE == client.VARIABLE
    assert (server.TOGETHER, server.ALL_OR_NONE) == (start.TOGETHER, start.ALL_OR_NONE)
    assert server.BESIDE == beside.VARIABLE
    assert tuple(server.DESCRIPTORS) == client.DESCRIPTORS


def test_only_its_own_user_may_ask_a_worker(place):
    assert place.folder.stat().st_mode & 0o777 == 0o700
