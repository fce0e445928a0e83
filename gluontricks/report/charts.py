"""Charts of a table's runs: curves with bands over seeds, and how the runs lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

from gluontricks.report.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    across,
    caption,
    frame,
    heading,
    joined,
    padded,
    picture,
    scale,
    span,
)
from gluontricks.report.html import text
from gluontricks.results.cells import Cell
from gluontricks.results.statistics import Summary, summary

ROW = 32
COLOURS = 9
# Beyond so many rows a chart of curves cannot be read.
MOST_CURVES = 12
# The first curve is whole; every other one has a pattern of its own, so that colour is not needed.
DASHES = ("", "6 3", "2 2", "8 3 2 3", "4 4", "10 4", "1 3", "8 2 2 2 2 2", "12 3 4 3", "3 6",
          "6 2 1 2", "14 4")  # fmt: skip
APART = 11

Point = Tuple[int, List[float]]


@dataclass(frozen=True)
class Series:
    """One row's runs: its name, its place in the table, and its cell."""

    name: str
    place: int
    cell: Cell

    @property
    def paint(self) -> str:
        """The colour as the page's style names it."""
        return f"var(--c{self.place % COLOURS})"

    @property
    def stroke(self) -> str:
        """The attributes of its curve."""
        dashes = DASHES[self.place % len(DASHES)]
        pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
        return f'fill="none" stroke="{self.paint}" stroke-width="1.8"{pattern}'


def curve_of(cell: Cell) -> List[Point]:
    """Return epoch -> the top-1 of every run, for the epochs that all of them have."""
    runs = [
        {e["epoch"]: e["top1"] for e in record["epochs"] or () if e["top1"] is not None}
        for record in cell.records
    ]
    shared = sorted(set(runs[0]).intersection(*runs[1:])) if runs else []
    return [(epoch + 1, [run[epoch] for run in runs]) for epoch in shared]


def curves(series: Sequence[Series], title: str) -> str:
    """Return top-1 by epoch: the mean over seeds, and a band of one standard deviation."""
    drawn = [(one, curve_of(one.cell)) for one in series[:MOST_CURVES]]
    drawn = [(one, points) for one, points in drawn if points]
    if not drawn:
        return ""
    values = [value for _, points in drawn for _, found in points for value in found]
    last = max(points[-1][0] for _, points in drawn)
    x = Axis(1, max(last, 2), LEFT, WIDTH - RIGHT)
    y = Axis(*padded(min(values), max(values)), HEIGHT - BOTTOM, TOP)
    parts = [*frame(x, y), caption("epoch", WIDTH - 4, HEIGHT - 4, "end"),
             caption("top-1, %", 2, 11, "start")]  # fmt: skip
    for one, points in drawn:
        parts += curve(one, points, x, y)
    parts += ends(drawn, x, y)
    return picture(parts, HEIGHT, title) + legend([one for one, _ in drawn])


def curve(one: Series, points: Sequence[Point], x: Axis, y: Axis) -> List[str]:
    """Return one row's curve and, where there are two runs or more, its band."""
    means = [(epoch, summary(found)) for epoch, found in points]
    parts: List[str] = []
    if all(found.std is not None for _, found in means):
        upper = [(x.at(e), y.at(f.mean + (f.std or 0))) for e, f in means]
        lower = [(x.at(e), y.at(f.mean - (f.std or 0))) for e, f in reversed(means)]
        parts.append(
            f'<polygon points="{joined(upper + lower)}" fill="{one.paint}" opacity="0.15"/>'
        )
    line = joined([(x.at(e), y.at(f.mean)) for e, f in means])
    title = f"<title>{text(one.name)}</title>"
    return [*parts, f'<polyline points="{line}" {one.stroke}>{title}</polyline>']


def ends(drawn: Sequence[Tuple[Series, Sequence[Point]]], x: Axis, y: Axis) -> List[str]:
    """Return the number of each curve beside its end, apart where they would overlap."""
    wanted = [
        (y.at(summary(points[-1][1]).mean), x.at(points[-1][0]), one) for one, points in drawn
    ]
    wanted.sort(key=lambda place: (place[0], place[2].place))
    parts: List[str] = []
    floor = 0.0
    for height, right, one in wanted:
        floor = max(height, floor + APART)
        parts.append(
            f'<text class="end" x="{right + 4:g}" y="{floor + 4:g}">{one.place + 1}</text>'
        )
    return parts


def distribution(series: Sequence[Series], title: str, metric: str = "top1") -> str:
    """Return every run of a table as a dot, with the mean and its 95 % interval."""
    found = [(one, list(one.cell.values(metric).values())) for one in series]
    found = [(one, values) for one, values in found if values]
    if not found:
        return ""
    every = [value for _, values in found for value in values]
    intervals = [summary(values).interval for _, values in found]
    x = across(every, [interval for interval in intervals if interval is not None])
    height = ROW * len(found) + BOTTOM + 8
    parts = scale(x, height, "top-1, %")
    for place, (one, values) in enumerate(found):
        parts += strip(one, values, x, ROW * place + 12)
    return picture(parts, height, title)


def strip(one: Series, values: Sequence[float], x: Axis, top: float) -> List[str]:
    """Return one row of a distribution: its name, and below it the dots."""
    found = summary(values)
    y = top + 11
    parts = [heading(one.name, top)]
    if found.interval is not None:
        parts.append(span(found.interval, x, y, one.paint, f"{one.name}: {in_words(found)}"))
    mean = x.at(found.mean)
    parts.append(
        f'<line class="mean" x1="{mean}" x2="{mean}" y1="{y - 7:g}" y2="{y + 7:g}" '
        f'stroke="{one.paint}" stroke-width="2"/>'
    )
    parts += [
        f'<circle cx="{x.at(v)}" cy="{y:g}" r="3.2" fill="{one.paint}" opacity="0.8">'
        f"<title>{text(one.name)}: {v:.2f}</title></circle>"
        for v in values
    ]
    return parts


def in_words(found: Summary) -> str:
    """Return a mean and its interval as text."""
    low, high = found.interval or (found.mean, found.mean)
    return f"mean {found.mean:.2f}, 95 % interval {low:.2f} to {high:.2f}"


def legend(series: Sequence[Series]) -> str:
    """Return which number, colour and pattern is which row."""
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 30 8" aria-hidden="true">'
        f'<line x1="0" x2="30" y1="4" y2="4" {one.stroke}/></svg>'
        f"{one.place + 1} {text(one.name)}</li>"
        for one in series
    )
    return f'<ul class="keys">{keys}</ul>'
