"""A Slurm of one machine for the tests: controller, accounting and two nodes, on the loopback interface.

    python tests/cluster/slurm.py start | status | stop

A node has two processors and a stand-in for a GPU, which counts and does nothing. Needs root, and installs Debian's
packages where they are missing. Stops only what it started. Everything is in one temporary folder, but for a link to its
slurm.conf, which jobs look for in one place only, and a line in the file of host names where this machine's own name
is not on the loopback interface.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurmdbd", "mariadb-server", "rsync")
LINK = Path("/etc/slurm/slurm.conf")
HOSTS = Path("/etc/hosts")
POLICY = Path("/usr/sbin/policy-rc.d")  # while it exits with 101, packages start no service
PREFIX, MARK = "rewind-slurm-", "# rewind's test cluster"
NODES = ("g1", "g2")
DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", *(f"slurmd-{node}" for node in NODES))
ACCOUNT = "rewind"

# No cgroups, which a container may lack: processes are found by parentage, memory is looked at every second. A node that is
# silent for ten seconds is down, and its jobs start again ten seconds later (by default five and two minutes). A node whose
# killed processes are not gone within five minutes (by default one) would be set aside for good.
CONFIG = """
ClusterName=rewind
SlurmctldHost={host}({address})
SlurmctldPort={controller}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.own.pid
SlurmdPidFile={folder}/slurmd-%n.own.pid
MpiDefault=none
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=3
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=10
ReturnToService=2
KillWait=20
UnkillableStepTimeout=300
MinJobAge=300
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePass={folder}/munge.socket
AccountingStoragePort={accounting}
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
AccountingStorageEnforce=limits
NodeName=g1 Port={g1} {node}
NodeName=g2 Port={g2} {node}
PartitionName=batch Nodes=g1,g2 Default=YES {limits}
PartitionName=gpu Nodes=g1,g2 PriorityTier=2 {limits}
PartitionName=urgent Nodes=g1,g2 PriorityTier=9 {limits}
"""

ACCOUNTING = """
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
CommunicationParameters=NoInAddrAny
AuthInfo=socket={folder}/munge.socket
PidFile={folder}/slurmdbd.own.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""

DATABASE = """
CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
"""


