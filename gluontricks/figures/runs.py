"""How the runs of a table lie: a dot per seed, the mean, and its 95 % interval."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from gluontricks.figures.canvas import COLOURS, GREY, Picture, drawn, to_csv
from gluontricks.recipes import ABLATIONS, published
from gluontricks.results.cells import FULL, REDUCED, Cell
from gluontricks.results.make import file_stem
from gluontricks.results.statistics import summary
from gluontricks.results.tables import Table, build_table

COLUMNS = ("row", "labels", "setting", "seed", "top1")
# Fewer lines are no picture.
LEAST = 3
Panel = List[Tuple[str, Cell]]


def pictures(records: Sequence[Mapping[str, Any]]) -> List[Picture]:
    """Return a picture of every published table of which three lines or more ran."""
    found: List[Picture] = []
    for ablation in ABLATIONS.values():
        values = published(ablation.paper, ablation.table)
        for label, suffix in ((FULL, ""), (REDUCED, "-reduced")):
            table = build_table(ablation, records, values, label=label)
            if sum(line.cell is not None for line in table.lines) >= LEAST:
                found.append(picture(table, f"{file_stem(ablation)}{suffix}"))
    return found


def picture(table: Table, name: str) -> Picture:
    """Return the picture of one table's runs and their numbers."""
    panels = panels_of(table)
    rows = [
        (row, *heading, seed, top1)
        for heading, lines in panels.items()
        for row, cell in lines
        for seed, top1 in sorted(cell.values("top1").items())
    ]
    return Picture(name, to_csv(COLUMNS, rows), lambda: draw(table.title, panels))


def panels_of(table: Table) -> Dict[Tuple[str, str], Panel]:
    """Return (label set, setting) -> the lines that ran, in the table's order."""
    panels: Dict[Tuple[str, str], Panel] = {}
    for line in table.lines:
        if line.cell is not None and line.cell.values("top1"):
            key = (line.entry.labels, line.cell.setting)
            panels.setdefault(key, []).append((line.entry.row.label, line.cell))
    return panels


def draw(title: str, panels: Mapping[Tuple[str, str], Panel]) -> bytes:
    """Return the drawing: one panel for each label set and setting, side by side."""
    most = max(len(lines) for lines in panels.values())

    def paint(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for place, ((labels, setting), lines) in zip(axes, panels.items()):
            fill(place, lines)
            place.set_title(f"{labels} ({setting})")
        figure.suptitle(title, fontsize=10, x=0.01, horizontalalignment="left")
        figure.tight_layout()

    return drawn(max(6.0, 4.6 * len(panels)), 1.1 + 0.3 * most, paint)


def fill(axes: Any, lines: Panel) -> None:
    """Draw one panel."""
    for height, (_, cell) in enumerate(lines):
        colour = COLOURS[height % len(COLOURS)]
        values = list(cell.values("top1").values())
        found = summary(values)
        if found.interval is not None:
            axes.plot(found.interval, [height] * 2, color=colour, alpha=0.3, linewidth=4)
        axes.plot([found.mean], [height], "|", color=colour, markersize=13, markeredgewidth=2)
        axes.plot(values, [height] * len(values), "o", color=colour, markersize=4, alpha=0.8)
    axes.set_yticks(range(len(lines)), labels=[row for row, _ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GREY, alpha=0.25)
    axes.set_xlabel("top-1, %")
