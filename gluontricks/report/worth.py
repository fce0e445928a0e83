"""What each trick was worth: measured and published differences to the baseline, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from gluontricks.report.accounting import value_name
from gluontricks.report.axes import BOTTOM, Axis, across, heading, picture, scale, span
from gluontricks.report.html import item, link, row_of, table, text
from gluontricks.report.tables import Shown, labels_of_line
from gluontricks.results.cells import REDUCED
from gluontricks.results.grids import Column, effect, interval, paired
from gluontricks.results.statistics import Difference
from gluontricks.results.tables import Line

METRIC = "top1"
ROW = 32
COLUMNS = (
    Column("row"), Column("labels"), Column("compared with"), Column("difference, measured", True),
    Column("95 % interval", True), Column("pairs of seeds", True),
    Column("difference, published", True), Column("table"),
)  # fmt: skip
LEAD = (
    "Top-1 of a row less that of the row it is compared with, in points: measured as the mean "
    "over pairs of runs with equal seeds, with its 95 % interval; published as the difference of "
    "the two printed values, in parentheses where the paper's runs had other labels."
)
CAVEAT = (
    "Rows of a table that is called reduced are of reduced runs (fewer images and epochs, a "
    "smaller network): they show the direction of large effects, and their size is not the paper's."
)


@dataclass(frozen=True)
class Effect:
    """What one line of a table says of its row: the measured difference, and the printed one."""

    shown: Shown
    line: Line
    measured: Difference
    baseline: str

    @property
    def published(self) -> Optional[float]:
        """The difference of the printed values, where both are printed."""
        return self.line.effects.get(METRIC)

    @property
    def name(self) -> str:
        """The row and its labels."""
        entry = self.line.entry
        return ", ".join(part for part in (entry.row.label, entry.labels) if part)


def effects(found: Sequence[Shown]) -> List[Effect]:
    """Return every line of every table that has a measured difference to its baseline."""
    every: List[Effect] = []
    for shown in found:
        for line in shown.built.lines:
            one = line.compared_by.get(METRIC)
            if one is not None and one.to_baseline is not None:
                every.append(Effect(shown, line, one.to_baseline, one.baseline))
    return every


def worth(found: Sequence[Shown]) -> str:
    """Return what each trick was worth; nothing where nothing is measured."""
    every = effects(found)
    if not every:
        return ""
    drawn = "".join(chart([e for e in every if e.shown is one], one) for one in found)
    caveat = CAVEAT if any(e.shown.built.label == REDUCED for e in every) else ""
    rows = [(attributes_of(one), row_of(cells_of(one), COLUMNS)) for one in every]
    return (
        '<section data-group><h2 id="worth">What each trick was worth</h2>'
        f'<p class="soft">{text(f"{LEAD} {caveat}".strip())}</p>'
        f'<div class="charts">{drawn}</div>'
        '<ul class="keys"><li><svg class="key" viewBox="0 0 30 10" aria-hidden="true">'
        '<circle cx="15" cy="5" r="4" fill="var(--c0)"/></svg>measured, with its 95 % interval</li>'
        '<li><svg class="key" viewBox="0 0 30 10" aria-hidden="true">'
        '<circle cx="15" cy="5" r="3.6" class="hollow"/></svg>published</li></ul>'
        f"{table(COLUMNS, rows, caption='What each trick was worth')}</section>"
    )


def chart(every: Sequence[Effect], shown: Shown) -> str:
    """Return the chart of one table: a dot with its interval, and a hollow mark, in each row."""
    if not every:
        return ""
    values = [0.0, *(one.measured.mean for one in every)]
    values += [one.published for one in every if one.published is not None]
    x = across(values, [one.measured.interval for one in every if one.measured.interval])
    height = ROW * len(every) + BOTTOM + 8
    zero = x.at(0)
    parts = scale(x, height, "points of top-1")
    parts.append(f'<line class="zero" x1="{zero}" x2="{zero}" y1="6" y2="{height - BOTTOM}"/>')
    for place, one in enumerate(every):
        top = ROW * place + 12
        parts += [heading(one.name, top), *marks(one, x, top + 11)]
    title = shown.built.title
    return (
        f'<figure class="chart"><figcaption>{link(shown.name, text(title))}</figcaption>'
        f"{picture(parts, height, f'{title}: differences to the baseline')}</figure>"
    )


def marks(one: Effect, x: Axis, y: float) -> List[str]:
    """Return the marks of one row: interval, measured dot, published ring."""
    found, parts = one.measured, []
    if found.interval is not None:
        parts.append(span(found.interval, x, y, "var(--c0)", f"{one.name}: {said(found)}"))
    parts.append(
        f'<circle cx="{x.at(found.mean)}" cy="{y:g}" r="4" fill="var(--c0)">'
        f"<title>{text(f'{one.name}: {said(found)}')}</title></circle>"
    )
    if one.published is not None:
        parts.append(
            f'<circle class="hollow" cx="{x.at(one.published)}" cy="{y:g}" r="4">'
            f"<title>{text(f'{one.name}: published {one.published:+.2f}')}</title></circle>"
        )
    return parts


def said(found: Difference) -> str:
    """Return a measured difference in words."""
    inside = f", 95 % interval {interval(found.interval, '+')}" if found.interval else ""
    return f"measured {found.mean:+.2f}{inside}, {paired(found.pairs)}"


def attributes_of(one: Effect) -> str:
    """Return what the filter looks at."""
    return item("row", one.shown.ablation.paper, labels_of_line(one.line))


def cells_of(one: Effect) -> Tuple[str, ...]:
    """Return the cells of one line: each number leads to the row, or the value, that it is from."""
    found, entry = one.measured, one.line.entry
    row = one.shown.row_name(one.line)
    printed = one.line.printed.get(METRIC)
    theirs = effect(one.line, METRIC)
    reduced = ", reduced" * (one.shown.built.label == REDUCED)
    name = one.shown.built.title.partition(":")[0] + reduced
    return (
        text(entry.row.label), text(entry.labels), text(one.baseline),
        link(row, f"{found.mean:+.2f}"), text(interval(found.interval, "+")),
        str(found.pairs or ""),
        link(value_name(printed.id), theirs) if printed and theirs else theirs,
        link(one.shown.name, text(name)),
    )  # fmt: skip
