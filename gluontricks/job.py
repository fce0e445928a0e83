"""A job of MXNet's parameter server: a scheduler, servers, and workers that run one command."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from gluontricks.errors import UsageError, WorkerError
from gluontricks.processes import ROLE, TOLD, WORKERS
from gluontricks.signals import Catcher
from gluontricks.threads import VARIABLE, physical_cores

SERVE = ("-m", "gluontricks.server")
HERE = "127.0.0.1"
# Between two looks at the processes, and until a process that was asked to end is made to.
INTERVAL, GRACE = 0.1, 5.0
SET_DEATH_SIGNAL = 1
REMEDY = "start the same command again: it goes on from its last checkpoint"


class Job(NamedTuple):
    """What all processes of a job are told: how many there are, and where the scheduler is."""

    workers: int
    servers: int
    host: str
    port: int


class Role(NamedTuple):
    """One process of a job: its name for the user, what it is, and what it runs."""

    name: str
    kind: str
    command: Sequence[str]


def check_job(job: Job, command: Sequence[str]) -> None:
    """Raise UsageError unless a job can be started."""
    for name, value in (("-n", job.workers), ("-s", job.servers)):
        if value < 1:
            raise UsageError(f"{name} is {value}", "it must be at least 1")
    if not command:
        raise UsageError("there is no command to start", "give it after --")


def environment(kind: str, job: Job) -> Dict[str, str]:
    """Return what the environment of a process of a job has to say."""
    return {
        ROLE: kind,
        "DMLC_PS_ROOT_URI": job.host,
        "DMLC_PS_ROOT_PORT": str(job.port),
        "DMLC_NUM_SERVER": str(job.servers),
        WORKERS: str(job.workers),
    }


def roles(job: Job, command: Sequence[str], python: str = sys.executable) -> List[Role]:
    """Return all processes of a job, in the order in which they start."""
    serve = (python, *SERVE)
    return [
        Role("the scheduler", "scheduler", serve),
        *(Role(f"server {i}", "server", serve) for i in range(job.servers)),
        *(Role(f"worker {i}", "worker", command) for i in range(job.workers)),
    ]


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as listener:
        listener.bind((HERE, 0))
        return int(listener.getsockname()[1])


class Started(NamedTuple):
    """A process that was started, and its role."""

    role: Role
    process: Any


def run_job(job: Job, command: Sequence[str]) -> int:
    """Start all processes of a job on this machine, and wait for them.

    Their output is this process's. If one dies all others are ended, at once those that wait
    for it; none outlives this process. Ctrl-C and SIGTERM are passed on to the workers.

    Parameters
    ----------
    job : Job
    command : sequence of str
        What every worker runs.

    Returns
    -------
    int
        0; 128 + the number of the signal that was passed on; or the exit code of a process that
        died and told why.

    Raises
    ------
    UsageError
        If the job is none.
    WorkerError
        If a process died without a word; its ``code`` is that process's.
    """
    check_job(job, command)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        common = {
            # Every worker has its share of the cores, unless the user says otherwise.
            VARIABLE: str(max(1, physical_cores() // job.workers)),
            "DMLC_NODE_HOST": HERE,
            **os.environ,
            TOLD: str(told),
        }
        try:
            return run_roles(roles(job, command), lambda r: {**common, **environment(r.kind, job)})
        except WorkerError as error:
            if told.exists():
                return error.code
            raise


def run_roles(wanted: Sequence[Role], variables: Callable[[Role], Dict[str, str]]) -> int:
    """Start processes, wait for them, and end what is left of them however that ends."""
    started: List[Started] = []
    with PassedOn(started) as passed:
        try:
            for role in wanted:
                started.append(Started(role, start(role, variables(role))))
            return watch(started, passed)
        finally:
            end_all(started)


def start(role: Role, variables: Dict[str, str]) -> Any:
    """Start a process in a session of its own, which ends when this process does.

    Raises
    ------
    UsageError
        If there is no such command.
    """
    try:
        return subprocess.Popen(
            role.command, env=variables, start_new_session=True, preexec_fn=dies_with_its_parent()
        )
    except OSError as error:
        raise UsageError(
            f"'{role.command[0]}' cannot be started ({error.strerror})",
            "give the command and its arguments after --",
        ) from error


def dies_with_its_parent() -> Optional[Callable[[], None]]:
    """Return what a new process does so as not to outlive this one; None if not on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    library, parent = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        library.prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class PassedOn(Catcher):
    """Passes SIGINT and SIGTERM on to the workers while open.

    Parameters
    ----------
    started : list of Started
        Grows while they are started.

    Attributes
    ----------
    number : int
        The last signal, 0 before there was one.
    """

    def __init__(self, started: List[Started]) -> None:
        super().__init__()
        self.started = started
        self.number = 0

    def catch(self, number: int, frame: Any) -> None:
        """Pass a signal on."""
        del frame
        self.number = number
        for role, process in self.started:
            if role.kind == "worker":
                send(process, number)


