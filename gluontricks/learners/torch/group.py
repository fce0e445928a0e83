"""The processes that share every batch, on one machine or several."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from typing import Any, Dict, List, Tuple

import torch
from torch import distributed

from gluontricks.errors import UsageError, WorkerError, one_line
from gluontricks.learners.torch.blocks import joined, views_of
from gluontricks.learners.torch.multi import foreach
from gluontricks.processes import Processes

# An evaluation or a checkpoint of the first process, for which the others wait.
PATIENCE = timedelta(hours=2)


class Group:
    """One process alone, or a member of those that torchrun started.

    Parameters
    ----------
    place : Processes

    Attributes
    ----------
    broken : bool
        Whether another process has ended.
    at_work : bool
        Whether the others wait for this process's part of something.
    """

    def __init__(self, place: Processes = Processes()) -> None:  # noqa: B008 (immutable)
        self.rank, self.size = place
        self.broken = self.at_work = False

    def join(self) -> None:
        """Meet the others.

        Raises
        ------
        UsageError
            If the environment does not say where.
        """
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            distributed.init_process_group(backend, timeout=PATIENCE)
        except (ValueError, RuntimeError) as error:
            raise UsageError(
                f"the {self.size} processes of this run do not meet ({one_line(error)})",
                "start them with torchrun, or unset RANK and WORLD_SIZE for one process alone",
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.terminated)

    def terminated(self, number: int, frame: Any) -> None:
        """End by the signal, unless there is an end to tell: torchrun ends all if one has ended."""
        del frame
        if not self.broken:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def leave(self) -> None:
        """Part from the others."""
        distributed.destroy_process_group()

    def own(self, shards: int) -> range:
        """Return the shards of a batch that are this process's."""
        return Processes(self.rank, self.size).own(shards)

    def add_up(self, tensors: List[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange.

        Raises
        ------
        WorkerError
            If another process has ended.
        """
        if self.size == 1:
            return
        block = joined(tensors)
        self.together(distributed.all_reduce, block)
        foreach._foreach_copy_(tensors, views_of(block, tensors))

    def tell(self, *numbers: int) -> Tuple[int, ...]:
        """Return two numbers that the first process gives and all receive."""
        told = torch.tensor(numbers or (0, 0), dtype=torch.int64)
        self.together(distributed.broadcast, told, 0)
        return tuple(int(n) for n in told)

    def share(self, tensors: List[torch.Tensor], counters: Dict[str, float]) -> Dict[str, float]:
        """Give the others the first process's tensors, in place, and its counters."""
        for tensor in tensors:
            # A tensor with its channels innermost is sent as it lies in memory.
            plain = tensor.contiguous()
            self.together(distributed.broadcast, plain, 0)
            tensor.copy_(plain)
        names = sorted(counters)
        values = torch.tensor([float(counters[name]) for name in names], dtype=torch.float64)
        self.together(distributed.broadcast, values, 0)
        return dict(zip(names, values.tolist()))

    def give_state(self, learner: Any) -> None:
        """Give the learners of the others the state of the first process's."""
        tensors = learner.tensors()
        counters = self.share([tensors[key] for key in sorted(tensors)], learner.counters())
        learner.take_counters(counters)

    def together(self, exchange: Any, *values: Any) -> None:
        """Do one exchange between the processes; the end of one is an error of the others."""
        try:
            exchange(*values)
        except RuntimeError as error:
            self.broken = True
            raise WorkerError(
                "another process of this run has ended; see its own message",
                "start the run again: it goes on from its last checkpoint",
            ) from error
