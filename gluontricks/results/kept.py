"""Files in the results folder that a script writes and tables are made from, and tables as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Optional, Sequence

from gluontricks.errors import IntegrityError


def load_kept(
    path: Path, sound: Callable[[Any], bool], *, what: str, script: str
) -> Optional[Dict[str, Any]]:
    """Return the document that a script keeps at ``path``; None where there is none.

    Parameters
    ----------
    path : Path
    sound : callable
        Whether a document is one that the script writes. It may raise what a missing key does.
    what : str
        What an error calls the document.
    script : str
        Where it comes from.

    Raises
    ------
    IntegrityError
        If the file is not what the script writes.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
        whole = sound(found)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise IntegrityError(f"{path} is no {what}", f"write it anew: python {script}")
    return dict(found)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV, the same bytes on every system."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
    return stream.getvalue()
