"""The account on the page: a line for each table, and every printed value."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from gluontricks.report.html import item, link, listed, name_of, row_of, table, tag, text
from gluontricks.report.metrics import in_words as metric_in_words
from gluontricks.results import complexity
from gluontricks.results.account import MEANING, STATUSES, Accounted, by_table, in_words
from gluontricks.results.cells import REDUCED
from gluontricks.results.grids import Column
from gluontricks.results.tables import title

COUNTED = ("exact", "differs")


def account(entries: Sequence[Accounted]) -> str:
    """Return the account: a line for each table, and what the words mean."""
    columns = (Column("paper"), Column("table"), Column("values", numeric=True),
               Column("what became of them"))  # fmt: skip
    rows = [
        (
            item("row", paper, labels_in(entries, paper, number)),
            row_of(
                (
                    text(paper), link(name_of("table", paper, number), text(title(number))),
                    str(sum(counts.values())), text(in_words(counts)),
                ),
                columns,
            ),
        )
        for (paper, number), counts in by_table(entries).items()
    ]  # fmt: skip
    statuses = [status for status in STATUSES if any(e.status == status for e in entries)]
    return (
        '<section data-group><h2 id="account">The account</h2>\n'
        + table(columns, rows, caption="The account by table")
        + listed(f"{status}: {MEANING[status]}" for status in statuses)
        + f"<p>{link('values', f'All {len(entries)} values')}, one by one, stand after the tables."
        + "</p></section>"
    )


def labels_in(entries: Sequence[Accounted], paper: str, number: str) -> List[str]:
    """Return the labels of all that is known of one table's values."""
    found = ["PAPER"]
    for entry in entries:
        if (entry.value.paper, entry.value.table) == (paper, number):
            found += labels_of(entry)
    return list(dict.fromkeys(found))


def labels_of(entry: Accounted) -> List[str]:
    """Return the labels of what is known of a value."""
    labels = ["PAPER", *(label for label, _ in entry.evidence)]
    return [*labels, "NOT RUN"] if entry.status == "not run" else labels


def values(entries: Sequence[Accounted]) -> str:
    """Return every printed value with its status and evidence, in a closed list."""
    columns = (
        Column("paper"), Column("table"), Column("row"), Column("metric"),
        Column("published", numeric=True), Column("status"), Column("reason and other evidence"),
    )  # fmt: skip
    rows: List[Tuple[str, str]] = []
    for entry in entries:
        value = entry.value
        cells = (
            text(value.paper),
            link(name_of("table", value.paper, value.table), text(title(value.table))),
            text(value.row), text(metric_in_words(value.metric)), text(value.value),
            text(entry.status), reasons(entry),
        )  # fmt: skip
        attributes = item("value", value.paper, labels_of(entry), value_name(value.id))
        rows.append((attributes, row_of(cells, columns)))
    return (
        '<section data-group><h2 id="values">Every published value</h2>\n'
        f"<details data-group><summary>All {len(entries)} values</summary>"
        f"{table(columns, rows, caption='Every published value', kind='stack')}</details></section>"
    )


def reasons(entry: Accounted) -> str:
    """Return why a value has its status, and what else is known of it."""
    value = entry.value
    evidence = "; ".join(
        f"{tag(label)} {link(table_of(entry, label), text(said))}" for label, said in entry.evidence
    )
    known = [said for _, said in entry.evidence]
    reason = "" if entry.reason in known else text(entry.reason)
    if reason and has_cost(entry):
        reason = link(cost_name(value.id), reason)
    return "<br>".join(part for part in (reason, evidence, text(value.note)) if part)


def table_of(entry: Accounted, label: str) -> str:
    """Return the table that shows a value's evidence, with links to its runs or its log."""
    reduced = ["reduced"] * (label == REDUCED)
    return name_of("table", entry.value.paper, entry.value.table, *reduced)


def has_cost(entry: Accounted) -> bool:
    """Return whether a value stands in a table of costs on this page."""
    value = entry.value
    return (
        entry.status in COUNTED
        and value.paper == complexity.PAPER
        and value.table in complexity.CAPTIONS
        and value.metric in complexity.COSTS
    )


def value_name(key: str) -> str:
    """Return the id of a value's row in the account."""
    return name_of("value", key)


def cost_name(key: str) -> str:
    """Return the id of a value's cell in a table of costs."""
    return name_of("cost", key)
