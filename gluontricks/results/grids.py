"""A table as a grid of cells, before any format: Markdown, LaTeX and HTML show the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from gluontricks.recipes.external import of_row
from gluontricks.results.cells import FULL, METRICS, REDUCED, TIMES, counted, with_spread
from gluontricks.results.comparisons import Compared
from gluontricks.results.statistics import Difference, Interval
from gluontricks.results.tables import NOT_RUN, Line, Table

OURS_MEANING = " Ours: mean ± standard deviation over seeds, of the last epoch."
PUBLISHED_MEANING = " Published: as printed (label PAPER)."
REPOSITORY = "authors' repository"
REPOSITORY_MEANING = " Authors' repository: as it stands there (label AUTHOR-REPO)."
LOG_MEANING = (
    " Log: the last epoch of the authors' log (label AUTHOR-LOG), in parentheses where settings "
    "that decide the result differ; it agrees if it is, before rounding, within 0.2 points or two "
    "printed deviations."
)
BEST_MEANING = (
    " Best epoch: the mean of each run's best; the test images chose it, so it is optimistic."
)
DIFFERENCE_MEANING = (
    " Differences are in points, with 95 % t intervals; those to the baseline are paired by seed. "
    "An interval is that of its line alone, not corrected for their number; of two pairs it says "
    "next to nothing."
)
EFFECT = "difference to baseline, published"
EFFECT_MEANING = (
    " Published differences are of the printed values, of full runs (label PAPER), in parentheses "
    "where the labels are not those that the paper is compared in."
)
P_MEANING = (
    " p: sign-flip test over pairs of seeds, corrected by Holm within the table; with n pairs and "
    "k tests the smallest cannot be below k x 2 / 2^n."
)
VERDICT_MEANING = (
    " Reproduced: equivalent within {margin} points (two one-sided tests, 3 runs or more); "
    "consistent: the interval contains 0; else not reproduced; a single run gets no verdict."
)
HOURS_MEANING = (
    " Times are of the processor that most runs had, named where there are several; hours per run "
    "are the median of runs that were not interrupted."
)


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a footnote's number, runs that it links to, and whether it is grey."""

    text: str = ""
    note: Optional[int] = None
    runs: Tuple[str, ...] = ()
    grey: bool = False


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it holds numbers."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """A table to show: heading, columns, rows of cells, caption, footnotes and notes.

    Backquotes in the notes mark code.
    """

    title: str
    columns: Tuple[Column, ...]
    rows: Tuple[Tuple[Cell, ...], ...]
    caption: str
    footnotes: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()


class Footnotes:
    """Notes on single values, numbered as they come; equal ones share a number."""

    def __init__(self) -> None:
        self.numbers: Dict[str, int] = {}

    def number(self, text: str) -> Optional[int]:
        """Return the number of a note, None for an empty one."""
        return self.numbers.setdefault(text, len(self.numbers) + 1) if text else None


def grid(table: Table) -> Grid:
    """Return a table's grid. Columns that would be empty are left out."""
    notes = Footnotes()
    ran = any(line.cell is not None for line in table.lines)
    makers = list(columns_of(table, notes))
    cells = [[make(line) for _, make in makers] for line in table.lines]
    always = {"row", "labels", "label", "engine, device, precision"}
    kept = [
        i
        for i, (column, _) in enumerate(makers)
        if column.title in always or any(row[i].text or row[i].runs for row in cells)
    ]
    titles = [makers[i][0] for i in kept]
    return Grid(
        table.title,
        tuple(titles),
        tuple(tuple(row[i] for i in kept) for row in cells),
        f"{table.caption}{meanings(table, [c.title for c in titles], ran=ran)}",
        tuple(notes.numbers),
        table.notes,
    )


Maker = Tuple[Column, Callable[[Line], Cell]]


def columns_of(table: Table, notes: Footnotes) -> List[Maker]:
    """Return every column with what makes its cell of a line."""
    found: List[Maker] = [
        (Column("row"), lambda line: Cell(line.entry.row.label)),
        (Column("labels"), lambda line: Cell(line.entry.labels or "-")),
    ]
    result = table.label in (FULL, REDUCED)
    for metric in table.metrics:
        first = result and metric == table.metrics[0]
        found += metric_columns(metric, table, notes, first=first)
    # Toy runs are not compared, and no page has them.
    kept: List[Maker] = [
        (Column("hours per run", numeric=True), lambda line: Cell(hours(line))),
        (Column("runs"), lambda line: Cell(runs=run_ids(line))),
    ]
    return [
        *found,
        (Column(REPOSITORY, numeric=True), lambda line: Cell(in_repository(line))),
        (Column("protocol"), lambda line: Cell(line.protocol)),
        (Column("label"), lambda line: Cell(line.label)),
        (Column("engine, device, precision"), lambda line: Cell(setting(line))),
        *(kept if result else []),
    ]


def metric_columns(metric: str, table: Table, notes: Footnotes, *, first: bool) -> List[Maker]:
    """Return the columns of one metric; the table's first has all comparisons."""
    full = table.label != REDUCED
    name = heading(metric)
    found: List[Maker] = []
    if full:
        found += [
            (Column(f"{name}, published", True), lambda line: printed(line, metric, notes)),
            (Column(f"{name}, log", True), lambda line: Cell(logged(line, metric))),
        ]
    if metric not in METRICS:
        return found
    found.append((Column(f"{name}, ours", True), lambda line: Cell(measured(line, metric))))
    if not first or metric not in ("top1", "top5"):
        return found

    def told(title: str, tell: Callable[[Compared], str], *, grey: bool = False) -> Maker:
        def cell(line: Line) -> Cell:
            one = line.compared_by.get(metric)
            return Cell("" if one is None else tell(one), grey=grey)

        return Column(title, True), cell

    found += [
        told("95 % interval", lambda one: interval(one.ours.interval)),
        told("best epoch", lambda one: number(one.best, 2), grey=True),
    ]
    if full:
        found += [
            told("difference to published", lambda one: difference(one.to_published)),
            told("verdict", lambda one: one.verdict),
        ]
    found.append(told("difference to baseline", lambda one: difference(one.to_baseline)))
    if full:
        found.append(told("p", lambda one: p_value(one.p_sign_flip)))
    else:
        found.append((Column(EFFECT, True), lambda line: Cell(effect(line, metric))))
    return found


