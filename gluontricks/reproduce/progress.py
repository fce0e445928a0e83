"""The table of a plan as it fills: one line per row and label set, of the runs there are."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from gluontricks.errors import GluontricksError
from gluontricks.files import make_folder, write_atomic
from gluontricks.reproduce.jobs import LABEL_OF, Job, Request, rows_asked_for
from gluontricks.reproduce.runner import Context
from gluontricks.results import registry
from gluontricks.results.cells import join


def records_of(request: Request, jobs: Sequence[Job], context: Context) -> List[Dict[str, Any]]:
    """Return the records that the table of a plan is made of."""
    if request.scale != "smoke":
        return registry.load(context.results)
    found: List[Dict[str, Any]] = []
    for job in jobs:
        try:
            found.append(registry.run_record(context.folder(job)))
        except GluontricksError:
            continue
    return found


def table_lines(request: Request, jobs: Sequence[Job], context: Context) -> List[str]:
    """Return the table as lines for a terminal."""
    entries = rows_asked_for(request)
    cells = join(entries, records_of(request, jobs, context), LABEL_OF[request.scale]).cells
    heading = ("table", "row", "labels", "top-1", "top-5", "runs", "engine, device, precision")
    lines: List[Sequence[str]] = [heading]
    for entry in entries:
        start = (entry.ablation.table, entry.row.label, entry.labels)
        found = cells.get(entry.name, ())
        lines += [(*start, *measured(cell)) for cell in found]
        lines += [] if found else [(*start, "not run", "", "0", "")]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heading))]
    text = ["  ".join(part.ljust(w) for part, w in zip(line, widths)).rstrip() for line in lines]
    return [
        "",
        *text,
        "",
        f"label {LABEL_OF[request.scale]}; mean ± standard deviation, in percent",
    ]


def measured(cell: Any) -> List[str]:
    """Return what the runs of one cell came to."""
    found: List[str] = []
    for metric in ("top1", "top5"):
        value = cell.statistic(metric)
        spread = "" if value is None or value.std is None else f" ± {value.std:.2f}"
        found.append("" if value is None else f"{value.mean:.2f}{spread}")
    return [*found, str(len(cell.records)), f"{cell.engine}, {cell.device}, {cell.dtype}"]


def write_smoke(request: Request, jobs: Sequence[Job], context: Context) -> None:
    """Write the table of a smoke plan under its own folder, marked as what it is."""
    folder = make_folder(context.results / "tables")
    mark = "SMOKE: handwritten digits, no result of any paper"
    text = "\n".join([mark, *table_lines(request, jobs, context)])
    write_atomic(folder / f"{request.paper}-smoke.txt", text + "\n")
