"""Running the jobs of a plan: claim one, run it, add its record, until none is left.

Each run is a process of its own, so that nothing of one run is in the next and that a crash ends
one run only. Several machines do the same in one folder; claims keep them apart.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from gluontricks.errors import GluontricksError, WorkerError
from gluontricks.job import dies_with_its_parent, send
from gluontricks.reporting import clock
from gluontricks.reproduce.claims import Claim
from gluontricks.reproduce.costs import Machine, told, train_command
from gluontricks.reproduce.jobs import Job
from gluontricks.reproduce.kept import keep_teacher, kept_teacher
from gluontricks.results import registry
from gluontricks.results.cells import setting_of, sound
from gluontricks.signals import Catcher

POLL_SECONDS = 5.0
DIVERGED, LOCKED = 80, 75

Record = Dict[str, Any]


@dataclass
class Context:
    """What the workers of one command share.

    ``results`` is the folder of the registry, ``work`` that of runs. ``writer`` names the chain
    that records are added to. ``report`` takes a line of text, ``finished`` a job that is done;
    ``failed`` has cause and remedy by job, ``awaited`` the jobs that others have, ``held`` those
    that this process has, ``signal`` the signal that stopped all, ``read`` the registry as it was
    read last.
    """

    results: Path
    work: Path
    machine: Machine
    report: Callable[[str], None]
    finished: Optional[Callable[[Job], None]] = None
    writer: Optional[str] = None
    poll_seconds: float = POLL_SECONDS
    stop: threading.Event = field(default_factory=threading.Event)
    failed: Dict[str, Tuple[str, str]] = field(default_factory=dict)
    awaited: Set[str] = field(default_factory=set)
    held: Set[str] = field(default_factory=set)
    running: Dict[str, Any] = field(default_factory=dict)
    signal: int = 0
    read: Optional[Tuple[Any, List[Record]]] = None

    @property
    def claims(self) -> Path:
        """Where the claims are: with the records, which the machines share, not with the runs."""
        shared = self.work if self.results == self.work else self.results / "work"
        return shared / "claims"

    def shared(self) -> Dict[str, Any]:
        """Return what another process's context has in common with this one."""
        names = ("results", "work", "machine", "writer", "poll_seconds")
        return {name: getattr(self, name) for name in names}

    def records(self) -> List[Record]:
        """Return the registry, read again only if a file of it has changed."""
        files = sorted((self.results / "runs").glob("*.jsonl"))
        state = tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files)
        if self.read is None or self.read[0] != state:
            self.read = (state, registry.load(self.results))
        return self.read[1]

    @contextmanager
    def holding(self, job: Job) -> Iterator[None]:
        """Know a job as this process's own while one of its workers is at it."""
        self.held.add(job.key)
        try:
            yield
        finally:
            self.held.discard(job.key)

    def folder(self, job: Job) -> Path:
        """Return the directory of a run."""
        return self.work / job.key


def work_on(jobs: Sequence[Job], context: Context) -> None:
    """Claim and run jobs until each is done, has failed, or waits for one that has.

    This is what one worker does, whether a thread, another machine, or a process of a cluster.
    """
    while not context.stop.is_set():
        left = [job for job in jobs if not is_settled(job, context)]
        if not left:
            return
        if not any(claim_and_run(job, context) for job in left):
            tell_awaited(left, context)
            context.stop.wait(context.poll_seconds)


def tell_awaited(jobs: Sequence[Job], context: Context) -> None:
    """Say once of each job that another process has it."""
    for job in jobs:
        theirs = job.key not in context.held and Claim(context.claims, job.key).path.exists()
        if theirs and job.key not in context.awaited:
            context.awaited.add(job.key)
            context.report(f"{job.title}: waiting, another process has claimed it")


def is_settled(job: Job, context: Context) -> bool:
    """Return whether a job needs nothing more of this command."""
    if job.key in context.failed or record_of(job, context) is not None:
        return True
    if job.teacher is None:
        return False
    taught_by = record_of(job.teacher, context)
    if taught_by is not None and taught_by["status"] != "completed":
        context.failed[job.key] = (
            f"its teacher, {job.teacher.title}, is {outcome(taught_by)}",
            "a run that diverged is not repeated: change the recipe, or its precision",
        )
    return job.key in context.failed or job.teacher.key in context.failed


def claim_and_run(job: Job, context: Context) -> bool:
    """Run a job if it is ready and nobody has it; return whether it was run."""
    teacher = None if job.teacher is None else weights_of(job.teacher, context)
    if context.stop.is_set() or (job.teacher is not None and teacher is None):
        return False
    claim = Claim(context.claims, job.key)
    if not claim.take():
        return False
    with claim, context.holding(job):
        if record_of(job, context) is not None:
            # Somebody finished it between our looking and our claim.
            return True
        try:
            return run(job, teacher, context)
        except GluontricksError as error:
            context.failed[job.key] = (error.cause, error.remedy)
            context.report(f"{job.title}: {error.cause}\n    remedy: {error.remedy}")
            return True


def record_of(job: Job, context: Context) -> Optional[Record]:
    """Return the record of a job that is done, from the registry or its directory.

    A teacher is done when its parameters are at hand too, or when it diverged.
    """
    found = next((r for r in known_records(job, context) if job.is_done_by(r)), None)
    if found is None or not job.teaches or found["status"] != "completed":
        return found
    return None if weights_of(job, context) is None else found


