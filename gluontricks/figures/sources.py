"""Where a figure's numbers come from: the records of runs, by directory or by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from gluontricks.errors import DataError
from gluontricks.results import registry


def find_record(source: str, results_dir: Path) -> Mapping[str, Any]:
    """Return the record of a run's directory, or that of a run id in the registry.

    Raises
    ------
    DataError
        If there is none.
    """
    if Path(source).is_dir():
        return registry.run_record(Path(source))
    for record in registry.load(results_dir):
        if record["run_id"] == source:
            return record
    raise DataError(
        f"'{source}' is no directory of a run, and no record of '{results_dir}'",
        "name a directory that training wrote, or a run id",
    )
