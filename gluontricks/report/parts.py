"""The parts of the page: head, account, tables with their charts, repositories, runs."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from gluontricks.recipes import ABLATIONS, Ablation, published
from gluontricks.recipes.external import LABEL as REPOSITORY
from gluontricks.recipes.external import external
from gluontricks.report import charts
from gluontricks.report.charts import Series
from gluontricks.report.html import cell, definitions, item, name_of, notes, table, tag, text
from gluontricks.results.account import MEANING, STATUSES, Accounted, by_status, by_table, in_words
from gluontricks.results.accounts import external_grid
from gluontricks.results.cells import FULL, REDUCED
from gluontricks.results.facts import facts
from gluontricks.results.formats import anchor
from gluontricks.results.grids import Column, grid, heading
from gluontricks.results.records import label_of
from gluontricks.results.tables import Line, Table, build_table, title

Record = Mapping[str, Any]
# Status -> its colour in the bar at the head of the page.
TINTS: Mapping[str, str] = {
    "exact": "c2", "differs": "c1", "recipe setting": "c5", "recomputed": "c5",
    "quoted from others": "c5", "not reported by the authors": "c5", "log agrees": "c3",
    "log differs": "c7", "measured in full": "c0", "measured reduced": "c8", "not run": "line",
    "out of scope": "c5",
}  # fmt: skip
PAPERS: Mapping[str, str] = {
    "bag-of-tricks": "Bag of Tricks (He et al., 2019)",
    "stitch-mixup": "An Improvement on the Bag of Tricks: stitch mixup (Poovathoor)",
    "imagenette": "The Imagenette leaderboard (Osmulski, 2021)",
    "cifar10-resnets": "Custom ResNets under 5M parameters (Aswani, Biehl, Shi, 2022)",
    "tiny-imagenet": "Tiny ImageNet: transfer and ensembles (CS231n, 2017)",
}


def head(entries: Sequence[Accounted], records: Sequence[Record]) -> str:
    """Return what the page is, and the account as one bar."""
    totals = by_status(entries)
    ours = [record for record in records if record["source"] is None]
    logs = len(records) - len(ours)
    bar = "".join(
        f'<i style="flex:{count};background:var(--{TINTS[status]})" title="{count} {status}"></i>'
        for status, count in totals.items()
    )
    keys = "".join(
        f'<li><i style="background:var(--{TINTS[status]})"></i>{count} {text(status)}</li>'
        for status, count in totals.items()
    )
    return (
        "<h1>Training tricks, measured: what became of every published number</h1>\n"
        f'<p class="lead">Five works on training image classifiers print {len(entries)} numbers. '
        "For each: what was published, what the authors' own logs say, what was measured here, "
        f"how, and whether it agrees. Made from {len(ours)} runs and {logs} logs; every number "
        "leads to where it is from.</p>\n"
        f'<div class="bar" role="img" aria-label="{text(in_words(totals))}">{bar}</div>\n'
        f'<ul class="keys">{keys}</ul>'
    )


def filters() -> str:
    """Return the choices that narrow the page."""
    papers = "".join(f'<option value="{text(p)}">{text(p)}</option>' for p in PAPERS)
    labels = ("PAPER", "AUTHOR-LOG", REPOSITORY, FULL, REDUCED, "NOT RUN")
    options = "".join(f'<option value="{text(label)}">{text(label)}</option>' for label in labels)
    return (
        '<div class="tools"><form id="filters" role="search" aria-label="Filter the page">'
        f'<label>Paper <select id="paper"><option value="">all</option>{papers}</select></label>'
        f'<label>Label <select id="label"><option value="">all</option>{options}</select></label>'
        '<label>Words <input id="words" type="search" autocomplete="off"></label>'
        '<button type="reset">Clear</button>'
        '<button type="button" id="theme">Light or dark</button>'
        '<output id="told" aria-live="polite"></output></form></div>'
    )


def account(entries: Sequence[Accounted]) -> str:
    """Return the account: a line for each table, and every value."""
    columns = (Column("paper"), Column("table"), Column("values", numeric=True),
               Column("what became of them"))  # fmt: skip
    rows = [
        (
            item(paper, labels_in(entries, paper, number)),
            f'<td>{text(paper)}</td><td><a href="#{name_of("table", paper, number)}">'
            f'{text(title(number))}</a></td><td class="n">{sum(counts.values())}</td>'
            f"<td>{text(in_words(counts))}</td>",
        )
        for (paper, number), counts in by_table(entries).items()
    ]
    meanings = "".join(f"<li><b>{text(s)}</b>: {text(MEANING[s])}</li>" for s in STATUSES)
    return (
        '<h2 id="account">The account</h2>\n'
        + table(columns, rows, caption="The account by table")
        + f'<ul class="notes">{meanings}</ul>\n'
        + f"<details data-group><summary>All {len(entries)} values</summary>"
        + values(entries)
        + "</details>"
    )


def labels_in(entries: Sequence[Accounted], paper: str, number: str) -> List[str]:
    """Return the labels of all that is known of one table's values."""
    found = ["PAPER"]
    for entry in entries:
        if (entry.value.paper, entry.value.table) == (paper, number):
            found += labels_of(entry)
    return list(dict.fromkeys(found))


