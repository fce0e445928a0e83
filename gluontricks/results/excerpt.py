"""The table that the README shows: written by code between two marks, as all tables are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from gluontricks.recipes import ABLATIONS, Ablation
from gluontricks.results.cells import REDUCED, counted, join, with_spread
from gluontricks.results.declared import expand
from gluontricks.results.tables import build_table
from gluontricks.results.words import escape

OPENING, CLOSING = "<!-- written by make tables: {name} -->", "<!-- end -->"
NAME = "stitch-mixup/V, reduced"
TABLE, LABELS = "stitch-mixup/V", ("fine", "coarse")


def excerpt(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the reduced runs of one table: a row of it a line, a label set a column."""
    table = ABLATIONS[TABLE]
    cells = found(table, records)
    lines = [
        "| [Table V](results/tables/stitch-mixup-table-5-reduced.md), reduced | "
        + " | ".join(f"top-1, {labels}" for labels in LABELS) + " |",
        "|:--|" + "--:|" * len(LABELS),
    ]  # fmt: skip
    for row in table.rows:
        values = [cells.get((row.label, labels), "not run") for labels in LABELS]
        lines.append(f"| {escape(row.label)} | {' | '.join(values)} |")
    return "\n".join([*lines, "", caption(table, records)])


def caption(table: Ablation, records: Sequence[Mapping[str, Any]]) -> str:
    """Return one line on what the numbers are: their label, protocol and settings."""
    built = build_table(table, records, (), label=REDUCED)
    ran = [line for line in built.lines if line.cell is not None]
    protocols = sorted({line.protocol for line in ran})
    settings = sorted({line.cell.setting for line in ran if line.cell})
    return (
        f"{REDUCED}: {'; '.join(protocols)}; {'; '.join(settings)}. "
        "Mean ± standard deviation over seeds, in percent."
    )


def found(table: Ablation, records: Sequence[Mapping[str, Any]]) -> Dict[Any, str]:
    """Return (row, label set) -> mean and deviation of the runs in the setting that has most."""
    entries = expand(table, "reduced")
    joined = join(entries, records, REDUCED).cells
    texts: Dict[Any, str] = {}
    for entry in entries:
        own = joined.get(entry.name, ())
        if own:
            cell = max(own, key=lambda one: len(one.records))
            value = cell.statistic("top1")
            if value is not None:
                text = f"{with_spread(value, 'top1')} ({counted(value.n)})"
                texts[entry.row.label, entry.labels] = text
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
