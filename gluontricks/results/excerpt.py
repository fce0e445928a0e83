"""The table that the README shows: written by code between two marks, as all tables are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from gluontricks.recipes import ABLATIONS
from gluontricks.results.cells import REDUCED, counted, with_spread
from gluontricks.results.tables import Line, build_table
from gluontricks.results.words import escape

OPENING, CLOSING = "<!-- written by make tables: {name} -->", "<!-- end -->"
NAME = "stitch-mixup/V, reduced"
TABLE, LABELS = "stitch-mixup/V", ("fine", "coarse")


def excerpt(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the reduced runs of one table: a row of it a line, a label set a column."""
    table = ABLATIONS[TABLE]
    ran = [line for line in build_table(table, records, (), label=REDUCED).lines if line.cell]
    cells = found(ran)
    lines = [
        "| [Table V](results/tables/stitch-mixup-table-5-reduced.md), reduced | "
        + " | ".join(f"top-1, {labels}" for labels in LABELS) + " |",
        "|:--|" + "--:|" * len(LABELS),
    ]  # fmt: skip
    for row in table.rows:
        values = [cells.get((row.label, labels), "not run") for labels in LABELS]
        lines.append(f"| {escape(row.label)} | {' | '.join(values)} |")
    return "\n".join([*lines, "", caption(ran)])


def caption(ran: Sequence[Line]) -> str:
    """Return one line on what the numbers are: their label, protocol and settings."""
    protocols = sorted({line.protocol for line in ran})
    settings = sorted({line.cell.setting for line in ran if line.cell})
    return (
        f"{REDUCED}: {'; '.join(protocols)}; {'; '.join(settings)}. "
        "Mean ± standard deviation over seeds, in percent."
    )


def found(ran: Sequence[Line]) -> Dict[Any, str]:
    """Return (row, label set) -> mean and deviation of the runs in the setting that has most."""
    texts: Dict[Any, str] = {}
    for line in sorted(ran, key=lambda line: -len(line.cell.records) if line.cell else 0):
        value = line.cell.statistic("top1") if line.cell else None
        if value is not None:
            text = f"{with_spread(value, 'top1')} ({counted(value.n)})"
            texts.setdefault((line.entry.row.label, line.entry.labels), text)
    return texts


def with_excerpt(readme: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return a README with its table written anew; one without a place for it stays as it is."""
    opening = OPENING.format(name=NAME)
    pattern = f"{re.escape(opening)}\n.*?{re.escape(CLOSING)}"
    text = f"{opening}\n{excerpt(records)}\n{CLOSING}"
    return re.sub(pattern, lambda _: text, readme, count=1, flags=re.DOTALL)


def readme_of(results_dir: Path) -> Path:
    """Return where the README is that shows the results."""
    return results_dir.resolve().parent / "README.md"
