"""The workers of a job that meet at MXNet's parameter server, which adds up what they push."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
from typing import Any, Dict, List, NoReturn, Sequence, Tuple

import numpy as np

from gluontricks.errors import UsageError
from gluontricks.learners import LearnerState
from gluontricks.mxnet_shim import mx
from gluontricks.processes import DIST_SYNC, Processes, number

# Floats of a state that travel at once.
PIECE = 2**20
# Seconds in which the scheduler must have started.
PATIENCE = 60.0
FAILED = 70


class Group:
    """One process alone, or a worker of a job.

    The server holds nothing but sums: parameters, rates and the optimizer's state are every
    worker's own, and equal. It carries float32 only.

    Attributes
    ----------
    rank, size : int
        Number of this worker, which the scheduler chose, and how many there are.
    at_work : bool
        Whether the others wait for this process's part of something.
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.at_work = False
        self.store: Any = None
        self.lines: Dict[str, Tuple[List[int], List[Any]]] = {}

    def join(self) -> None:
        """Meet the others.

        Raises
        ------
        UsageError
            If there is no scheduler where the environment says.
        """
        wait_for_scheduler()
        self.store = mx.kv.create(DIST_SYNC)
        self.rank, self.size = self.store.rank, self.store.num_workers
        number(self.rank)

    def leave(self) -> None:
        """Part from the others; while they wait for this process, its end is to be noticed."""
        if self.at_work:
            # The store's own end would wait for the others, and they for this process.
            code = getattr(sys.exc_info()[1], "code", FAILED)
            atexit.register(end_at_once, code)
            return
        mx.nd.waitall()
        self.lines.clear()
        self.store = None

    def own(self, shards: int) -> range:
        """Return the shards of a batch that are this process's."""
        return Processes(self.rank, self.size).own(shards)

    def add_up(self, name: str, arrays: Sequence[Any]) -> List[Any]:
        """Return the sums of arrays over all workers, which the next call of a name overwrites.

        Nothing waits: whoever reads a sum does.

        Parameters
        ----------
        name : str
            Of an exchange, in which every worker takes part with arrays of the same shapes.
        arrays : sequence of NDArray
            float32; unchanged.
        """
        if self.size == 1:
            return list(arrays)
        if name not in self.lines:
            self.lines[name] = self.opened(arrays)
        keys, sums = self.lines[name]
        for array, own in zip(arrays, sums):
            array.copyto(own)
        # A key's push and pull share an array at every call, or MXNet might change their order.
        self.store.push(keys, sums)
        self.store.pull(keys, out=sums)
        return sums

    def opened(self, arrays: Sequence[Any]) -> Tuple[List[int], List[Any]]:
        """Return new keys of the store, and the arrays that are pushed and pulled by them."""
        first = sum(len(keys) for keys, _ in self.lines.values())
        keys = list(range(first, first + len(arrays)))
        sums = [mx.nd.zeros(array.shape) for array in arrays]
        self.store.init(keys, sums)
        return keys, sums

    def given(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the float32 values that the first process gives and all receive."""
        mine = values if self.rank == 0 else np.zeros_like(values)
        return self.add_up(name, [mx.nd.array(mine)])[0].asnumpy()

    def tell(self, *numbers: int) -> Tuple[int, ...]:
        """Return two numbers that the first process gives and all receive."""
        told = self.exactly("told", np.array(numbers or (0, 0), dtype=np.int64))
        return tuple(int(n) for n in told)

    def exactly(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return values of 64 bits that the first process gives: a float32 for each byte."""
        sent = np.frombuffer(values.tobytes(), dtype=np.uint8).astype(np.float32)
        return np.frombuffer(self.given(name, sent).astype(np.uint8).tobytes(), dtype=values.dtype)

    def give_state(self, learner: Any) -> None:
        """Give the learners of the others the state of the first process's."""
        own = learner.state()
        keys, counters = sorted(own.arrays), sorted(own.counters)
        flat = np.concatenate([own.arrays[key].ravel() for key in keys])
        pieces = np.array_split(flat, -(-len(flat) // PIECE))
        length = len(pieces[0])
        received = [self.given("state", padded(piece, length))[: len(piece)] for piece in pieces]
        numbers = np.array([own.counters[name] for name in counters], dtype=np.float64)
        values = self.exactly("counters", numbers)
        if self.rank:
            arrays = split(np.concatenate(received), {key: own.arrays[key] for key in keys})
            learner.load_state(LearnerState(arrays, dict(zip(counters, values.tolist()))))


def padded(piece: np.ndarray, length: int) -> np.ndarray:
    """Return a vector with zeros after it."""
    return np.concatenate([piece, np.zeros(length - len(piece), dtype=piece.dtype)])


def split(flat: np.ndarray, like: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return the parts of a vector in the shapes of arrays that it was joined from."""
    ends = np.cumsum([array.size for array in like.values()])[:-1]
    parts = np.split(flat, ends)
    return {key: part.reshape(like[key].shape) for key, part in zip(like, parts)}


def wait_for_scheduler() -> None:
    """Return when the job's scheduler answers.

    MXNet would wait for ever, without a word.

    Raises
    ------
    UsageError
        If it does not in a minute, or the environment does not say where it is.
    """
    host, port = os.environ.get("DMLC_PS_ROOT_URI", ""), os.environ.get("DMLC_PS_ROOT_PORT", "")
    remedy = "start all of a job with 'gluontricks launch -n 2 -- COMMAND'"
    if not (host and port.isdigit()):
        raise UsageError(f"the job's scheduler is said to be at '{host}:{port}'", remedy)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=5.0).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise UsageError(
                    f"the job's scheduler at {host}:{port} does not answer ({error})", remedy
                ) from error
            time.sleep(0.2)


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for anybody."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