def run(*command: str, seconds: float = 60) -> str:
    """Run a client of Slurm; its output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} must succeed, got {(done.stderr or done.stdout).strip()}; the call was {' '.join(command)}"
        )
    return done.stdout


def wait_for(what: str, condition: Callable[[], object], seconds: float = 120, every: float = 0.2) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} must happen within {seconds:g} seconds, got nothing; read the logs of the test cluster")
        time.sleep(every)


def succeeds(*command: str) -> Callable[[], bool]:
    """A condition: the command ends well."""

    def tried() -> bool:
        try:
            return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return False

    return tried


def environment_of(pid: int) -> set[bytes]:
    """The environment that a process was started with; empty if it is gone."""
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


@dataclass(frozen=True)
class Cluster:
    """The daemons whose files are in a folder."""

    folder: Path

    def pid(self, name: str) -> int | None:
        """The process of a daemon that was started here, if it still runs."""
        path = self.folder / f"{name}.pid"
        if not path.is_file():
            return None
        pid = int(path.read_text(encoding="utf-8"))
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # our own child, if it has ended
        return pid if f"REWIND_DAEMON={self.folder.name}/{name}".encode() in environment_of(pid) else None

    def launch(self, name: str) -> None:
        """Start a daemon in the background, and note its process."""
        if self.pid(name):
            return
        options = {
            "munged": [f"--key-file={self.folder}/munge.key", f"--socket={self.folder}/munge.socket", "--foreground", "--force"],
            "mariadbd": [
                "--no-defaults",
                "--user=root",
                f"--datadir={self.folder}/database",
                f"--socket={self.folder}/database.socket",
            ],
            "slurmdbd": ["-D"],
            "slurmctld": ["-D"],
        }
        options["munged"] += [f"--seed-file={self.folder}/munge.seed", f"--pid-file={self.folder}/munged.own.pid"]
        ports = self._ports()
        options["mariadbd"] += ["--bind-address=127.0.0.1", f"--port={ports['database']}", "--skip-name-resolve"]
        options["mariadbd"] += [f"--init-file={self.folder}/database.sql", f"--pid-file={self.folder}/mariadbd.own.pid"]
        program, _, node = name.partition("-")
        marked = {**os.environ, "SLURM_CONF": f"{self.folder}/slurm.conf", "REWIND_DAEMON": f"{self.folder.name}/{name}"}
        command = [program, *(options.get(program) or ["-D", "-N", node])]
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        files += [(os.POSIX_SPAWN_OPEN, number, f"{self.folder}/{name}.log", write, 0o644) for number in (1, 2)]
        pid = os.posix_spawnp(program, command, marked, file_actions=files, setsid=True)
        (self.folder / f"{name}.pid").write_text(str(pid), encoding="utf-8")

    def kill(self, name: str, with_signal: int = signal.SIGKILL) -> None:
        """End a daemon."""
        pid = self.pid(name)
        if pid:
            os.kill(pid, with_signal)
            wait_for(f"the end of {name}", lambda: not self.pid(name))

    def lose(self, node: str) -> None:
        """Lose a node: its daemon and all that runs on it, at once."""
        self.kill(f"slurmd-{node}")
        own = {f"REWIND_DAEMON={self.folder.name}/slurmd-{node}".encode(), f"SLURMD_NODENAME={node}".encode()}
        for pid in (int(path.name) for path in Path("/proc").glob("[0-9]*")):
            if pid != os.getpid() and environment_of(pid) & own:
                os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start all daemons that do not run, in the order in which they need each other, and wait until nodes take jobs."""
        self.launch("munged")
        wait_for("munge", succeeds("munge", f"--socket={self.folder}/munge.socket", "--no-input"))
        self.launch("mariadbd")
        wait_for("the database", self._database_answers)
        self.launch("slurmdbd")
        wait_for("accounting", succeeds("sacctmgr", "-n", "show", "cluster"))
        for record in ("cluster rewind", f"account {ACCOUNT}", f"user root account={ACCOUNT}"):
            subprocess.run(["sacctmgr", "-i", "add", *record.split()], capture_output=True, check=False)
        for name in DAEMONS[3:]:
            self.launch(name)
        wait_for("the controller", succeeds("scontrol", "ping"))
        wait_for("nodes", lambda: set(run("sinfo", "-hN", "-t", "idle,mix,alloc", "-o", "%N").split()) == set(NODES))

    def stop(self, keep: bool = False) -> None:
        """Cancel what is left, stop all that was started, and remove the files."""
        if self.pid("slurmctld"):
            with contextlib.suppress(RuntimeError, TimeoutError, subprocess.TimeoutExpired):
                for state in ("pending", "running"):
                    run("scancel", f"--state={state}", "--user=root")
                wait_for("the end of jobs", lambda: not run("squeue", "-h").strip())
        for name in reversed(DAEMONS):
            try:
                self.kill(name, signal.SIGTERM)
            except TimeoutError:
                self.kill(name)
        if LINK.is_symlink() and LINK.readlink() == self.folder / "slurm.conf":
            LINK.unlink()
        hosts = HOSTS.read_text(encoding="utf-8")
        if MARK in hosts:
            HOSTS.write_text("".join(line for line in hosts.splitlines(keepends=True) if MARK not in line), encoding="utf-8")
        if not keep:
            shutil.rmtree(self.folder)

    def _ports(self) -> dict[str, int]:
        pairs = (line.split() for line in (self.folder / "ports").read_text(encoding="utf-8").splitlines())
        return {name: int(port) for name, port in pairs}

    def _database_answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._ports()["database"])) == 0


