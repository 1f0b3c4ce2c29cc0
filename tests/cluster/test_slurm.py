"""The workflow on a real Slurm: what is submitted and asked for, and what happens when jobs, nodes, controller or driver go."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import checkout as co
import pytest
import slurm
from checkout import Checkout

from pipeline_lib.planning import declared

pytestmark = pytest.mark.cluster

# Look often and at no cost: a test waits for jobs of seconds.
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--max-status-checks-per-second", "5", "--latency-wait", "10"]
STAGES = Counter(pretrain=1, train=4, interpolate=2)
# One job has less time than it needs when slow, another less memory; a value may be an expression of what the job makes.
TIGHT = """set-resources:
  train:
    runtime: "(1 if 'L0-o2' in wildcards.node else 30) * attempt"
    mem_mb: "(1000 if 'L1-imp-o0' in wildcards.node else 4000) * attempt"

jobs: 200
"""
# The jobs of the first level have less time than they need when one is slow.
SHORT = """set-resources:
  train:
    runtime: "(1 if 'L0-o' in wildcards.node else 30) * attempt"
    mem_mb: 2000 * attempt # a node has 16000

jobs: 200
"""
FIELDS = ("JobIDRaw", "Comment", "State", "Timelimit", "TimelimitRaw", "ReqMem", "ReqTRES", "Partition", "Account")


def _command(checkout: Checkout, *more: str) -> list[str]:
    """What a user types, and quick polls."""
    return ["-m", "snakemake", "--profile", "slurm", "--configfile", str(checkout.config), *QUICK, *more]


def _run_id(text: str) -> str:
    found = re.search(r"SLURM run ID: (\S+)", text)
    assert found, text
    return found[1]


def _submitted(run_id: str) -> list[dict[str, str]]:
    """Accounting's rows of a run's jobs, in the order of submission."""
    text = slurm.run("sacct", "-X", "-n", "-P", "--name", run_id, "-o", ",".join(FIELDS))
    rows = [dict(zip(FIELDS, line.split("|"), strict=True)) for line in text.splitlines()]
    return sorted(rows, key=lambda row: int(row["JobIDRaw"]))


def _stage(row: dict[str, str]) -> str:
    found = re.match(r"rule_([a-z]+)", row["Comment"])
    assert found, row
    return found[1]


def _asked(row: dict[str, str]) -> tuple[int, int]:
    """Minutes and megabytes that a job asked for."""
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?)([MG])\w?", row["ReqMem"]).groups()
    return int(row["TimelimitRaw"]), round(float(number) * (1024 if unit == "G" else 1))


def test_the_ladder_runs_through_sbatch_as_the_profile_says(
    cluster: slurm.Cluster, ladder: Checkout, local: dict[str, str]
) -> None:
    outcome = co.call(ladder.root, *_command(ladder))
    assert outcome.code == 0, outcome.text
    assert co.contents(ladder.results / "ladder") == local
    assert "Guessed" not in outcome.text
    rows = _submitted(_run_id(outcome.text))
    assert Counter(map(_stage, rows)) == STAGES, "stages that are not here run beside the driver: none waits by itself"
    for row in rows:
        wanted = declared.STAGES[_stage(row)].cluster
        assert wanted is not None
        assert _asked(row) == (wanted["minutes"], wanted["megabytes"]), row
        assert "gres/gpu=1" in row["ReqTRES"].split(","), row
        assert (row["Partition"], row["Account"], row["State"]) == ("gpu", slurm.ACCOUNT, "COMPLETED"), row


@pytest.fixture
def groups(ladder: Checkout) -> Checkout:
    """The ladder's checkout with a profile by which two jobs that train are one of the queue."""
    (ladder.root / "slurm" / "config.yaml").unlink()
    outcome = co.call(ladder.root, "workflow/profiles/install.py", f"account={slurm.ACCOUNT}", "gpu_partition=gpu", "together=2")
    assert outcome.code == 0, outcome.text
    return ladder


