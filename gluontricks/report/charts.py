"""Charts as inline SVG: curves with bands over seeds, and how the runs of a table lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from gluontricks.report.html import text
from gluontricks.results.cells import Cell
from gluontricks.results.statistics import summary

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 34
ROW = 22
COLOURS = 9
# Beyond so many rows a chart of curves cannot be read.
MOST_CURVES = 12


@dataclass(frozen=True)
class Series:
    """One row's runs: its name, the number of its colour, and its cell."""

    name: str
    colour: int
    cell: Cell

    @property
    def paint(self) -> str:
        """The colour as the page's style names it."""
        return f"var(--c{self.colour % COLOURS})"

    @property
    def dashes(self) -> str:
        """A pattern that tells colours apart where they come round again."""
        return ' stroke-dasharray="5 3"' if self.colour >= COLOURS else ""


@dataclass(frozen=True)
class Axis:
    """A linear axis: from ``low`` to ``high`` in data, from ``start`` to ``end`` on the page."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value lies."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> List[float]:
        """Return some round values, in order."""
        step = nice((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first
        return [round((first + i) * step, 6) for i in range(count + 1)]


def nice(step: float) -> float:
    """Return the round number, 1, 2 or 5 times a power of ten, at or above a step."""
    power = 10 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step - 1e-12)


def curve_of(cell: Cell) -> List[Tuple[int, List[float]]]:
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
    parts = [*frame(x, y), caption("epoch", WIDTH - RIGHT, HEIGHT - 4, "end"),
             caption("top-1, %", 4, TOP - 2, "start")]  # fmt: skip
    for one, points in drawn:
        means = [(epoch, summary(found)) for epoch, found in points]
        if all(found.std is not None for _, found in means):
            upper = [(x.at(e), y.at(f.mean + (f.std or 0))) for e, f in means]
            lower = [(x.at(e), y.at(f.mean - (f.std or 0))) for e, f in reversed(means)]
            parts.append(
                f'<polygon points="{joined(upper + lower)}" fill="{one.paint}" opacity="0.15"/>'
            )
        line = joined([(x.at(e), y.at(f.mean)) for e, f in means])
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{one.paint}" stroke-width="1.8"'
            f"{one.dashes}><title>{text(one.name)}</title></polyline>"
        )
    return picture(parts, HEIGHT, title) + legend([one for one, _ in drawn])


def distribution(series: Sequence[Series], title: str, metric: str = "top1") -> str:
    """Return every run of a table as a dot, with the mean and its 95 % interval."""
    found = [(one, list(one.cell.values(metric).values())) for one in series]
    found = [(one, values) for one, values in found if values]
    if not found:
        return ""
    ends = [end for _, values in found for end in (summary(values).interval or ())]
    every = [value for _, values in found for value in values]
    # A wide interval of two runs must not press all dots together.
    span = max(max(every) - min(every), 1.0)
    low = max(min([*every, *ends]), min(every) - span)
    high = min(max([*every, *ends]), max(every) + span)
    height = TOP + ROW * len(found) + BOTTOM
    label = min(230, 14 + 6.2 * max(len(one.name) for one, _ in found))
    x = Axis(*padded(low, high), label, WIDTH - RIGHT)
    floor = height - BOTTOM
    parts = [
        f'<line class="grid" x1="{x.at(t)}" x2="{x.at(t)}" y1="{TOP - 4}" y2="{floor}"/>'
        + caption(f"{t:g}", x.at(t), floor + 15, "middle")
        for t in x.ticks()
    ]
    parts.append(caption("top-1, %", WIDTH - RIGHT, height - 4, "end"))
    for place, (one, values) in enumerate(found):
        parts += strip(one, values, x, TOP + ROW * place + ROW / 2)
    return picture(parts, height, title)


def strip(one: Series, values: Sequence[float], x: Axis, y: float) -> List[str]:
    """Return one row of a distribution."""
    found = summary(values)
    parts = [f'<text x="0" y="{y + 4}">{text(short(one.name))}</text>']
    if found.interval is not None:
        low, high = (x.at(min(max(end, x.low), x.high)) for end in found.interval)
        parts.append(
            f'<line x1="{low}" x2="{high}" y1="{y}" y2="{y}" stroke="{one.paint}" '
            'stroke-width="5" opacity="0.25"/>'
        )
    mean = x.at(found.mean)
    parts.append(
        f'<line x1="{mean}" x2="{mean}" y1="{y - 7}" y2="{y + 7}" stroke="{one.paint}" '
        'stroke-width="2"/>'
    )
    parts += [
        f'<circle cx="{x.at(v)}" cy="{y}" r="3.2" fill="{one.paint}" opacity="0.8">'
        f"<title>{text(one.name)}: {v:.2f}</title></circle>"
        for v in values
    ]
    return parts


def short(name: str, most: int = 34) -> str:
    """Return a name, cut where it is too long for its place."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def padded(low: float, high: float) -> Tuple[float, float]:
    """Return a range with some room at both ends."""
    room = max(0.06 * (high - low), 0.2)
    return low - room, high + room


def frame(x: Axis, y: Axis) -> List[str]:
    """Return grid lines and numbers of two axes."""
    parts = [
        f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.at(t)}" y2="{y.at(t)}"/>'
        f'<text class="soft" x="{x.start - 6}" y="{y.at(t) + 4}" text-anchor="end">{t:g}</text>'
        for t in y.ticks()
    ]
    whole = [t for t in x.ticks() if t == int(t)]
    parts += [
        f'<text class="soft" x="{x.at(t)}" y="{y.start + 15}" text-anchor="middle">{t:g}</text>'
        for t in whole
    ]
    return parts


def caption(words: str, x: float, y: float, align: str) -> str:
    """Return the words beside an axis."""
    return f'<text class="soft" x="{x}" y="{y}" text-anchor="{align}">{text(words)}</text>'


def joined(points: Sequence[Tuple[float, float]]) -> str:
    """Return points as SVG writes them."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def picture(parts: Sequence[str], height: Optional[float], title: str) -> str:
    """Return an SVG element with a title that screen readers read."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{text(title)}">'
        f"{''.join(parts)}</svg>"
    )


def legend(series: Sequence[Series]) -> str:
    """Return which colour is which row."""
    keys = "".join(
        f'<li><span class="swatch" style="background:{one.paint}"></span>{text(one.name)}</li>'
        for one in series
    )
    return f'<ul class="keys">{keys}</ul>'
