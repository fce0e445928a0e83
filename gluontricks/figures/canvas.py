"""What all pictures share: colours, type, and SVG whose bytes depend on the data alone."""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from gluontricks.results.kept import csv_text

# SVG files in the results are compared byte for byte under this version of matplotlib only.
MATPLOTLIB = "3.11.2"
# After Okabe and Ito, for the colour-blind; those too pale for text are darkened. In order of use.
COLOURS = ("#0072B2", "#D55E00", "#00875F", "#A6407F", "#8A6100", "#333333")
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
STYLE: Dict[Any, Any] = {
    "svg.hashsalt": "gluontricks",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Picture:
    """A figure: the name of its files, what it shows as CSV, and how to draw it."""

    name: str
    csv: str
    draw: Callable[[], bytes]


def drawn(width: float, height: float, paint: Callable[[Any], None]) -> bytes:
    """Return the SVG of an empty figure, ``width`` x ``height`` inches, that ``paint`` filled."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _styled():
        figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasSVG(figure)
        paint(figure)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return _numbered(content.getvalue().decode()).encode()


def _numbered(svg: str) -> str:
    """Return a picture whose hashed ids are numbered; the hashes depend on NumPy's version."""
    found = dict.fromkeys(re.findall(r'(?<=id=")[a-z][0-9a-f]{10}(?=")', svg))
    names = {name: f"{name[0]}{number}" for number, name in enumerate(found)}
    return re.sub(r"\b[a-z][0-9a-f]{10}\b", lambda match: names.get(match[0], match[0]), svg)


@contextmanager
def _styled() -> Iterator[None]:
    """Use our settings on top of matplotlib's own defaults, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV; floats have six digits, None is empty."""
    return csv_text(columns, ([_text(value) for value in row] for row in rows))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def apart(places: Sequence[float], distance: float, low: float, high: float) -> List[float]:
    """Return ``places`` moved as little as needed to lie ``distance`` apart in [low, high].

    Labels at the ends of lines stay readable where the lines end together.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: List[Tuple[float, List[int]]] = []
    for index in order:
        groups.append((_inside(places[index], 1, distance, low, high), [index]))
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], distance):
            merged = groups[-2][1] + groups[-1][1]
            groups[-2:] = [_centred(places, merged, distance, low, high)]
    moved = [0.0] * len(places)
    for centre, members in groups:
        for rank, index in enumerate(members):
            moved[index] = centre + (rank - (len(members) - 1) / 2) * distance
    return moved


def _overlap(
    below: Tuple[float, List[int]], above: Tuple[float, List[int]], distance: float
) -> bool:
    return above[0] - below[0] < distance * (len(above[1]) + len(below[1])) / 2 - 1e-9


def _centred(
    places: Sequence[float], members: List[int], distance: float, low: float, high: float
) -> Tuple[float, List[int]]:
    mean = sum(places[i] for i in members) / len(members)
    return _inside(mean, len(members), distance, low, high), members


def _inside(centre: float, count: int, distance: float, low: float, high: float) -> float:
    half = (count - 1) / 2 * distance
    return max(low + half, min(centre, high - half))
