"""A process that decodes images: jobs come on its standard input, pixels go into shared memory.

Started by :mod:`gluontricks.data.loader`; it loads no framework, and ends when its parent does.
"""

from __future__ import annotations

import pickle
import struct
import sys
from typing import Any, BinaryIO, Dict, NamedTuple, Optional, Tuple

import numpy as np

HEADER = struct.Struct("<Q")


class Setup(NamedTuple):
    """What a worker works on: ``slots`` batches of ``shape`` lie one after the other in a file."""

    listing: Any
    view: Any
    path: str
    slots: int
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


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    content = pickle.dumps(message, protocol=4)
    stream.write(HEADER.pack(len(content)) + content)
    stream.flush()


def receive(stream: BinaryIO) -> Optional[Any]:
    """Return the next message; None at the end."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    return pickle.loads(stream.read(HEADER.unpack(head)[0]))


def do(job: Job, setup: Setup, memory: np.ndarray) -> Optional[Failure]:
    """Make the images of one job; return what went wrong."""
    from gluontricks.errors import GluontricksError, one_line

    if not len(job.rows):
        return None
    try:
        images = setup.view.images(setup.listing, job.indices.tolist(), job.draws)
    except GluontricksError as error:
        return Failure(type(error).__name__, error.cause, error.remedy)
    except Exception as error:
        where = setup.listing.where(int(job.indices[0]))
        return Failure(
            "WorkerError",
            f"decoding a batch with '{where}' failed: {type(error).__name__}: {one_line(error)}",
            "'gluontricks data verify' tells which image it is",
        )
    memory[job.slot][job.rows] = images
    return None


def main() -> None:
    """Do jobs until there are no more."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not come between the messages.
    sys.stdout = sys.stderr
    setup = receive(source)
    if setup is None:
        return
    memory = np.memmap(setup.path, dtype=np.uint8, mode="r+", shape=(setup.slots, *setup.shape))
    send(target, None)
    while True:
        job = receive(source)
        if job is None:
            return
        send(target, do(job, setup, memory))
