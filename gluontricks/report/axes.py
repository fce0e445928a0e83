"""What all charts share: a linear axis with round ticks, words beside it, and the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from gluontricks.report.html import text
from gluontricks.results.statistics import Interval

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 34, 22, 26, 34
ARROW = 5
# Last bits of an interval are those of one version of SciPy; the page's bytes must not be.
DIGITS = 6


@dataclass(frozen=True)
class Axis:
    """A linear axis: from ``low`` to ``high`` in data, from ``start`` to ``end`` on the page."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value lies."""
        share = (round(value, DIGITS) - self.low) / (self.high - self.low)
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


def padded(low: float, high: float) -> Tuple[float, float]:
    """Return a range with some room at both ends."""
    room = max(0.06 * (high - low), 0.2)
    return round(low - room, DIGITS), round(high + room, DIGITS)


def across(values: Sequence[float], intervals: Sequence[Interval]) -> Axis:
    """Return the axis from left to right that has some values and, if it can, their intervals.

    An interval may lengthen it at each end by as much as the values take: one of two runs can be
    far longer than that, and would press all dots together.
    """
    span = max(max(values) - min(values), 1.0)
    ends = [round(end, DIGITS) for interval in intervals for end in interval]
    low = max(min([*values, *ends]), min(values) - span)
    high = min(max([*values, *ends]), max(values) + span)
    return Axis(*padded(low, high), 8, WIDTH - RIGHT)


def scale(x: Axis, height: float, words: str) -> List[str]:
    """Return the grid lines and numbers of an axis at the bottom of a chart of some height."""
    floor = height - BOTTOM
    lines = [
        f'<line class="grid" x1="{x.at(t)}" x2="{x.at(t)}" y1="6" y2="{floor}"/>'
        + caption(f"{t:g}", x.at(t), floor + 14, "middle")
        for t in x.ticks()
    ]
    return [*lines, caption(words, WIDTH - 4, height - 4, "end")]


def span(interval: Interval, x: Axis, y: float, paint: str, about: str) -> str:
    """Return an interval as a bar, with an arrowhead at an end that lies beyond the axis."""
    low, high = (x.at(min(max(end, x.low), x.high)) for end in interval)
    cut = [interval[0] < x.low, interval[1] > x.high]
    heads = "".join(
        f'<path class="cut" d="M{tip:g},{y:g}l{back},-{ARROW}v{2 * ARROW}z" fill="{paint}"/>'
        for tip, back, beyond in ((low, ARROW, cut[0]), (high, -ARROW, cut[1]))
        if beyond
    )
    return (
        f'<g class="interval"><title>{text(about)}</title><line x1="{low}" x2="{high}" y1="{y:g}" '
        f'y2="{y:g}" stroke="{paint}" stroke-width="5" opacity="0.35"/>{heads}</g>'
    )


def frame(x: Axis, y: Axis) -> List[str]:
    """Return grid lines and numbers of two axes."""
    lines = [
        f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.at(t)}" y2="{y.at(t)}"/>'
        + caption(f"{t:g}", x.start - 6, y.at(t) + 4, "end")
        for t in y.ticks()
    ]
    whole = [t for t in x.ticks() if t == int(t)]
    return [*lines, *(caption(f"{t:g}", x.at(t), y.start + 14, "middle") for t in whole)]


def caption(words: str, x: float, y: float, align: str) -> str:
    """Return the words beside an axis."""
    return f'<text class="soft" x="{x:g}" y="{y:g}" text-anchor="{align}">{text(words)}</text>'


def heading(words: str, y: float, most: int = 62) -> str:
    """Return the name of a row above its dots, cut with its whole text in a title if too long."""
    shown = words if len(words) <= most else f"{words[: most - 1]}…"
    return f'<text x="2" y="{y:g}"><title>{text(words)}</title>{text(shown)}</text>'


def joined(points: Sequence[Tuple[float, float]]) -> str:
    """Return points as SVG writes them."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def picture(parts: Sequence[str], height: float, title: str) -> str:
    """Return an SVG element with a title that screen readers read."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{text(title)}">'
        f"{''.join(parts)}</svg>"
    )
