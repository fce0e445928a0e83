"""The table that the README shows: written by code between two marks, as all tables are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from gluontricks.recipes import ABLATIONS, Ablation
from gluontricks.results.cells import REDUCED, counted, join
from gluontricks.results.declared import expand
from gluontricks.results.words import escape

OPENING, CLOSING = "<!-- written by make tables: {name} -->", "<!-- end -->"
NAME = "stitch-mixup/V, reduced"
TABLE, LABELS = "stitch-mixup/V", ("fine", "coarse")


def excerpt(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the reduced runs of one table: a row of it in each line, a label set in each column."""
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
    return "\n".join(lines)


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
                spread = "" if value.std is None else f" ± {value.std:.2f}"
                text = f"{value.mean:.2f}{spread} ({counted(value.runs)})"
                texts[entry.row.label, entry.labels] = text
    return texts


def with_excerpt(readme: str, records: Sequence[Mapping[str, Any]]) -> Optional[str]:
    """Return a README with its table written anew; None where it has no place for one."""
    opening = OPENING.format(name=NAME)
    pattern = f"{re.escape(opening)}\n.*?{re.escape(CLOSING)}"
    if not re.search(pattern, readme, re.DOTALL):
        return None
    text = f"{opening}\n{excerpt(records)}\n{CLOSING}"
    return re.sub(pattern, lambda _: text, readme, count=1, flags=re.DOTALL)


def stale_readme(results_dir: Path, records: Sequence[Mapping[str, Any]]) -> List[str]:
    """Return the text that the README beside the results should have, if it has another."""
    path = readme_of(results_dir)
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    new = with_excerpt(old, records)
    return [] if new is None or new == old else [new]


def readme_of(results_dir: Path) -> Path:
    """Return where the README is that shows the results."""
    return results_dir.resolve().parent / "README.md"
