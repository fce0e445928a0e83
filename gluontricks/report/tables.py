"""Every table of every paper on the page, with its costs, its reduced runs and their charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from gluontricks.recipes import ABLATIONS, Ablation, published
from gluontricks.report import charts
from gluontricks.report.accounting import value_name
from gluontricks.report.beside import Document, costs
from gluontricks.report.charts import Series
from gluontricks.report.html import cell, item, link, name_of, notes, run_name, table, text
from gluontricks.report.papers import CITATIONS, PAPERS
from gluontricks.results.cells import FULL, METRICS, REDUCED
from gluontricks.results.grids import grid, heading
from gluontricks.results.tables import Line, Table, build_table, title

Record = Mapping[str, Any]
# Every number that runs made leads to them itself.
LEFT_OUT = ("runs",)
CHART_MEANING = (
    "Every run: a dot per seed, the mean, and its 95 % interval as a bar, with an arrowhead where "
    "it goes on beyond the chart. Curves: the mean over seeds on the test images, and a band of "
    "one standard deviation where there are two runs or more; a number at its end names each curve."
)


@dataclass(frozen=True)
class Shown:
    """A published table as it was built for one kind of runs, and the id of its heading."""

    ablation: Ablation
    built: Table

    @property
    def name(self) -> str:
        """The id of the table's heading."""
        reduced = ["reduced"] * (self.built.label == REDUCED)
        return name_of("table", self.ablation.paper, self.ablation.table, *reduced)

    def row_name(self, line: Line) -> str:
        """Return the id of a line's row."""
        return f"{self.name}-row-{self.built.lines.index(line) + 1}"


def built_tables(records: Sequence[Record]) -> List[Shown]:
    """Return every table by paper: that of full runs, and of reduced ones if there are any."""
    places = {paper: place for place, paper in enumerate(PAPERS)}
    found: List[Shown] = []
    for ablation in sorted(ABLATIONS.values(), key=lambda a: places[a.paper]):
        printed = published(ablation.paper, ablation.table)
        for label in (FULL, REDUCED):
            built = build_table(ablation, records, printed, label=label)
            if label == FULL or built.lines:
                found.append(Shown(ablation, built))
    return found


def tables(found: Sequence[Shown], counts: Document) -> str:
    """Return every table of every paper, full runs first, reduced ones after."""
    parts: List[str] = ['<h2 id="tables">Tables</h2>', contents(found)]
    for paper, name in PAPERS.items():
        parts.append(
            f'<section data-group><h3 id="paper-{paper}">{text(name)}</h3>'
            f'<p class="soft cite">{text(CITATIONS[paper])} Label on this page: '
            f"<code>{text(paper)}</code>.</p>"
        )
        for one in found:
            if one.ablation.paper == paper:
                parts += table_parts(one, counts)
        parts.append("</section>")
    return "\n".join(parts)


def contents(found: Sequence[Shown]) -> str:
    """Return links to all tables."""
    links = [
        link(one.name, text(f"{one.ablation.paper} {title(one.ablation.table)}"))
        for one in found
        if one.built.label == FULL
    ]
    return f'<nav class="tables" aria-label="Tables">{" ".join(links)}</nav>'


def table_parts(one: Shown, counts: Document) -> Iterator[str]:
    """Yield one table with its charts and, under the one of full runs, its networks' costs."""
    yield '<div data-group class="table">'
    yield f'<h4 id="{one.name}">{text(one.built.title)}</h4>'
    yield shown(one)
    yield figures(one.built)
    yield costs(counts, one.ablation.paper, one.ablation.table) if one.built.label == FULL else ""
    yield "</div>"


def shown(one: Shown) -> str:
    """Return a table's grid, its notes, and on every row what the filter looks at."""
    own = grid(one.built)
    prefix = f"{one.name}-note"
    kept = [i for i, column in enumerate(own.columns) if column.title not in LEFT_OUT]
    rows: List[Tuple[str, str]] = []
    for line, row in zip(one.built.lines, own.rows):
        targets, seeds = targets_of(line), seeds_of(line)
        cells = "".join(
            cell(
                row[i], own.columns[i], prefix, first=not i,
                target=targets.get(own.columns[i].title, ""),
                runs=seeds.get(own.columns[i].title, ""),
            )
            for i in kept
        )  # fmt: skip
        attributes = item(
            "row", line.entry.ablation.paper, labels_of_line(line), one.row_name(line)
        )
        rows.append((attributes, cells))
    return table([own.columns[i] for i in kept], rows, caption=own.title) + notes(own, prefix)


def labels_of_line(line: Line) -> List[str]:
    """Return the labels of all numbers on a line."""
    labels = [line.label, "PAPER" if line.printed else ""]
    return [*labels, "AUTHOR-LOG" if line.evidence else ""]


def targets_of(line: Line) -> Dict[str, str]:
    """Return column -> the element that its number on a line is from."""
    found: Dict[str, str] = {}
    for metric, value in line.printed.items():
        found[f"{heading(metric)}, published"] = value_name(value.id)
        if line.evidence is not None:
            found[f"{heading(metric)}, log"] = run_name(line.evidence.record["run_id"])
    return found


def seeds_of(line: Line) -> Dict[str, str]:
    """Return column -> links to the runs that its number on a line was made of."""
    if line.cell is None:
        return {}
    return {
        f"{heading(metric)}, ours": seed_links(
            [record for record in line.cell.records if METRICS[metric].read(record) is not None]
        )
        for metric in METRICS
    }


def seed_links(records: Sequence[Record]) -> str:
    """Return a link to each of some runs, by its seed."""
    links = [link(run_name(record["run_id"]), text(seed_name(record))) for record in records]
    return f'<span class="seeds">{" ".join(links)}</span>' if links else ""


def seed_name(record: Record) -> str:
    """Return what a link to a run says: its seed, or the end of its id where it has none."""
    seed = (record["seed"] or {}).get("root")
    return str(record["run_id"])[-6:] if seed is None else f"seed {seed}"


def figures(found: Table) -> str:
    """Return the charts of a table's runs: curves and distribution, for each label set."""
    rows = list(dict.fromkeys(line.entry.row.label for line in found.lines))
    groups: Dict[Tuple[str, str], List[Series]] = {}
    for line in found.lines:
        if line.cell is not None:
            key = (line.entry.labels, line.cell.setting)
            name = line.entry.row.label
            groups.setdefault(key, []).append(Series(name, rows.index(name), line.cell))
    parts: List[str] = []
    for key, series in groups.items():
        about = ", ".join(part for part in key if part)
        for kind, draw in (("every run", charts.distribution), ("curves", charts.curves)):
            drawing = draw(series, f"{found.title}: {about}: {kind}")
            if drawing:
                parts.append(
                    f'<figure class="chart"><figcaption>{text(f"{about}: {kind}")}</figcaption>'
                    f"{drawing}</figure>"
                )
    if not parts:
        return ""
    return f'<div class="charts">{"".join(parts)}</div><p class="soft">{CHART_MEANING}</p>'
