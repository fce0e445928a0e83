"""The processes of one run, as torchrun tells each of them."""

from __future__ import annotations

import os
from typing import NamedTuple

from gluontricks.errors import UsageError


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
