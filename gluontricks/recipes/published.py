"""The papers' printed values, as they stand in ``published.csv`` beside this file."""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from gluontricks.errors import DataError, unknown

FILE = Path(__file__).with_name("published.csv")
COLUMNS = (
    "id", "paper", "table", "row", "dataset", "model", "metric",
    "value", "number", "low", "high", "std", "runs", "note",
)  # fmt: skip
NUMBER = r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
SCALE = {"": 1.0, " million": 1e6, " billion": 1e9}

Bounds = Tuple[Optional[float], Optional[float], Optional[float]]


@dataclass(frozen=True)
class Published:
    """One printed value. Its ``id`` never changes, whatever else about it is corrected.

    ``value`` is the text as printed; ``number`` what it says if that is one number (about, for
    ``~``), ``low`` and ``high`` what it says if that is a bound or a range. ``std`` and ``runs``
    are the paper's own, where printed. Accuracies and errors are in percent unless the metric
    ends in ``_frac``.
    """

    id: str
    paper: str
    table: str
    row: str
    dataset: str
    model: str
    metric: str
    value: str
    number: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    std: Optional[float] = None
    runs: Optional[int] = None
    note: str = ""


def parse_value(text: str) -> Bounds:
    """Return ``(number, low, high)`` of a printed value; None for what it does not state.

    ``74.92`` and ``~5`` are numbers, ``>50`` has a low end, ``3-4`` two ends and ``-`` none. Text
    that only contains numbers (``7x7 stride 3``) states none either.
    """
    text = text.strip()
    found = re.fullmatch(rf"~?{NUMBER}( million| billion)?", text)
    if found:
        number = float(found[1].replace(",", "")) * SCALE[found[2] or ""]
        return number, None, None
    found = re.fullmatch(rf"([<>]){NUMBER}", text)
    if found:
        bound = float(found[2].replace(",", ""))
        return (None, bound, None) if found[1] == ">" else (None, None, bound)
    found = re.fullmatch(rf"{NUMBER}-{NUMBER}", text)
    if found:
        return None, float(found[1]), float(found[2])
    return None, None, None


@functools.lru_cache(maxsize=None)
def read(path: Path = FILE) -> Tuple[Published, ...]:
    """Return every value of the file at ``path``, in its order.

    Raises
    ------
    DataError
        If a column is missing or an id stands twice.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if rows and tuple(rows[0]) != COLUMNS:
        raise DataError(f"'{path.name}' has the columns {list(rows[0])}", f"write {COLUMNS}")
    values = tuple(_published(row) for row in rows)
    seen: Dict[str, int] = {}
    for line, value in enumerate(values, start=2):
        if value.id in seen:
            raise DataError(
                f"id '{value.id}' stands in lines {seen[value.id]} and {line} of '{path.name}'",
                "give one of them a suffix",
            )
        seen[value.id] = line
    return values


def published(paper: Optional[str] = None, table: Optional[str] = None) -> Tuple[Published, ...]:
    """Return the printed values of all papers, of one, or of one table of one.

    Raises
    ------
    UsageError
        If there is no such paper or table.
    """
    values: List[Published] = list(read())
    if paper is not None:
        papers = {value.paper for value in values}
        if paper not in papers:
            raise unknown("paper", paper, papers)
        values = [value for value in values if value.paper == paper]
    if table is not None:
        tables = {value.table for value in values}
        if table not in tables:
            raise unknown("table", table, tables)
        values = [value for value in values if value.table == table]
    return tuple(values)


def _published(row: Dict[str, str]) -> Published:
    """Return one line of the file with its numbers as numbers."""
    text = {k: row[k] for k in COLUMNS if k not in ("number", "low", "high", "std", "runs")}
    return Published(
        **text,
        number=_number(row["number"]),
        low=_number(row["low"]),
        high=_number(row["high"]),
        std=_number(row["std"]),
        runs=int(row["runs"]) if row["runs"] else None,
    )


def _number(text: str) -> Optional[float]:
    return float(text) if text else None