def watch(started: Sequence[Started], passed: PassedOn) -> int:
    """Return when the workers have ended; raise WorkerError when one has died."""
    workers = [process for role, process in started if role.kind == "worker"]
    while True:
        codes = [process.poll() for _, process in started]
        dead = [one for one, code in zip(started, codes) if code]
        if passed.number and any(process.poll() is not None for process in workers):
            wait_for(workers)
            return 128 + passed.number
        if dead:
            raise died(*dead[0])
        if all(process.poll() == 0 for process in workers):
            wait_for([process for _, process in started])
            return 0
        time.sleep(INTERVAL)


def died(role: Role, process: Any) -> WorkerError:
    """Return the error for a process that did not end as it should."""
    code = process.returncode
    name = f"{role.name} of the job (process {process.pid})"
    if code < 0:
        error = WorkerError(f"{name} was killed by {signal.Signals(-code).name}", REMEDY)
        error.code = 128 - code
    else:
        error = WorkerError(f"{name} ended with exit code {code}", "see its own message")
        error.code = code
    return error


def wait_for(processes: Sequence[Any]) -> bool:
    """Wait until processes have ended, for a while; return whether they have."""
    until = time.monotonic() + GRACE
    while any(process.poll() is None for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(INTERVAL)
    return True


def end_all(started: Sequence[Started]) -> None:
    """End all processes and what they have started: by request, then by force."""
    processes = [process for _, process in started]
    for process in processes:
        if process.poll() is None:
            send(process, signal.SIGTERM)
    wait_for(processes)
    for process in processes:
        send(process, signal.SIGKILL)
    wait_for(processes)


def send(process: Any, number: int) -> None:
    """Send a signal to a process and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


SCRIPT = """#!/bin/bash
# {count} processes; when one of them dies all others are ended.
{setting}trap 'kill $(jobs -p) 2>/dev/null' EXIT
{lines}
for _ in $(seq {count}); do wait -n || exit; done
"""


def ssh_script(job: Job, command: Sequence[str], hosts: Sequence[str]) -> str:
    """Return a script that starts a job on several machines, all processes by ssh.

    The scheduler and the first server are on the first host, further servers and the workers on
    all in turn. Every line holds the whole environment and command of one process.
    """
    lines, places = [], {"scheduler": 0, "server": 0, "worker": 0}
    for role in roles(job, command, python="python"):
        host = hosts[places[role.kind] % len(hosts)]
        places[role.kind] += 1
        text = f"cd {shlex.quote(os.getcwd())} && exec {in_words(role, job)}"
        lines.append(f"ssh -tt {shlex.quote(host)} {shlex.quote(text)} </dev/null &")
    return SCRIPT.format(setting="", lines="\n".join(lines), count=len(lines))


def slurm_script(job: Job, command: Sequence[str]) -> str:
    """Return a batch script for Slurm: the workers are its tasks, the rest is on the first node."""
    setting = f"#SBATCH --ntasks={job.workers}\nexport DMLC_PS_ROOT_URI=$(hostname)\n"
    lines = []
    for role in roles(job, command, python="python")[: 2 + job.servers]:
        words = in_words(role, job).replace(f"DMLC_PS_ROOT_URI={job.host} ", "")
        tasks = "srun --kill-on-bad-exit=1 " if role.kind == "worker" else ""
        lines.append(f"{tasks}{words} &")
    script = SCRIPT.format(setting="", lines="\n".join(lines), count=len(lines))
    first, rest = script.split("\n", 1)
    return f"{first}\n{setting}{rest}"


def in_words(role: Role, job: Job) -> str:
    """Return a process's environment and command as a line of a shell."""
    variables = (f"{name}={value}" for name, value in environment(role.kind, job).items())
    return " ".join(shlex.quote(word) for word in ("env", *variables, *role.command))
