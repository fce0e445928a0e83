"""What the scripts share that write a part of the results, or say whether it is fresh."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, List, Optional

from gluontricks.cli import guarded
from gluontricks.cli.parser import put
from gluontricks.errors import DataError

Names = Callable[[Path], List[str]]


def main(
    script: Path,
    about: Optional[str],
    *,
    stale: Names,
    write: Names,
    place: Callable[[str], str] = str,
    remark: str = "",
) -> int:
    """Return 0 if everything is written or fresh, 1 if ``--check`` finds something stale.

    Parameters
    ----------
    script : Path
        The script's own file, in the folder beside that of the results.
    about : str
        What it does.
    stale, write : callable
        Take the results folder; return the names of the files that are stale, or were and are
        written now.
    place : callable
        Takes a name; returns where its file lies, as it is told.
    remark : str
        What to say of a check besides.
    """
    results = script.resolve().parents[1] / "results"
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--results", type=Path, default=results, help="folder of the results")
    options = parser.parse_args()

    def action() -> int:
        if not options.results.is_dir():
            raise DataError(f"there is no folder '{options.results}'", "name it with --results")
        names = (stale if options.check else write)(options.results)
        for name in names:
            put(f"{'stale' if options.check else 'wrote'}: {place(name)}")
        if not options.check:
            return 0
        if remark:
            put(remark)
        if names:
            sys.stderr.write(f"run `python scripts/{script.name}` and commit what it writes\n")
        return 1 if names else 0

    return guarded(action, debug=False)