def known_records(job: Job, context: Context) -> List[Record]:
    """Return the records that may be of a job."""
    if job.scale != "smoke":
        return context.records()
    with suppress(GluontricksError):
        return [registry.run_record(context.folder(job))]
    return []


def run_elsewhere(job: Job, context: Context) -> Set[Tuple[str, str, str]]:
    """Return the other engines, devices and precisions on which a job's very run is over."""
    if job.scale == "smoke":
        return set()
    return {
        setting_of(record)
        for record in sound(context.records())
        if job.on(*setting_of(record)).is_done_by(record)
    }


def weights_of(teacher: Job, context: Context) -> Optional[Path]:
    """Return where the parameters of a teacher are that completed; None if they are nowhere."""
    with suppress(GluontricksError):
        if has_taught(teacher, registry.run_record(context.folder(teacher))):
            return context.folder(teacher)
    for record in known_records(teacher, context):
        kept = kept_teacher(context.results, record["run_id"])
        if kept is not None and has_taught(teacher, record):
            return kept
    return None


def has_taught(teacher: Job, record: Record) -> bool:
    """Return whether a record is of this teacher, trained to its end: one that diverged is none."""
    return teacher.is_done_by(record) and record["status"] == "completed"


def run(job: Job, teacher: Optional[Path], context: Context) -> bool:
    """Run a job in a process of its own and add its record; return False if another has it.

    Raises
    ------
    GluontricksError
        If the run, or adding it, failed.
    """
    context.report(f"{job.title}: started")
    began = time.monotonic()
    told_before = size_of(log_of(job, context))
    code = run_process(job, command_of(job, teacher, context), context)
    if code == LOCKED:
        return False
    if context.stop.is_set():
        return True
    if code not in (0, DIVERGED):
        raise WorkerError(
            f"its process {ending(code)}: {last_error(log_of(job, context), told_before)}",
            "the same command tries it again",
        )
    record = registry.run_record(context.folder(job))
    if job.scale != "smoke":
        # Kept before it is added: whoever finds the record of a teacher finds its parameters.
        if job.teaches and record["status"] == "completed":
            keep(job, record, context)
        record = registry.add(context.folder(job), context.results, writer=context.writer)
    context.report(f"{job.title}: {outcome(record)} in {clock(time.monotonic() - began)}")
    if context.finished is not None:
        context.finished(job)
    return True


def keep(job: Job, record: Record, context: Context) -> None:
    """Keep the parameters of a teacher beside the registry, if they are small enough."""
    if not keep_teacher(context.folder(job), context.results, record["run_id"]):
        context.report(f"{job.title}: too large to be kept; students need {context.work}")


def command_of(job: Job, teacher: Optional[Path], context: Context) -> List[str]:
    """Return the command that runs a job."""
    recipe = job.recipe
    command = [*train_command(job, context.machine), "--recipe", recipe.name]
    command += ["--seed", str(recipe.seed), "--dtype", recipe.dtype]
    command += ["--out", str(context.folder(job))]
    return command if teacher is None else [*command, "--teacher-params", str(teacher)]


def run_process(job: Job, command: Sequence[str], context: Context) -> int:
    """Run a command to its end, its output in a file; return its exit code."""
    with open(log_of(job, context), "ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, preexec_fn=dies_with_its_parent(),
        )  # fmt: skip
        context.running[job.key] = process
        if context.stop.is_set():
            # The signal came before the process was among those that it is passed on to.
            send(process, context.signal or signal.SIGTERM)
        try:
            return process.wait()
        finally:
            context.running.pop(job.key, None)


def log_of(job: Job, context: Context) -> Path:
    """Return the file with all that a job's process has printed."""
    return context.work / f"{job.key}.log"


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 without one."""
    return path.stat().st_size if path.exists() else 0


def ending(code: int) -> str:
    """Return how a process ended, in words."""
    return f"ended with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def last_error(log: Path, since: int) -> str:
    """Return the cause that a process printed last into a log, or where to look for it.

    ``since`` is the size of the log before, which has what earlier tries printed.
    """
    content = log.read_bytes()[since:] if log.exists() else b""
    return told(content.decode("utf-8", "replace"), "error") or f"see '{log}'"


def outcome(record: Record) -> str:
    """Return what a run came to, in words."""
    if record["status"] != "completed":
        return f"{record['status']} ({record['reason']})"
    return f"top-1 {record['metrics']['top1']:.2f} %"


def to_stderr(line: str) -> None:
    """Report a line where it disturbs no document on standard output."""
    sys.stderr.write(f"{line}\n")


def run_workers(jobs: Sequence[Job], context: Context, workers: int) -> None:
    """Have several threads work on the jobs until none is left or a signal came.

    Ctrl-C and SIGTERM reach the runs, which write a checkpoint and end.
    """
    context.work.mkdir(parents=True, exist_ok=True)
    troubles: List[BaseException] = []

    def worker() -> None:
        try:
            work_on(jobs, context)
        except BaseException as error:
            troubles.append(error)
            context.stop.set()

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(workers)]
    with Stopping(context):
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            # A thread that is waited for without a limit would keep signals from this one.
            for thread in threads:
                thread.join(timeout=0.2)
    if troubles:
        raise troubles[0]


class Stopping(Catcher):
    """Passes SIGINT and SIGTERM on to the runs of a context and lets no new one begin."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def catch(self, number: int, frame: Any) -> None:
        """Pass a signal on."""
        del frame
        self.context.signal = number
        self.context.stop.set()
        for process in list(self.context.running.values()):
            send(process, number)
