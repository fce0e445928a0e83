"""The account, and the values of others' repositories, as tables."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.recipes.external import LABEL, external
from gluontricks.results.account import (
    MEANING,
    STATUSES,
    Accounted,
    account,
    by_status,
    by_table,
)
from gluontricks.results.formats import to_latex, to_markdown
from gluontricks.results.grids import Cell, Column, Footnotes, Grid
from gluontricks.results.kept import csv_text
from gluontricks.results.tables import title
from gluontricks.results.words import clean

CSV_COLUMNS = (
    "id", "paper", "table", "row", "dataset", "model", "metric", "value", "std", "runs", "status",
    "reason", "author_log", "measured_full", "measured_reduced", "note",
)  # fmt: skip
EXTERNAL_COLUMNS = (
    "id", "label", "paper", "source", "row", "dataset", "model", "metric", "value", "std", "runs",
    "note",
)  # fmt: skip


def render(
    records: Sequence[Mapping[str, Any]], counts: Optional[Mapping[str, Any]]
) -> Dict[str, str]:
    """Return file name -> text of the account and of the values from repositories."""
    entries = account(records, counts)
    summary, repositories = summary_grid(entries), external_grid()
    return {
        "account.md": to_markdown(summary),
        "account.tex": to_latex(summary),
        "account.csv": to_csv(entries),
        "author-repositories.md": to_markdown(repositories),
        "author-repositories.tex": to_latex(repositories),
        "author-repositories.csv": external_csv(),
    }


def summary_grid(entries: Sequence[Accounted]) -> Grid:
    """Return how many values of each table have each status."""
    totals = by_status(entries)
    columns = (Column("paper"), Column("table"), Column("values", True),
               *(Column(status, True) for status in totals))  # fmt: skip
    rows = [
        summary_row(paper, title(table), counts, totals)
        for (paper, table), counts in by_table(entries).items()
    ]
    rows.append(summary_row("all", "", totals, totals))
    notes = tuple(f"{status}: {MEANING[status]}." for status in STATUSES)
    caption = (
        f"What became of the {len(entries)} values that the papers print. Each has one status; "
        "other evidence on a value stands beside it in account.csv."
    )
    return Grid("The account of every published value", columns, tuple(rows), caption, (), notes)


def summary_row(
    paper: str, table: str, counts: Mapping[str, int], totals: Mapping[str, int]
) -> Tuple[Cell, ...]:
    """Return one line of the summary."""
    numbers = [sum(counts.values()), *(counts.get(status, 0) for status in totals)]
    return (Cell(paper), Cell(table), *(Cell(str(n) if n else "") for n in numbers))


def to_csv(entries: Sequence[Accounted]) -> str:
    """Return every value with its status and all evidence."""
    return csv_text(CSV_COLUMNS, (csv_row(entry) for entry in entries))


def csv_row(entry: Accounted) -> List[str]:
    """Return one value's line."""
    value, evidence = entry.value, dict(entry.evidence)
    found: List[Any] = [
        value.id, value.paper, value.table, value.row, value.dataset, value.model, value.metric,
        value.value, value.std, value.runs, entry.status, entry.reason,
        *(evidence.get(label, "") for label in ("AUTHOR-LOG", "MEASURED-FULL", "MEASURED-REDUCED")),
        value.note,
    ]  # fmt: skip
    return ["" if part is None else clean(str(part)) for part in found]


def external_grid() -> Grid:
    """Return the values of repositories, with their sources as footnotes."""
    notes = Footnotes()
    rows = []
    for value in external():
        spread = "" if value.std is None else f" ± {value.std}"
        runs = (
            "" if value.runs is None else f" ({value.runs} runs)" if value.runs > 1 else " (1 run)"
        )
        rows.append(
            (
                Cell(value.paper), Cell(value.row, notes.number(value.source)), Cell(value.dataset),
                Cell(value.model), Cell(value.metric), Cell(f"{value.value}{spread}{runs}"),
                Cell(value.note),
            )
        )  # fmt: skip
    names = ("paper", "row", "data", "network", "metric", "value", "remark")
    caption = (
        f"Label {LABEL}: none of these is from the text of a paper, none was measured here, none "
        "is in the account. Percent, but for metrics that end in _frac or _runs."
    )
    return Grid(
        "Values from the authors' repositories and from leaderboards",
        tuple(Column(name, name == "value") for name in names),
        tuple(rows),
        caption,
        tuple(notes.numbers),
    )


def external_csv() -> str:
    """Return the values of repositories as CSV."""
    rows = (
        [LABEL if name == "label" else getattr(value, name) for name in EXTERNAL_COLUMNS]
        for value in external()
    )
    return csv_text(
        EXTERNAL_COLUMNS, (["" if part is None else str(part) for part in row] for row in rows)
    )
