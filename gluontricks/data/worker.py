"""A process that decodes images: jobs come on its standard input, pixels go into shared memory.

Started by :mod:`gluontricks.data.pool`; it loads no framework, and ends when its parent does.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from typing import Any, BinaryIO, Dict, NamedTuple, Optional, Tuple

import numpy as np

HEADER = struct.Struct("<Q")


class Setup(NamedTuple):
    """What a worker works on: batches lie one after the other in a file, ``shape`` is of them all.

    The file has no name; ``handle`` is what the process was started with.
    """

    listing: Any
    view: Any
    handle: int
    shape: Tuple[int, ...]


class Job(NamedTuple):
    """Images to make: their places in a slot, their indices in the listing, and their draws."""

    slot: int
    rows: np.ndarray
    indices: np.ndarray
    draws: Dict[str, np.ndarray]


class Failure(NamedTuple):
    """An error: the name of its class, its cause and its remedy."""

    kind: str
    cause: str
    remedy: str


def packed(message: Any) -> bytes:
    """Return what is sent for a message."""
    content = pickle.dumps(message, protocol=4)
    return HEADER.pack(len(content)) + content


def receive(stream: BinaryIO) -> Optional[Any]:
    """Return the next message; None at the end."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    return pickle.loads(stream.read(HEADER.unpack(head)[0]))


def do(job: Job, setup: Setup, memory: np.ndarray) -> Optional[Failure]:
    """Make the images of one job; return what went wrong."""
    from gluontricks.errors import GluontricksError, one_line

    try:
        images = setup.view.images(setup.listing, job.indices.tolist(), job.draws)
    except GluontricksError as error:
        return Failure(type(error).__name__, error.cause, error.remedy)
    except Exception as error:
        where = setup.listing.where(culprit(job, setup))
        return Failure(
            "WorkerError",
            f"decoding '{where}' failed: {type(error).__name__}: {one_line(error)}",
            "leave the image out; 'gluontricks data verify' tells whether it is damaged",
        )
    memory[job.slot][job.rows] = images
    return None


def culprit(job: Job, setup: Setup) -> int:
    """Return the index of the first image of a job that fails alone, or of its first."""
    for place, index in enumerate(job.indices.tolist()):
        draws = {name: values[place : place + 1] for name, values in job.draws.items()}
        try:
            setup.view.images(setup.listing, [index], draws)
        except Exception:
            return index
    return int(job.indices[0])


def main() -> None:
    """Do jobs until there are no more."""
    # A stop is sent to every process of a job: the run's own decides what follows from it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not come between the messages.
    sys.stdout = sys.stderr
    setup = receive(source)
    if setup is None:
        return
    with os.fdopen(setup.handle, "r+b") as file:
        memory = np.memmap(file, dtype=np.uint8, mode="r+", shape=setup.shape)
    answer = None
    while True:
        target.write(packed(answer))
        target.flush()
        job = receive(source)
        if job is None:
            return
        answer = do(job, setup, memory)
