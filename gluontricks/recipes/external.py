"""Values from the authors' own repositories and from leaderboards, as ``external.csv`` has them.

None is from the text of a paper; they have the label AUTHOR-REPO, a table of their own, and a
column beside the rows that they belong to.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Tuple

from gluontricks.recipes.published import parse_value

FILE = Path(__file__).with_name("external.csv")
LABEL = "AUTHOR-REPO"
CODE = "cifar10-resnets/external-code"
# (paper, table, row) -> the id of the value that a repository has for that row.
OF_ROWS: Mapping[Tuple[str, str, str], str] = {
    ("imagenette", "text", "final model"): "imagenette/external-leaderboard/128px-5ep/val_top1",
    **{
        ("cifar10-resnets", "1", row): f"{CODE}/{count}/params"
        for row, count in (
            ("1: basic, kernel 2, design 1", "row-1-and-6-stem-3x3-1-1-64ch"),
            ("3: 39 blocks, the final model", "row-3-stem-5x5-1-2-64ch"),
            ("4: deep and narrow", "row-4-stem-5x5-128ch-conv-bias-as-run"),
            ("6: basic, kernel 2, design 2", "row-1-and-6-stem-3x3-1-1-64ch"),
            ("7: wide, dropout", "row-7-and-8-stem-3x3-128ch-conv-bias-as-run"),
            ("8: wide, no dropout", "row-7-and-8-stem-3x3-128ch-conv-bias-as-run"),
        )
    },
}


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


def of_row(paper: str, table: str, row: str) -> Optional[External]:
    """Return what the authors' repository has for a row of a published table, or None."""
    key = OF_ROWS.get((paper, table, row))
    return next((value for value in external() if value.id == key), None)