def heading(metric: str) -> str:
    """Return what columns call a metric."""
    if metric in METRICS:
        return METRICS[metric].title
    words = ["accuracy" if word == "acc" else word for word in metric.split("_")]
    return f"{' '.join(words[:-1])} as a fraction" if words[-1] == "frac" else " ".join(words)


def printed(line: Line, metric: str, notes: Footnotes) -> Cell:
    """Return the cell of a printed value, in parentheses where other labels are compared."""
    value = line.printed.get(metric)
    if value is None:
        return Cell()
    text = value.value
    if value.std is not None:
        text += f" ± {value.std:.2f} ({counted(value.runs or 1)})"
    beside = line.entry.recipe is not None and not line.compared and value.number is not None
    return Cell(f"({text})" if beside else text, notes.number(value.note))


def logged(line: Line, metric: str) -> str:
    """Return the text of the authors' log: in parentheses where it is no log of that row."""
    value = None if line.evidence is None or metric not in METRICS else line.evidence.value(metric)
    if line.evidence is None or value is None:
        return ""
    text = f"{value:.{METRICS[metric].decimals}f}"
    if not line.evidence.about.comparable:
        return f"({text})"
    return f"{text} {line.evidence.verdict(metric, line.printed.get(metric))}".strip()


def in_repository(line: Line) -> str:
    """Return what the authors' repository has for a row: a number of parameters, or top-1."""
    table = line.entry.ablation
    value = of_row(table.paper, table.table, line.entry.row.label)
    if value is None or line.entry.scale != "full":
        return ""
    if value.metric == "params":
        return f"{value.value} parameters"
    return f"{value.value} % top-1 ({counted(value.runs or 1)})"


def measured(line: Line, metric: str) -> str:
    """Return what our runs came to, or why there are none."""
    if line.entry.recipe is None:
        return line.why_not
    found = None if line.cell is None else line.cell.statistic(metric)
    if found is None:
        return NOT_RUN
    timed_on = line.cell.timed_on if line.cell and metric in TIMES else ""
    return (
        f"{with_spread(found, metric)} ({', '.join([counted(found.n), *filter(None, [timed_on])])})"
    )


def hours(line: Line) -> str:
    """Return the hours of a run, with the processor where the runs had several."""
    text = number(line.hours, 2)
    return f"{text} ({line.cell.timed_on})" if text and line.cell and line.cell.timed_on else text


def effect(line: Line, metric: str) -> str:
    """Return the printed difference from the printed baseline, in parentheses as printed values."""
    value = line.effects.get(metric)
    if value is None:
        return ""
    return f"{value:+.2f}" if line.compared else f"({value:+.2f})"


def setting(line: Line) -> str:
    """Return engine, device and precision of a line that ran."""
    return line.cell.setting if line.cell else ""


def run_ids(line: Line) -> Tuple[str, ...]:
    """Return the ids of a line's runs, by seed."""
    records = () if line.cell is None else line.cell.records
    return tuple(str(record["run_id"]) for record in records)


def number(value: Optional[float], digits: int) -> str:
    """Return a number with so many decimals; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def interval(value: Optional[Interval], sign: str = "") -> str:
    """Return an interval as text; nothing for None."""
    return "" if value is None else f"{value[0]:{sign}.2f} to {value[1]:{sign}.2f}"


def difference(value: Optional[Difference]) -> str:
    """Return a difference with its interval and the number of pairs; nothing for None."""
    if value is None:
        return ""
    pairs = paired(value.pairs) if value.pairs else ""
    inside = [part for part in (interval(value.interval, "+"), pairs) if part]
    return f"{value.mean:+.2f} ({'; '.join(inside)})" if inside else f"{value.mean:+.2f}"


def paired(pairs: int) -> str:
    """Return ``1 pair`` or ``n pairs``."""
    return "1 pair" if pairs == 1 else f"{pairs} pairs"


def p_value(value: Optional[float]) -> str:
    """Return a p-value as text."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def meanings(table: Table, titles: Sequence[str], *, ran: bool) -> str:
    """Return what the columns of a table mean."""
    margins = {line.entry.ablation.margin for line in table.lines} or {0.5}
    pairs = (
        (", ours", OURS_MEANING),
        (EFFECT, EFFECT_MEANING),
        (", published", PUBLISHED_MEANING),
        (", log", LOG_MEANING),
        (REPOSITORY, REPOSITORY_MEANING),
        ("best epoch", BEST_MEANING),
        ("difference", DIFFERENCE_MEANING),
        ("verdict", VERDICT_MEANING.format(margin=max(margins))),
        ("hours", HOURS_MEANING),
    )
    own = [title for title in titles if EFFECT not in title]
    found = [
        meaning
        for part, meaning in pairs
        if any(part in title for title in (titles if part == EFFECT else own))
    ]
    return "".join(found) + (P_MEANING if "p" in titles and ran else "")
