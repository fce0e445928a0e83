"""Values from the authors' own repositories and from leaderboards, as ``external.csv`` has them.

No paper prints them; they have the label AUTHOR-REPO and a table of their own.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from gluontricks.recipes.published import parse_value

FILE = Path(__file__).with_name("external.csv")
LABEL = "AUTHOR-REPO"


@dataclass(frozen=True)
class External:
    """One value from a repository. ``value`` is its text there, ``number`` what that says.

    Accuracies and consistencies are in percent unless the metric ends in ``_frac`` or ``_runs``,
    which holds the single runs.
    """

    id: str
    paper: str
    source: str
    row: str
    dataset: str
    model: str
    metric: str
    value: str
    number: Optional[float]
    std: Optional[float]
    runs: Optional[int]
    note: str


@functools.lru_cache(maxsize=None)
def external() -> Tuple[External, ...]:
    """Return every value, in the order of the file."""
    with open(FILE, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    texts = ("id", "paper", "source", "row", "dataset", "model", "metric", "value", "note")
    return tuple(
        External(
            **{name: row[name] for name in texts},
            number=parse_value(row["value"])[0],
            std=float(row["std"]) if row["std"] else None,
            runs=int(row["runs"]) if row["runs"] else None,
        )
        for row in rows
    )