def labels_of(entry: Accounted) -> List[str]:
    """Return the labels of what is known of a value."""
    labels = ["PAPER", *(label for label, _ in entry.evidence)]
    return [*labels, "NOT RUN"] if entry.status == "not run" else labels


def values(entries: Sequence[Accounted]) -> str:
    """Return every printed value with its status and evidence."""
    columns = (
        Column("paper"), Column("table"), Column("row"), Column("metric"),
        Column("published", numeric=True), Column("status"), Column("reason and other evidence"),
    )  # fmt: skip
    rows: List[Tuple[str, str]] = []
    for entry in entries:
        value = entry.value
        evidence = "; ".join(f"{tag(label)} {text(said)}" for label, said in entry.evidence)
        known = [said for _, said in entry.evidence]
        parts = ["" if entry.reason in known else text(entry.reason), evidence, text(value.note)]
        rows.append(
            (
                item(value.paper, labels_of(entry), value_name(value.id)),
                f"<td>{text(value.paper)}</td><td>{text(title(value.table))}</td>"
                f"<td>{text(value.row)}</td><td>{text(value.metric)}</td>"
                f'<td class="n">{text(value.value)}</td><td>{text(entry.status)}</td>'
                f"<td>{'<br>'.join(part for part in parts if part)}</td>",
            )
        )
    return table(columns, rows, caption="Every published value")


def value_name(key: str) -> str:
    """Return the id of a value's row in the account."""
    return name_of("value", key)


def tables(records: Sequence[Record]) -> str:
    """Return every table of every paper, full runs first, reduced ones after."""
    parts: List[str] = ['<h2 id="tables">Tables</h2>', contents()]
    for paper, name in PAPERS.items():
        own = [ablation for ablation in ABLATIONS.values() if ablation.paper == paper]
        parts.append(f'<section data-group><h2 id="paper-{paper}">{text(name)}</h2>')
        for ablation in own:
            parts += list(table_parts(ablation, records))
        parts.append("</section>")
    return "\n".join(parts)


def contents() -> str:
    """Return links to all tables."""
    places = {paper: place for place, paper in enumerate(PAPERS)}
    links = [
        f'<a href="#{name_of("table", a.paper, a.table)}">{text(f"{a.paper} {title(a.table)}")}</a>'
        for a in sorted(ABLATIONS.values(), key=lambda a: places[a.paper])
    ]
    return f'<nav class="tables" aria-label="Tables">{" ".join(links)}</nav>'


def table_parts(ablation: Ablation, records: Sequence[Record]) -> Iterator[str]:
    """Yield one table and, where there are any, its reduced runs and their charts."""
    printed = published(ablation.paper, ablation.table)
    for label in (FULL, REDUCED):
        found = build_table(ablation, records, printed, label=label)
        if label == REDUCED and not found.lines:
            continue
        name = name_of("table", ablation.paper, ablation.table, *(["reduced"] * (label == REDUCED)))
        yield '<div data-group class="table">'
        yield f'<h3 id="{name}">{text(found.title)}</h3>'
        yield shown(found, name)
        yield figures(found)
        yield "</div>"