def test_jobs_that_do_not_wait_for_each_other_train_as_one_job_of_the_queue_on_one_gpu(
    cluster: slurm.Cluster, groups: Checkout, local: dict[str, str]
) -> None:
    ladder = groups
    outcome = co.call(ladder.root, *_command(ladder))
    assert outcome.code == 0, outcome.text
    assert co.contents(ladder.results / "ladder") == local
    rows = _submitted(_run_id(outcome.text))
    assert Counter(map(_stage, rows)) == Counter(pretrain=1, train=2, interpolate=2), rows
    assert all("gres/gpu=1" in row["ReqTRES"].split(",") and row["State"] == "COMPLETED" for row in rows), rows
    logs = {path.stem: path.read_text(encoding="utf-8") for path in (ladder.results / "logs" / "train").iterdir()}
    processes = {re.search(r"2 jobs share process (\d+): ", text)[1] for text in logs.values()}
    assert (len(logs), len(processes)) == (4, 2)


def test_jobs_take_their_files_from_a_storage_that_no_job_works_in(
    cluster: slurm.Cluster, ladder: Checkout, local: dict[str, str], tmp_path: Path
) -> None:
    bucket, node = tmp_path / "bucket", tmp_path / "node"
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", str(bucket)]
    # A folder of its own for each job: one that ends removes its copies, which another on that node may be about to read.
    storage += ["--local-storage-prefix", str(tmp_path / "driver"), "--remote-job-local-storage-prefix", f"{node}/$SLURM_JOB_ID"]
    shared = ["--shared-fs-usage", "persistence", "sources", "source-cache", "software-deployment"]
    outcome = co.call(ladder.root, *_command(ladder, *storage, *shared))
    assert outcome.code == 0, outcome.text
    assert co.contents(bucket / "results" / "ladder") == local
    assert Counter(map(_stage, _submitted(_run_id(outcome.text)))) == STAGES, outcome.text
    assert node.is_dir()
    assert {path.name for path in ladder.results.iterdir()} == {"plans"}


def test_a_queue_that_takes_no_more_jobs_uses_up_no_attempt(
    cluster: slurm.Cluster, ladder: Checkout, local: dict[str, str]
) -> None:
    def limit(number: int) -> None:
        who = ("user", "root", "where", f"account={slurm.ACCOUNT}")
        slurm.run("sacctmgr", "-i", "modify", *who, "set", f"MaxSubmitJobs={number}")

    limit(1)
    try:
        outcome = co.call(ladder.root, *_command(ladder, "--retries", "0"))
    finally:
        limit(-1)
    assert outcome.code == 0, outcome.text
    assert co.contents(ladder.results / "ladder") == local
    text = slurm.run("sacct", "-X", "-n", "-P", "--name", _run_id(outcome.text), "-o", "Submit,End,State")
    jobs = sorted(line.split("|") for line in text.splitlines())
    assert [state for _, _, state in jobs] == ["COMPLETED"] * STAGES.total()
    assert all(end <= submitted for (_, end, _), (submitted, _, _) in pairwise(jobs)), "the limit bound"


