"""The table of a plan as it fills: one line per row and label set, of the runs there are."""

from __future__ import annotations

from typing import List, Sequence

from gluontricks.files import make_folder, write_atomic
from gluontricks.reproduce.jobs import LABEL_OF, Job, Request, rows_asked_for
from gluontricks.reproduce.runner import Context, Record, known_records
from gluontricks.results.cells import Cell, Joined, join, with_spread
from gluontricks.results.declared import Declared


def records_of(request: Request, jobs: Sequence[Job], context: Context) -> List[Record]:
    """Return the records that the table of a plan is made of."""
    if request.scale != "smoke":
        return context.records()
    return [record for job in jobs for record in known_records(job, context)]


def filled_lines(request: Request, jobs: Sequence[Job], context: Context, done: Job) -> List[str]:
    """Return the lines of the table that a run has just filled, without heading."""
    entries = [entry for entry in rows_asked_for(request) if entry.name in done.rows]
    lines = body(entries, joined(request, jobs, context))
    return [f"    {'  '.join(part for part in line if part)}" for line in lines]


def table_lines(request: Request, jobs: Sequence[Job], context: Context) -> List[str]:
    """Return the table as lines for a terminal."""
    heading = ("table", "row", "labels", "top-1", "top-5", "runs", "engine, device, precision")
    found = joined(request, jobs, context)
    lines = [heading, *body(rows_asked_for(request), found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heading))]
    text = ["  ".join(part.ljust(w) for part, w in zip(line, widths)).rstrip() for line in lines]
    means = f"label {LABEL_OF[request.scale]}; mean ± standard deviation, in percent"
    return ["", *text, "", means, *found.failures]


def body(entries: Sequence[Declared], runs: Joined) -> List[Sequence[str]]:
    """Return the cells of the lines of some rows."""
    lines: List[Sequence[str]] = []
    for entry in entries:
        start = (entry.ablation.table, entry.row.label, entry.labels)
        found = runs.cells.get(entry.name, ())
        lines += [(*start, *measured(cell)) for cell in found]
        lines += [] if found else [(*start, "not run", "", "0", "")]
    return lines


def joined(request: Request, jobs: Sequence[Job], context: Context) -> Joined:
    """Return the cells of the request's rows, and what is said of runs that failed."""
    records = records_of(request, jobs, context)
    return join(rows_asked_for(request), records, LABEL_OF[request.scale])


def measured(cell: Cell) -> List[str]:
    """Return what the runs of one cell came to."""
    found = [(metric, cell.statistic(metric)) for metric in ("top1", "top5")]
    texts = ["" if value is None else with_spread(value, metric) for metric, value in found]
    return [*texts, str(len(cell.records)), cell.setting]


def write_smoke(request: Request, jobs: Sequence[Job], context: Context) -> None:
    """Write the table of a smoke plan under its own folder, marked as what it is."""
    folder = make_folder(context.results / "tables")
    mark = "SMOKE: handwritten digits, no result of any paper"
    text = "\n".join([mark, *table_lines(request, jobs, context)])
    write_atomic(folder / f"{request.paper}-smoke.txt", text + "\n")
