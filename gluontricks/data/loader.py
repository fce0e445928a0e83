"""Batches of images on disk, decoded ahead of time by processes.

Results do not depend on the number of processes: an image is a function of its file and its draws.
"""

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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterable, Iterator, List, Optional

import numpy as np

from gluontricks import errors
from gluontricks.data.listing import Listing
from gluontricks.data.worker import HEADER, Failure, Job, Setup, send
from gluontricks.errors import DiskError, WorkerError

if TYPE_CHECKING:
    from gluontricks.pipeline import Batch

# Batches that are decoded ahead of the one that is used.
AHEAD = 2
# A piece of a batch that takes longer than this will not come.
PATIENCE = 120.0
SHARED = Path("/dev/shm")
PACKAGE = Path(__file__).resolve().parents[2]
Needed = Callable[[Any], np.ndarray]


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


class Loader:
    """Decodes what is asked for, in order, a little ahead.

    Parameters
    ----------
    listing : Listing
    workers : int
        Processes; 0 decodes here.
    view : PlainView or TrainView
        What is made of an image.
    """

    def __init__(self, listing: Listing, *, workers: int, view: Any) -> None:
        self.listing, self.view = listing, view
        self.count = workers
        self.pool: Optional[Pool] = None

    def batches(self, drawn: Iterable[Batch], needed: Optional[Needed] = None) -> Iterator[Batch]:
        """Yield batches with their images, augmented, in place of the draws of augmentation.

        Parameters
        ----------
        drawn : iterable of Batch
            With indices.
        needed : callable, optional
            Tells the places in a batch whose images are used here; the others stay black.

        Raises
        ------
        DataError
            If an image is damaged.
        WorkerError
            If a process has died, or does not answer.
        """
        waiting: Deque[Batch] = deque()

        def requests() -> Iterator[Request]:
            for batch in drawn:
                waiting.append(batch)
                rows = None if needed is None else needed(batch)
                assert batch.indices is not None
                yield Request(batch.indices, dict(batch.augment), rows)

        for images in self.decoded(requests()):
            yield replace(waiting.popleft(), images=images, augment={})

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """Yield all images in order, ``size`` at a time; the last may be fewer."""
        starts = range(0, len(self.listing), size)
        every = np.arange(len(self.listing))
        yield from self.decoded(Request(every[start : start + size], {}) for start in starts)

    def decoded(self, requests: Iterator[Request]) -> Iterator[np.ndarray]:
        """Yield the images of each request, uint8 (N, size, size, 3)."""
        if not self.count:
            for request in requests:
                yield self.here(request)
            return
        under_way: Deque[Request] = deque()
        number = 0
        try:
            for request in requests:
                pool = self.pool_for(len(request.indices))
                under_way.append(request)
                pool.ask(request, number)
                number += 1
                if len(under_way) > AHEAD:
                    yield pool.answer(under_way.popleft(), number - 1 - AHEAD)
            while under_way and self.pool is not None:
                yield self.pool.answer(under_way.popleft(), number - len(under_way) - 1)
        finally:
            if under_way:
                # Unread answers would be taken for those to later questions.
                self.close()

    def here(self, request: Request) -> np.ndarray:
        """Return the images of a request, made in this process."""
        job = request.piece(0, 1, 0)
        images = np.zeros((len(request.indices), self.view.size, self.view.size, 3), np.uint8)
        images[job.rows] = self.view.images(self.listing, job.indices.tolist(), job.draws)
        return images

    def pool_for(self, count: int) -> Pool:
        """Return the processes, with room for ``count`` images in a batch."""
        if self.pool is not None and self.pool.setup.shape[0] < count:
            self.close()
        if self.pool is None:
            self.pool = Pool(self, count)
        return self.pool

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None


class Pool:
    """The processes of a loader, and the memory that they share with it."""

    def __init__(self, loader: Loader, batch_size: int) -> None:
        size = loader.view.size
        shape = (batch_size, size, size, 3)
        slots = AHEAD + 1
        path = shared_file(slots * int(np.prod(shape)))
        self.setup = Setup(loader.listing, loader.view, path, slots, shape)
        self.workers: List[Worker] = []
        try:
            self.memory = np.memmap(path, dtype=np.uint8, mode="r+", shape=(slots, *shape))
            self.workers = [Worker(loader.listing) for _ in range(min(loader.count, batch_size))]
            for worker in self.workers:
                worker.send(self.setup)
            for worker in self.workers:
                worker.receive()
        except BaseException:
            self.close()
            raise
        finally:
            # From here on it goes when the last process does.
            os.unlink(path)

    def ask(self, request: Request, number: int) -> None:
        """Have the processes make the images of the ``number``-th request."""
        slot = number % self.setup.slots
        for part, worker in enumerate(self.workers):
            worker.send(request.piece(part, len(self.workers), slot))

    def answer(self, request: Request, number: int) -> np.ndarray:
        """Return the images of a request, when they are there."""
        for worker in self.workers:
            worker.receive()
        images = np.array(self.memory[number % self.setup.slots][: len(request.indices)])
        missing = np.setdiff1d(np.arange(len(images)), request.rows)
        images[missing] = 0
        return images

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.close()


class Worker:
    """One process that decodes; see :mod:`gluontricks.data.worker`."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        # A session of its own: Ctrl-C is for the run, which then ends its processes.
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from gluontricks.data.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
        )
        self.asked: Deque[str] = deque()

    def send(self, message: Any) -> None:
        """Hand a message over."""
        where = "its first image"
        if isinstance(message, Job) and len(message.indices):
            where = self.listing.where(int(message.indices[0]))
        self.asked.append(where)
        assert self.process.stdin is not None
        try:
            send(self.process.stdin, message)  # type: ignore[arg-type]
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
        assert self.process.stdout is not None
        source = self.process.stdout.fileno()
        content = b""
        while len(content) < count:
            if not select.select([source], [], [], PATIENCE)[0]:
                raise WorkerError(
                    f"a process that decodes images has not answered for {PATIENCE:.0f} s, "
                    f"at '{self.asked[0]}'",
                    "check the disk; the same command goes on from the last checkpoint",
                )
            piece = os.read(source, count - len(content))
            if not piece:
                raise self.gone()
            content += piece
        return content

    def gone(self) -> WorkerError:
        """Return the error of a process that is no more."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        where = self.asked[0] if self.asked else "its start"
        return WorkerError(
            f"a process that decodes images ended with {self.process.returncode}, at '{where}'",
            "-9 is often a lack of memory: give fewer --num-workers; the same command goes on "
            "from the last checkpoint",
        )

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


def environment() -> Dict[str, str]:
    """Return the environment of a process that decodes: this package, one thread."""
    own = dict(os.environ)
    own["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), *filter(None, [own.get("PYTHONPATH")])])
    own.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    return own


def shared_file(length: int) -> str:
    """Return the path of a new file of ``length`` bytes, in memory if possible.

    Raises
    ------
    DiskError
        If there is no room for it.
    """
    places = [str(SHARED)] if SHARED.is_dir() and shutil.disk_usage(SHARED).free > length else []
    for place in [*places, None]:
        handle, path = tempfile.mkstemp(prefix="gluontricks-", dir=place)
        try:
            # Writing into a file that has no room would kill the process.
            os.posix_fallocate(handle, 0, length)
            return path
        except OSError:
            os.unlink(path)
        finally:
            os.close(handle)
    raise DiskError(
        f"there are no {length / 2**20:.0f} MB for decoded images in {tempfile.gettempdir()}",
        "make room, name another folder with TMPDIR, or give --num-workers 0",
    )