@dataclass
class Driver:
    """A run of the workflow in the background."""

    checkout: Checkout
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        root = self.checkout.root
        self.log = root / f"driver-{len(list(root.glob('driver-*')))}.log"
        with self.log.open("wb") as file:
            # Tests that run in the background ignore Ctrl-C, and so would what they start.
            command = ["env", "--default-signal=INT", sys.executable, *_command(self.checkout)]
            self.process = subprocess.Popen(
                command, cwd=root, stdout=file, stderr=file, env=co.environment(PYTHONPATH=str(root)), start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def job(self, part: str) -> tuple[str, str]:
        """Number and node of the running job whose artifact's name has a part."""
        text = slurm.run("squeue", "-h", "-t", "R", "--name", _run_id(self.text), "-o", "%A %N %k")
        found = [line.split()[:2] for line in text.splitlines() if part in line]
        assert len(found) == 1, text
        return found[0][0], found[0][1]

    def wait_for_step(self, part: str, step: int) -> None:
        """Wait until a slow job has come so far."""
        path = self.checkout.root / "trouble" / f"{part}.step"

        def there() -> bool:
            assert self.process.poll() is None, self.text
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            return bool(text) and int(text) >= step

        slurm.wait_for(f"step {step} of {part}", there, seconds=600)

    def stop(self, number: int) -> None:
        """Tell it to stop, and wait until it has, which is no success."""
        os.kill(self.process.pid, number)
        self.process.wait(timeout=300)
        assert self.process.returncode == 1, self.text

    def end(self) -> None:
        """Wait for the end of the run, which must be a good one."""
        try:
            self.process.wait(timeout=900)
        except subprocess.TimeoutExpired:
            seen = [slurm.run("squeue", "-a", "-o", "%A %T %r %N %S %k"), slurm.run("sinfo", "-R"), slurm.run("sinfo", "-N")]
            jobs = ("--name", _run_id(self.text), "-o", "JobIDRaw,Submit,End,State,Comment")
            seen.append(slurm.run("sacct", "-X", "-D", "-P", *jobs))
            submitted = [line.partition(" (log:")[0] for line in self.text.splitlines() if "has been submitted with" in line]
            pytest.fail("\n".join(("the run did not end in a quarter of an hour", *seen, *submitted, self.text)))
        assert self.process.returncode == 0, self.text


def _trouble(checkout: Checkout, part: str, what: str) -> None:
    folder = checkout.root / "trouble"
    folder.mkdir(exist_ok=True)
    (folder / part).write_text(what, encoding="utf-8")
    (folder / f"{part}.step").unlink(missing_ok=True)


@pytest.fixture
def drive() -> Iterator[Callable[[Checkout], Driver]]:
    """Starts drivers; those that a failed test leaves are killed."""
    started: list[Driver] = []

    def start(checkout: Checkout) -> Driver:
        started.append(Driver(checkout))
        return started[-1]

    yield start
    for driver in started:
        if driver.process.poll() is None:
            os.killpg(driver.process.pid, signal.SIGKILL)
            driver.process.wait()


def _kill(driver: Driver) -> None:
    """Kill a driver while its jobs run, and clear up as docs/cluster.md says."""
    os.kill(driver.process.pid, signal.SIGKILL)
    driver.process.wait()
    run_id = _run_id(driver.text)
    assert slurm.run("squeue", "-h", "--name", run_id).strip(), "its jobs are still there"
    slurm.run("scancel", "--name", run_id)
    slurm.wait_for("the end of its jobs", lambda: not slurm.run("squeue", "-h", "--name", run_id).strip())
    outcome = co.call(driver.checkout.root, *_command(driver.checkout), "--unlock")
    assert outcome.code == 0, outcome.text


def _restart_the_controller(cluster: slurm.Cluster) -> None:
    """Stop it as its administrators do: one that is killed forgets jobs of the last seconds, for which no driver can ask."""
    cluster.kill("slurmctld", signal.SIGTERM)
    assert not slurm.succeeds("scontrol", "ping")()
    time.sleep(6)  # the driver asks in vain meanwhile
    cluster.start()


def _restarts(number: str) -> int:
    """How often Slurm began a job again."""
    return int(re.search(r"Restarts=(\d+)", slurm.run("scontrol", "show", "job", number))[1])


def _lose_the_node(cluster: slurm.Cluster, driver: Driver, part: str) -> None:
    """Lose the node that a job runs on, until Slurm notices."""
    number, node = driver.job(part)
    cluster.lose(node)
    slurm.wait_for(f"the loss of {node}", lambda: _restarts(number) == 1)
    cluster.start()


def _preempt(driver: Driver, part: str) -> None:
    """Take a job's node away for a more urgent one."""
    number, node = driver.job(part)
    slurm.run("srun", "-p", "urgent", "-w", node, "-c", "2", "true", seconds=120)
    assert _restarts(number) == 2


def _lose_the_node_and_preempt(cluster: slurm.Cluster, driver: Driver, job: str) -> None:
    """Lose the node of the job in which `L1-imp-o2` trains, preempt it when it trains again, and wait for the run's end."""
    _lose_the_node(cluster, driver, job)
    (driver.checkout.root / "trouble" / "L1-imp-o2.step").unlink()
    driver.wait_for_step("L1-imp-o2", 3)
    _preempt(driver, job)
    driver.end()


def _jobs(run_id: str) -> str:
    return slurm.run("squeue", "-h", "--name", run_id, "-o", "%k").strip()


def test_a_driver_that_is_told_to_stop_leaves_no_job_and_no_lock(
    cluster: slurm.Cluster, ladder: Checkout, local: dict[str, str], drive: Callable[[Checkout], Driver]
) -> None:
    shutil.copy(Path(__file__).parent / "trouble.py", ladder.root / "sitecustomize.py")
    _trouble(ladder, "L0-o2", "slow 4 once")
    first = drive(ladder)
    first.wait_for_step("L0-o2", 2)
    first.stop(signal.SIGINT)
    slurm.wait_for("the end of its jobs", lambda: not _jobs(_run_id(first.text)))
    _trouble(ladder, "L0-o2", "slow 1 once")
    second = drive(ladder)
    second.wait_for_step("L0-o2", 4)
    second.stop(signal.SIGTERM)
    assert not _jobs(_run_id(second.text))
    assert "going on at step" in _log(ladder, "L0-o2"), "Ctrl-C cancelled it, and it had kept what it needs"
    assert ladder.path("artifacts/train/*L0-o2*/spec.json").is_file(), "SIGTERM waited for it"
    outcome = co.call(ladder.root, *_command(ladder))
    assert outcome.code == 0, outcome.text
    assert co.contents(ladder.results / "ladder") == local


def _log(checkout: Checkout, part: str) -> str:
    return checkout.path(f"logs/train/*{part}*").read_text(encoding="utf-8")


def test_the_ladder_survives_what_goes_wrong(
    cluster: slurm.Cluster, ladder: Checkout, local: dict[str, str], drive: Callable[[Checkout], Driver]
) -> None:
    shutil.copy(Path(__file__).parent / "trouble.py", ladder.root / "sitecustomize.py")
    ladder.edit("slurm/config.yaml", "jobs: 200\n", TIGHT)
    for part, what in {"L0-o2": "slow 4 once", "L1-imp-o0": "hold 900", "L1-imp-o2": "slow 1.5"}.items():
        _trouble(ladder, part, what)
    first = drive(ladder)
    first.wait_for_step("L0-o2", 2)
    _kill(first)
    _trouble(ladder, "L0-o2", "slow 4 once")
    driver = drive(ladder)
    driver.wait_for_step("L1-imp-o2", 1)
    _restart_the_controller(cluster)
    _lose_the_node_and_preempt(cluster, driver, "L1-imp-o2")
    assert co.contents(ladder.results / "ladder") == local
    tries: dict[str, list[tuple[str, int, int]]] = {}
    for row in _submitted(_run_id(driver.text)):
        found = re.search(r"L\d(?:-imp)?-o\d", row["Comment"]) if _stage(row) == "train" else None
        if found:
            tries.setdefault(found[0], []).append((row["State"], *_asked(row)))
    assert tries["L0-o2"] == [("TIMEOUT", 1, 4000), ("COMPLETED", 2, 8000)]
    assert [asked for _, *asked in tries["L1-imp-o0"]] == [[30, 1000], [60, 2000]]
    assert tries["L1-imp-o0"][0][0] in ("FAILED", "OUT_OF_MEMORY")
    assert tries["L1-imp-o0"][1][0] == "COMPLETED"
    assert tries["L1-imp-o2"] == [("COMPLETED", 30, 4000)], "Slurm starts it again by itself"
    for part in ("L0-o2", "L1-imp-o2"):
        assert "going on at step" in _log(ladder, part)


def test_jobs_that_are_one_of_the_queue_lose_nothing_when_it_is_stopped(
    cluster: slurm.Cluster, groups: Checkout, local: dict[str, str], drive: Callable[[Checkout], Driver]
) -> None:
    """By its time limit, or for a more urgent job. Where their node is lost, that is what was not kept yet."""
    shutil.copy(Path(__file__).parent / "trouble.py", groups.root / "sitecustomize.py")
    groups.edit("slurm/config.yaml", "jobs: 200\n", SHORT)
    _trouble(groups, "L0-o2", "slow 4 once")
    _trouble(groups, "L1-imp-o2", "slow 1.5")
    driver = drive(groups)
    driver.wait_for_step("L1-imp-o2", 1)
    _lose_the_node_and_preempt(cluster, driver, "train_toy_2")
    assert co.contents(groups.results / "ladder") == local
    rows = [row for row in _submitted(_run_id(driver.text)) if _stage(row) == "train"]
    assert [row["State"] for row in rows] == ["TIMEOUT", "COMPLETED", "COMPLETED"], rows
    for part in ("L0", "L1-imp"):
        ended, slow = (
            [int(step) for step in re.findall(r"going on at step (\d+)", _log(groups, f"{part}-{o}"))] for o in ("o0", "o2")
        )
        assert ended in ([], [co.TOY["steps"]]), "at its end, or not begun: on a processor one trains after the other"
        assert len(slow) == 1
        assert 0 < slow[0] < co.TOY["steps"]
