"""The processes of one run, as torchrun tells each of them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gluontricks.errors import UsageError

# Names the file in which the first of the processes that were started together tells its end.
TOLD = "GLUONTRICKS_TOLD"
# How long those that end because another has leave that one to tell why.
PATIENCE = 2.0


class Processes(NamedTuple):
    """Number of this process, and how many there are."""

    rank: int = 0
    count: int = 1


def processes() -> Processes:
    """Return what the environment says; one process alone if it says nothing.

    Raises
    ------
    UsageError
        If its numbers cannot be.
    """
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
    with suppress(FileExistsError):
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
        return True
    return not follows and path.read_text(encoding="utf-8") != text
