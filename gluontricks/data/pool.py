"""Processes that decode the images of batches, each its part, into memory shared with this one."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Deque, Dict, List, NamedTuple, Optional

import numpy as np

from gluontricks import errors
from gluontricks.data.listing import Listing
from gluontricks.data.worker import HEADER, Failure, Job, Setup, packed
from gluontricks.errors import DiskError, WorkerError

# A piece of a batch that takes longer than this will not come.
PATIENCE = 60.0
SHARED = Path("/dev/shm")
PACKAGE = Path(__file__).resolve().parents[2]
# Without the folder that the run was started in, where a file may have the name of a module.
START = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "from gluontricks.data.worker import main; main()"
)
FEWER = (
    "-9 is often a lack of memory: give fewer --num-workers; the same command goes on from the "
    "last checkpoint"
)


class Request:
    """A batch to be decoded: its images' indices and draws, and the places that are needed."""

    def __init__(
        self, indices: np.ndarray, draws: Dict[str, np.ndarray], rows: Optional[np.ndarray] = None
    ) -> None:
        self.indices, self.draws = indices, draws
        self.rows = np.arange(len(indices)) if rows is None else rows

    def piece(self, part: int, parts: int, slot: int) -> Job:
        """Return the job of one of ``parts`` processes."""
        rows = self.rows[part::parts]
        return Job(slot, rows, self.indices[rows], {k: v[rows] for k, v in self.draws.items()})


class Pool:
    """Processes that decode, and the memory that they share with this one.

    Parameters
    ----------
    listing : Listing
    view : PlainView or TrainView
    workers : int
        Processes, at most.
    room : int
        Images that a batch may have.
    slots : int
        Batches that may be under way.

    Raises
    ------
    DiskError
        If there is no room for so many images.
    WorkerError
        If a process cannot be started.
    """

    def __init__(self, listing: Listing, view: Any, workers: int, *, room: int, slots: int) -> None:
        self.listing, self.room = listing, room
        shape = (slots, room, view.size, view.size, 3)
        self.workers: List[Worker] = []
        self.under_way: Deque[Asked] = deque()
        self.number = 0
        # The file has no name, so that nothing is left of it however the run ends.
        with shared_file(int(np.prod(shape))) as file:
            self.memory = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
            setup = packed(Setup(listing, view, file.fileno(), shape))
            try:
                for _ in range(min(workers, room)):
                    self.workers.append(Worker(file.fileno()))
                for worker in self.workers:
                    worker.send(setup, "its start")
                for worker in self.workers:
                    worker.receive()
            except BaseException:
                self.close()
                raise

    def ask(self, request: Request) -> None:
        """Have the processes make the images of a request."""
        slot, busy = self.number % len(self.memory), []
        self.number += 1
        for part, worker in enumerate(self.workers):
            job = request.piece(part, len(self.workers), slot)
            if len(job.indices):
                worker.send(packed(job), f"'{self.listing.where(int(job.indices[0]))}'")
                busy.append(worker)
        self.under_way.append(Asked(request, slot, busy))

    def answer(self) -> np.ndarray:
        """Return the images of the oldest request, when they are there."""
        request, slot, busy = self.under_way.popleft()
        for worker in busy:
            worker.receive()
        images = np.array(self.memory[slot][: len(request.indices)])
        images[np.setdiff1d(np.arange(len(images)), request.rows)] = 0
        return images

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.close()


class Asked(NamedTuple):
    """A request that is under way: where its images will lie, and who makes some of them."""

    request: Request
    slot: int
    workers: List[Worker]


class Worker:
    """One process that decodes; see :mod:`gluontricks.data.worker`.

    Parameters
    ----------
    handle : int
        Of the shared memory.
    """

    def __init__(self, handle: int) -> None:
        self.asked: Deque[str] = deque()
        self.told = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            # A session of its own: Ctrl-C is for the run, which then ends its processes.
            self.process = subprocess.Popen(
                [sys.executable, "-c", START],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.told,
                start_new_session=True,
                pass_fds=(handle,),
                env=environment(),
            )
        except OSError as error:
            self.told.close()
            raise WorkerError(
                f"a process that decodes images cannot be started ({error.strerror})", FEWER
            ) from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.to, False)

    def send(self, content: bytes, about: str) -> None:
        """Hand a message over; ``about`` is what an error calls it."""
        self.asked.append(about)
        rest = memoryview(content)
        while rest:
            # A process that hangs does not read either.
            if not select.select([], [self.to], [], PATIENCE)[1]:
                raise self.silent()
            try:
                rest = rest[os.write(self.to, rest) :]
            except OSError as error:
                raise self.gone() from error

    def receive(self) -> None:
        """Wait for the answer to the oldest message.

        Raises
        ------
        GluontricksError
            What went wrong in the process, or with it.
        """
        (length,) = HEADER.unpack(self.read(HEADER.size))
        failure = pickle.loads(self.read(length))
        self.asked.popleft()
        if isinstance(failure, Failure):
            raise getattr(errors, failure.kind)(failure.cause, failure.remedy)

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes that the process writes."""
        content = b""
        while len(content) < count:
            if not select.select([self.back], [], [], PATIENCE)[0]:
                raise self.silent()
            piece = os.read(self.back, count - len(content))
            if not piece:
                raise self.gone()
            content += piece
        return content

    def silent(self) -> WorkerError:
        """Return the error of a process that does nothing any more."""
        return WorkerError(
            f"a process that decodes images has not answered for {PATIENCE:.0f} s, "
            f"at {self.asked[0]}",
            "check the disk; the same command goes on from the last checkpoint",
        )

    def gone(self) -> WorkerError:
        """Return the error of a process that is no more."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        why = f" ({self.last_words()})" if code is not None and code > 0 else ""
        return WorkerError(
            f"a process that decodes images ended with {code}{why}, at {self.asked[0]}", FEWER
        )

    def last_words(self) -> str:
        """Return the last line that the process has printed."""
        self.told.seek(max(self.told.seek(0, os.SEEK_END) - 2000, 0))
        lines = self.told.read().decode("utf-8", "replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no message")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.told):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


def environment() -> Dict[str, str]:
    """Return the environment of a process that decodes: this package, one thread."""
    own = dict(os.environ)
    own["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), *filter(None, [own.get("PYTHONPATH")])])
    own.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    return own


def shared_file(length: int) -> BinaryIO:
    """Return a new file of ``length`` bytes without a name, in memory if possible.

    Raises
    ------
    DiskError
        If there is no room for it.
    """
    roomy = SHARED.is_dir() and shutil.disk_usage(SHARED).free > length
    for place in [str(SHARED), None] if roomy else [None]:
        with suppress(OSError):
            file = tempfile.TemporaryFile(prefix="gluontricks-", dir=place)  # noqa: SIM115 (returned)
            try:
                # Writing into a file that has no room would kill the process.
                os.posix_fallocate(file.fileno(), 0, length)
                return file  # type: ignore[return-value]
            except OSError:
                file.close()
    raise DiskError(
        f"there are no {length / 2**20:.0f} MB for decoded images in memory or on disk",
        "make room, name another folder with TMPDIR, or give --num-workers 0",
    )