def shown(found: Table, name: str) -> str:
    """Return a table's grid, its notes, and on every row what the filter looks at."""
    own = grid(found)
    prefix = f"{name}-note"
    rows: List[Tuple[str, str]] = []
    for line, row in zip(found.lines, own.rows):
        links = links_of(line)
        cells = "".join(cell(c, col, prefix, links) for c, col in zip(row, own.columns))
        rows.append((item(line.entry.ablation.paper, labels_of_line(line)), cells))
    return table(own.columns, rows, caption=own.title) + notes(own, prefix)


def labels_of_line(line: Line) -> List[str]:
    """Return the labels of all numbers on a line."""
    labels = [line.label, "PAPER" if line.printed else ""]
    return [*labels, "AUTHOR-LOG" if line.evidence else ""]


def links_of(line: Line) -> Dict[str, str]:
    """Return column -> the element that its number on a line is from."""
    found: Dict[str, str] = {}
    for metric, value in line.printed.items():
        found[f"{heading(metric)}, published"] = value_name(value.id)
        if line.evidence is not None:
            found[f"{heading(metric)}, log"] = f"run-{anchor(str(line.evidence.record['run_id']))}"
    return found


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
        words = f"{found.title}: {', '.join(part for part in key if part)}"
        for kind, draw in (("every run", charts.distribution), ("curves", charts.curves)):
            drawing = draw(series, f"{words}: {kind}")
            if drawing:
                about = f"{text(', '.join(part for part in key if part))}: {kind}"
                parts.append(f'<div class="chart"><figcaption>{about}</figcaption>{drawing}</div>')
    if not parts:
        return ""
    meaning = (
        "Every run: a dot per seed, the mean, and its 95 % interval. Curves: the mean over seeds "
        "on the test images, and a band of one standard deviation where there are two runs."
    )
    drawn = f'<div class="charts">{"".join(parts)}</div>'
    return f'<figure>{drawn}<p class="soft">{meaning}</p></figure>'


def repositories() -> str:
    """Return the values of the authors' repositories."""
    own = external_grid()
    rows = [
        (
            item(value.paper, [REPOSITORY], value_name(value.id)),
            "".join(cell(c, col, "source", {}) for c, col in zip(row, own.columns)),
        )
        for value, row in zip(external(), own.rows)
    ]
    return (
        f'<section data-group><h2 id="repositories">{text(own.title)}</h2>'
        f"<details><summary>{len(rows)} values, label {tag(REPOSITORY)}</summary>"
        f"{table(own.columns, rows, caption=own.title)}{notes(own, 'source')}</details></section>"
    )


def runs(records: Sequence[Record], there: int) -> str:
    """Return every valid record of those there are: ours first, then the logs."""
    ours = [record for record in records if record["source"] is None]
    logs = [record for record in records if record["source"] is not None]
    parts = ['<h2 id="runs">Runs</h2>',
             '<p class="soft">What each number was made of. Records are chained by hashes; '
             "<code>gluontricks results verify</code> checks them.</p>"]  # fmt: skip
    if there > len(records):
        invalid = f"{there - len(records)} records are not valid and are left out."
        parts.append(f'<p class="soft">{invalid}</p>')
    for kind, found in (("Runs made here", ours), ("The authors' logs", logs)):
        parts.append(f"<section data-group><h3>{kind}</h3>")
        parts += [one_run(record) for record in found]
        parts.append("</section>")
    return "\n".join(parts)


def one_run(record: Record) -> str:
    """Return one record: what ran, on what, with which result."""
    label = label_of(record)
    paper = (record["rows"] or [""])[0].partition("/")[0]
    paper = paper or ("bag-of-tricks" if record["source"] is not None else "")
    name = record["recipe"] or (record["source"] or {}).get("file")
    metrics = record["metrics"] or {}
    seed = (record["seed"] or {}).get("root")
    shown_seed = "" if seed is None else f" seed {seed}"
    top1 = "" if metrics.get("top1") is None else f": top-1 {metrics['top1']:.2f} %"
    reason = "" if record["status"] in ("completed", None) else f": {record['status']}"
    summary = f"{tag(label)} {text(name)}{shown_seed}{top1}{text(reason)}"
    attributes = item(paper, [label], f"run-{anchor(str(record['run_id']))}")
    return (
        f"<details{attributes}><summary>{summary}</summary>{definitions(facts(record))}</details>"
    )