def _install() -> None:
    """Install the packages that are missing, and let them start nothing."""
    if not shutil.which("apt-get"):
        raise RuntimeError("machine must be a Debian for the cluster tests, got one without apt-get; run them in a container")
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *PACKAGES]
    known = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    missing = [name for name in PACKAGES if f"{name} ii" not in known]
    if not missing:
        return
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        wanted = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (wanted, ["apt-get", "update"], wanted):
            done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
            if command is wanted and done.returncode == 0:
                return
        raise RuntimeError(f"packages {', '.join(missing)} must be installable, got {done.stderr.strip()}; install them by hand")
    finally:
        if ours:
            POLICY.unlink()


def _free_ports(names: list[str]) -> dict[str, int]:
    sockets = {name: socket.socket() for name in names}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


def _loopback_address(host: str) -> str:
    """Address of this machine's own name, at which the daemons listen; made to be on the loopback interface if it is not."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = ""
    if not address.startswith("127."):
        address, hosts = "127.0.0.1", HOSTS.read_text(encoding="utf-8")
        HOSTS.write_text(f"{address} {host} {MARK}\n{hosts}", encoding="utf-8")  # in place: it may be mounted
    return address


def _configure(folder: Path) -> None:
    """Write all configuration files."""
    host, ports = socket.gethostname().split(".")[0], _free_ports(["database", "accounting", "controller", *NODES])
    address, password = _loopback_address(host), secrets.token_hex(16)
    node = f"NodeHostname={host} NodeAddr={address} CPUs=2 RealMemory=16000 Gres=gpu:1"
    limits = "MaxTime=600 DefaultTime=5 DefMemPerCPU=500"
    values = {"folder": folder, "host": host, "address": address, "password": password, "node": node, "limits": limits, **ports}
    files = {
        "slurm.conf": CONFIG.format(**values),
        "slurmdbd.conf": ACCOUNTING.format(**values),
        "database.sql": DATABASE.format(**values),
        "gres.conf": f"Name=gpu File={folder}/gpu0\n",
        "gpu0": "stands for a device\n",
        "ports": "".join(f"{name} {port}\n" for name, port in ports.items()),
        "munge.key": secrets.token_hex(64),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644 if name in ("slurm.conf", "gres.conf") else 0o600)
    (folder / "state").mkdir()
    made = ["mariadb-install-db", "--no-defaults", "--skip-test-db", "--user=root", f"--datadir={folder}/database"]
    run(*made, seconds=120)


def current() -> Cluster | None:
    """The cluster that was started last and not stopped, if any.

    Raises:
        RuntimeError: the machine is part of another Slurm.
    """
    if LINK.is_symlink() and LINK.readlink().parent.name.startswith(PREFIX):
        return Cluster(LINK.readlink().parent)
    if LINK.exists():
        raise RuntimeError(f"{LINK} must be absent, got one of another Slurm; run the cluster tests on a machine without")
    return None


def start() -> Cluster:
    """Start a fresh cluster.

    Raises:
        RuntimeError: not root, another Slurm is here, or packages cannot be installed.
        TimeoutError: a daemon does not come up.
    """
    if os.geteuid() != 0:
        raise RuntimeError(
            f"user must be root to start a Slurm, got user id {os.geteuid()}; run as root, in a container for example"
        )
    left = current()
    if left:
        left.stop()
    _install()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o755)
    LINK.parent.mkdir(exist_ok=True)
    LINK.symlink_to(folder / "slurm.conf")
    cluster = Cluster(folder)
    try:
        _configure(folder)
        cluster.start()
    except (RuntimeError, TimeoutError) as error:
        cluster.stop(keep=True)
        raise RuntimeError(f"{error} ({folder})") from error
    return cluster


def main(command: str) -> None:
    """Start, show or stop the cluster."""
    if command == "start":
        start()
    elif command == "stop" and (cluster := current()):
        cluster.stop()
    if command != "stop":
        print(run("sinfo"), end="")


if __name__ == "__main__":
    if sys.argv[1:] not in (["start"], ["status"], ["stop"]):
        sys.exit(__doc__)
    main(sys.argv[1])
