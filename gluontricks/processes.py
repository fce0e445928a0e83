"""The processes of one run, as torchrun or a job of MXNet's parameter server tells each of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple, Optional

from gluontricks.errors import UsageError, unknown

# What MXNet's parameter server reads.
ROLE, WORKERS = "DMLC_ROLE", "DMLC_NUM_WORKER"
DIST_SYNC = "dist_sync"
# Of one process, whatever its devices: GluonCV's default, and MXNet's other name for it.
ALONE = ("device", "local")

# Names the file in which the first of the processes that were started together tells its end.
TOLD = "GLUONTRICKS_TOLD"
# How long those that end because another has leave that one to tell why.
PATIENCE = 2.0


class Processes(NamedTuple):
    """Number of this process, and how many there are."""

    rank: int = 0
    count: int = 1

    def own(self, shards: int) -> range:
        """Return the shards of a batch that are this process's."""
        each = shards // self.count
        return range(self.rank * each, (self.rank + 1) * each)


_rank = 0


def number(rank: int) -> None:
    """Take note of the number that the parameter server gave this worker."""
    global _rank
    _rank = rank


def processes() -> Processes:
    """Return what the environment says; one process alone if it says nothing.

    A worker of a job has number 0 until :func:`number` tells it another.

    Raises
    ------
    UsageError
        If its numbers cannot be.
    """
    if os.environ.get(ROLE) == "worker":
        return Processes(_rank, worker_count())
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdigit() and count.isdigit() and int(rank) < int(count)):
        raise UsageError(
            f"RANK={rank} and WORLD_SIZE={count} are no process of a run",
            "start with torchrun, or unset both",
        )
    return Processes(int(rank), int(count))


def is_first_to_tell(text: str, *, follows: bool) -> bool:
    """Return whether this process is to tell its end: not what another has told.

    Parameters
    ----------
    text : str
        What it would say.
    follows : bool
        Whether it only ends because another process has.
    """
    if TOLD not in os.environ:
        return True
    path = Path(os.environ[TOLD])
    until = time.monotonic() + (PATIENCE if follows else 0.0)
    while time.monotonic() < until and not path.exists():
        time.sleep(0.05)
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
        return True
    except FileExistsError:
        return not follows and path.read_text(encoding="utf-8") != text
    except OSError:
        # Told twice is better than not at all.
        return True


def worker_count() -> int:
    """Return how many workers the job of this one has.

    Raises
    ------
    UsageError
        If the environment does not say.
    """
    count = os.environ.get(WORKERS, "")
    if not count.isdigit() or int(count) < 1:
        raise UsageError(
            f"{ROLE} is 'worker', and {WORKERS} is '{count}'",
            "start the workers with 'gluontricks launch -n 2 -- COMMAND'",
        )
    return int(count)


def checked_kvstore(kvstore: Optional[str]) -> Optional[str]:
    """Return the kind of parameter server that the processes of a run meet at, None without one.

    Parameters
    ----------
    kvstore : str, optional
        The value of ``--kvstore``.

    Raises
    ------
    UsageError
        If it is none that trains here, or the environment contradicts it.
    """
    role = os.environ.get(ROLE)
    if kvstore is None or kvstore in ALONE:
        if role is not None:
            raise UsageError(
                f"{ROLE} is '{role}', so this process belongs to a job, without --kvstore",
                f"give --kvstore {DIST_SYNC}, or unset {ROLE}",
            )
        return None
    if kvstore.startswith("dist") and kvstore != DIST_SYNC:
        raise UsageError(
            f"--kvstore {kvstore} is not here, where every update waits for all workers and sums "
            "are made on the CPU",
            f"give --kvstore {DIST_SYNC}",
        )
    if kvstore != DIST_SYNC:
        raise unknown("kvstore", kvstore, (*ALONE, DIST_SYNC))
    if role != "worker":
        raise UsageError(
            f"--kvstore {DIST_SYNC}, and {ROLE} does not say that this is a worker of a job",
            "start it with 'gluontricks launch -n 2 -- COMMAND'",
        )
    return kvstore
