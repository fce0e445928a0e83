"""What stands beside the tables: networks' costs, the cross-check, the authors' repositories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from gluontricks.recipes.external import LABEL as REPOSITORY
from gluontricks.recipes.external import external
from gluontricks.report.accounting import cost_name, value_name
from gluontricks.report.html import (
    cell,
    item,
    link,
    listed,
    name_of,
    notes,
    row_of,
    table,
    tag,
    text,
)
from gluontricks.report.metrics import in_words
from gluontricks.results import complexity, crosschecked
from gluontricks.results.accounts import external_grid
from gluontricks.results.complexity import Cost
from gluontricks.results.grids import Column

Document = Optional[Mapping[str, Any]]
REPOSITORY_CAPTION = (
    "None of these is from the text of a paper, none was measured here, none is in the account."
)


def costs(counts: Document, paper: str, number: str) -> str:
    """Return the printed costs of a table's networks beside those counted here, if it has any."""
    if counts is None or paper != complexity.PAPER or number not in complexity.CAPTIONS:
        return ""
    by_row: Dict[str, List[Cost]] = {}
    for cost in complexity.costs(counts, number):
        by_row.setdefault(cost.printed.row, []).append(cost)
    metrics = [m for m in complexity.COSTS
               if any(c.printed.metric == m for row in by_row.values() for c in row)]  # fmt: skip
    columns = [Column("row"), Column("network")]
    for metric in metrics:
        name = complexity.TITLES[metric]
        columns += [Column(f"{name}, published", True), Column(f"{name}, ours", True)]
        columns.append(Column("status"))
    rows = [
        (item("row", paper, ["PAPER"]), row_of(cost_cells(row, found, metrics), columns))
        for row, found in by_row.items()
    ]
    title = f"{paper}, Table {number}: {complexity.CAPTIONS[number]}"
    return (
        f'<h4 id="{name_of("table", paper, number, "costs")}">{text(title)}</h4>'
        f"{table(columns, rows, caption=title)}"
        f'<p class="soft">{text(complexity.MEANING)}</p>{listed(complexity.NOTES[number])}'
    )


def cost_cells(row: str, found: List[Cost], metrics: List[str]) -> List[str]:
    """Return the cells of one network, each HTML."""
    cells = [text(row), f"<code>{text(found[0].printed.model)}</code>"]
    by_metric = {cost.printed.metric: cost for cost in found}
    for metric in metrics:
        cost = by_metric.get(metric)
        if cost is None:
            cells += ["", "", ""]
            continue
        letter = cost.unit[1]
        ours = f"{cost.ours} {letter}" if cost.ours else ""
        cells += [
            link(value_name(cost.printed.id), text(f"{cost.printed.value} {letter}")),
            f'<span id="{cost_name(cost.printed.id)}">{text(ours)}</span>',
            text(cost.status),
        ]
    return cells


def others(counts: Document, compared: Document) -> str:
    """Return what belongs to no paper: the networks' costs, and the two engines compared."""
    inner = networks(counts) + crosscheck(compared)
    heading = '<h2 id="beside">Networks and engines</h2>'
    return f"<section data-group>{heading}{inner}</section>" if inner else ""


def networks(counts: Document) -> str:
    """Return the costs of all networks in a closed list."""
    if counts is None:
        return ""
    columns = (Column("network"), Column("image", True), Column("parameters", True),
               Column("running statistics", True), Column("multiply-adds", True))  # fmt: skip
    rows = [
        (
            "",
            row_of(
                (
                    f"<code>{text(row['model'])}</code>", text(row["size"]), f"{row['params']:,}",
                    f"{row['running']:,}", f"{row['macs'] / 1e9:.3f} G",
                ),
                columns,
            ),
        )
        for row in counts["networks"]
    ]  # fmt: skip
    about = complexity.MEANING.split(". ")[0]
    title = f"Costs of {len(rows)} networks with {counts['classes']} outputs"
    return folded("networks", title, table(columns, rows, caption=title), f"Counted here. {about}.")


def crosscheck(found: Document) -> str:
    """Return the comparison of the two engines in a closed list."""
    if found is None:
        return ""
    kinds, limits, machine = crosschecked.KINDS, found["limits"], found["hardware"]
    columns = (Column("what"), Column("name"), *(Column(kind, True) for kind in kinds))
    named = crosschecked.COLUMNS
    rows = [
        (
            "",
            row_of(
                [text(row[c]) if c not in kinds else crosschecked.digits(row[c]) for c in named],
                columns,
            ),
        )
        for row in found["rows"]
    ]
    bounds = ", ".join(f"{kind} {limits[kind]:.0e}" for kind in kinds)
    about = (
        "Largest difference of PyTorch's values from MXNet's over the largest absolute value in "
        "the arrays of a kind, in float64: gradients of the first step, the rest after "
        f"{found['steps']} steps; one seed. Limits: {bounds}. {machine['cpu']}, {found['day']}."
    )
    title = f"The two engines compared: {len(rows)} networks, losses, optimizers and mixers"
    return folded("crosscheck", title, table(columns, rows, caption=title), about)


def folded(name: str, title: str, inner: str, about: str) -> str:
    """Return a table, and a sentence about it, under a heading that opens it."""
    return (
        f'<details id="{name}" class="beside"><summary>{text(title)}</summary>{inner}'
        f'<p class="soft">{text(about)}</p></details>'
    )


def repositories() -> str:
    """Return the values of the authors' repositories."""
    own = replace(external_grid(), caption=REPOSITORY_CAPTION)
    rows: List[Tuple[str, str]] = []
    for value, row in zip(external(), own.rows):
        cells = "".join(
            f"<td>{text(in_words(value.metric))}</td>"
            if column.title == "metric"
            else cell(one, column, "source", first=not place)
            for place, (one, column) in enumerate(zip(row, own.columns))
        )
        rows.append((item("value", value.paper, [REPOSITORY], value_name(value.id)), cells))
    return (
        f'<section data-group><h2 id="repositories">{text(own.title)}</h2>'
        f"<details data-group><summary>{len(rows)} values, evidence {tag(REPOSITORY)}</summary>"
        f"{table(own.columns, rows, caption=own.title)}{notes(own, 'source')}</details></section>"
    )
