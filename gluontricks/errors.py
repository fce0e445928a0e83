"""Errors a user can act on: one line of cause, one line of remedy, one exit code each."""

from __future__ import annotations

import difflib
from typing import Any, Iterable, Tuple

# Names that an error lists at most: it is to stay one line.
LISTED = 12


class GluontricksError(Exception):
    """An error with a remedy.

    Parameters
    ----------
    cause : str
        What is wrong, with the value received.
    remedy : str
        What the user can do about it.
    """

    code = 70

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> Tuple[Any, ...]:
        """Return how another process's error is made again."""
        return type(self), (self.cause, self.remedy)


class UsageError(GluontricksError, ValueError):
    """A flag, a recipe or an argument that cannot be meant."""

    code = 2


class DataError(GluontricksError, ValueError):
    """Data or weights that are missing, damaged or do not fit."""

    code = 65


class DownloadError(GluontricksError):
    """A download that failed or did not match its checksum."""

    code = 69


class OutputError(GluontricksError):
    """An output folder that cannot be created or written."""

    code = 73


class DiskError(GluontricksError):
    """A full disk, or another failure of reading or writing."""

    code = 74


class LockedError(GluontricksError):
    """Another run holds the run directory."""

    code = 75


class WorkerError(GluontricksError):
    """Another process of the same run has ended."""

    code = 76


class DivergedError(GluontricksError):
    """Training produced a number that is not finite."""

    code = 80


class IntegrityError(GluontricksError):
    """Something written does not read back as it was, or a hash does not match."""

    code = 81


def one_line(error: BaseException) -> str:
    """Return the line of an error's text that tells what is wrong."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    # MXNet's errors hold a traceback of their own.
    return lines[-1 if lines[0].startswith("Traceback") else 0][:300]


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the closest of ``names``, or a list of them all.

    Parameters
    ----------
    name : str
        What the user typed.
    names : iterable of str
        What exists.

    Returns
    -------
    str
        One sentence for the remedy of an error.
    """
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listing = ", ".join(known[:LISTED]) + more
    return f"did you mean '{close[0]}'? There are: {listing}" if close else f"there are: {listing}"


def unknown(kind: str, name: str, names: Iterable[str]) -> UsageError:
    """Return the error for a name that no registry of ``kind`` holds."""
    return UsageError(f"unknown {kind} '{name}'", nearest(name, names))
