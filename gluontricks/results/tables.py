"""Tables of published values beside measured ones, in the same bytes for the same records."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from gluontricks.recipes import Ablation, Published
from gluontricks.results.kept import csv_text
from gluontricks.results.cells import METRICS, Cell, Statistic, counted, join
from gluontricks.results.declared import Declared, expand
from gluontricks.results.evidence import Evidence, evidence_of

FULL = "MEASURED-FULL"
NOT_RUN = "not run"
LOG_MEANING = (
    " Log: the last epoch of the authors' log (label AUTHOR-LOG), in parentheses where settings "
    "that decide the result differ; it agrees within 0.2 points or two printed deviations."
)
CSV_COLUMNS = (
    "id", "paper", "table", "row", "labels", "compared", "recipe", "fingerprint", "metric",
    "published", "published_std", "published_runs", "ours_mean", "ours_std", "runs", "label",
    "engine", "device", "dtype", "seeds", "run_ids", "log", "log_value", "log_verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of a table: a row in one label set, its printed values, a cell if it ran, a log."""

    entry: Declared
    printed: Mapping[str, Published]
    cell: Optional[Cell]
    evidence: Optional[Evidence] = None

    @property
    def compared(self) -> bool:
        """Whether the printed values are compared with this label set."""
        return self.entry.labels == self.entry.ablation.compared

    def ours(self, metric: str) -> Optional[Statistic]:
        """Return the statistic of our runs, or None."""
        return None if self.cell is None else self.cell.statistic(metric)

    @property
    def label(self) -> str:
        """The honesty label of our values."""
        if self.entry.recipe is None:
            return "-"
        return "NOT RUN" if self.cell is None else self.cell.label


@dataclass(frozen=True)
class Table:
    """What a table says, before any format: lines, metrics and sentences."""

    title: str
    caption: str
    metrics: Tuple[str, ...]
    lines: Tuple[Line, ...]
    notes: Tuple[str, ...]


def render_table(
    ablation: Ablation,
    records: Sequence[Mapping[str, Any]],
    published: Iterable[Published],
    *,
    label: str = FULL,
) -> Tuple[str, str]:
    """Return a table as Markdown and as CSV.

    There is one line per row, label set, engine, device and precision. Runs are joined to rows by
    the fingerprint of their recipe. Only runs whose label is ``label`` appear, so that reduced and
    smoke runs never stand beside full ones.

    Parameters
    ----------
    ablation : Ablation
        The table as data.
    records : sequence of mappings
        Run records, from the registry or elsewhere.
    published : iterable of Published
        Printed values; those of other tables are ignored.
    label : str
        The honesty label of the runs to show.
    """
    table = build_table(ablation, records, published, label=label)
    return to_markdown(table), to_csv(table)


def build_table(
    ablation: Ablation,
    records: Sequence[Mapping[str, Any]],
    published: Iterable[Published],
    *,
    label: str = FULL,
) -> Table:
    """Return what a table says; the arguments are those of :func:`render_table`."""
    own = [p for p in published if (p.paper, p.table) == (ablation.paper, ablation.table)]
    printed: Dict[str, Dict[str, Published]] = {}
    for value in own:
        printed.setdefault(value.row, {})[value.metric] = value
    entries = expand(ablation)
    joined = join(entries, records, label)
    logs = evidence_of(ablation, records)
    lines: List[Line] = []
    for entry in entries:
        cells: Tuple[Optional[Cell], ...] = joined.cells.get(entry.name, ()) or (None,)
        row = entry.row.label
        lines += [Line(entry, printed.get(row, {}), cell, logs.get(row)) for cell in cells]
    declared = {row.label for row in ablation.rows}
    stated = {value.metric for value in own if value.row in declared} & set(METRICS)
    return Table(
        title=f"{ablation.paper}, {title(ablation.table)}: {ablation.caption}",
        caption=provenance([line.cell for line in lines if line.cell is not None]),
        metrics=tuple(metric for metric in METRICS if metric in (stated or {"top1", "top5"})),
        lines=tuple(lines),
        notes=(
            *ablation.notes,
            *(f"{row}: {found.sentence}." for row, found in logs.items()),
            *joined.remarks,
        ),
    )


def title(table: str) -> str:
    """Return ``Table III`` for ``III``, and ``text`` for what is in no table."""
    return f"Table {table}" if re.fullmatch(r"[IVX]+|\d+", table) else table


def provenance(cells: Sequence[Cell]) -> str:
    """Return one sentence on where, with what and when the runs of a table were made."""
    if not cells:
        return "Nothing has been run yet."
    records = [record for cell in cells for record in cell.records]
    versions = _listing(f"gluontricks {(r['code'] or {}).get('version')}" for r in records)
    engines = _listing(f"{r['engine']} {_version(r)}".strip() for r in records)
    machines = _listing(_machine(r["hardware"] or {}) for r in records)
    days = sorted(str(r["ended"])[:10] for r in records)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    count = len({r["run_id"] for r in records})
    return f"{counted(count)} with {versions} on {engines}; {machines}; {when}."


def _version(record: Mapping[str, Any]) -> str:
    software = record["software"] or {}
    name = {"pytorch": "torch"}.get(record["engine"], record["engine"])
    return str(software.get(name) or software.get(f"{name}-cu112") or "")


def _machine(hardware: Mapping[str, Any]) -> str:
    threads = hardware.get("threads")
    cpu = f"{hardware.get('cpu')}, {threads} threads" if threads else str(hardware.get("cpu"))
    return str(hardware.get("gpu") or cpu)


def _listing(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))


def to_markdown(table: Table) -> str:
    """Return ``table`` as Markdown: heading, lines, caption, notes.

    Columns of published values are left out where there are none.
    """
    footnotes: Dict[str, int] = {}
    sides = ["published", "ours"] if any(line.printed for line in table.lines) else ["ours"]
    if any(line.evidence for line in table.lines):
        sides.insert(1, "log")
    titles = [f"{METRICS[metric].title}, {side}" for metric in table.metrics for side in sides]
    heading = ["row", "labels", *titles, "label", "engine, device, precision"]
    align = [":--", ":--", *["--:"] * len(titles), ":--", ":--"]
    body = [heading, align, *(_markdown_line(line, table.metrics, sides, footnotes)
                              for line in table.lines)]  # fmt: skip
    text = [f"# {escape(table.title)}", ""]
    text += ["| " + " | ".join(row) + " |" for row in body]
    means = "Ours: mean ± standard deviation over seeds, of the last epoch."
    means += " Published: as printed (label PAPER)." if "published" in sides else ""
    means += LOG_MEANING if "log" in sides else ""
    text += ["", f"{escape(table.caption)} {means}", ""]
    text += [f"{number}. {escape(note)}" for note, number in footnotes.items()]
    text += [""] if footnotes else []
    text += [f"- {escape(note, code=True)}" for note in table.notes]
    return "\n".join(text).rstrip("\n") + "\n"


def _markdown_line(
    line: Line, metrics: Sequence[str], sides: Sequence[str], footnotes: Dict[str, int]
) -> List[str]:
    """Return the cells of one line; new footnotes are numbered into ``footnotes``."""
    out = [escape(line.entry.row.label), escape(line.entry.labels)]
    for metric in metrics:
        out += [_printed(line, metric, footnotes)] if "published" in sides else []
        out += [_logged(line, metric)] if "log" in sides else []
        out.append(_measured(line, metric))
    cell = line.cell
    by = f"{cell.engine}, {cell.device}, {cell.dtype}" if cell else ""
    return [*out, line.label, escape(by)]


def _printed(line: Line, metric: str, footnotes: Dict[str, int]) -> str:
    value = line.printed.get(metric)
    if value is None:
        return ""
    text = escape(value.value)
    if value.std is not None:
        text += f" ± {value.std:.2f} ({counted(value.runs or 1)})"
    if value.note:
        number = footnotes.setdefault(value.note, len(footnotes) + 1)
        text += f" <sup>{number}</sup>"
    beside = line.entry.recipe is not None and not line.compared and value.number is not None
    return f"({text})" if beside else text


def _logged(line: Line, metric: str) -> str:
    """Return the cell of the authors' log: in parentheses where it is no log of that row."""
    value = None if line.evidence is None else line.evidence.value(metric)
    if line.evidence is None or value is None:
        return ""
    text = f"{value:.{METRICS[metric].decimals}f}"
    if not line.evidence.about.comparable:
        return f"({text})"
    return f"{text} {line.evidence.verdict(metric, line.printed.get(metric))}".strip()


def _measured(line: Line, metric: str) -> str:
    if line.entry.recipe is None:
        return "out of scope"
    found = line.ours(metric)
    if found is None:
        return NOT_RUN
    digits = METRICS[metric].decimals
    spread = "" if found.std is None else f" ± {found.std:.{digits}f}"
    return f"{found.mean:.{digits}f}{spread} ({counted(found.runs)})"


def to_csv(table: Table) -> str:
    """Return ``table`` as CSV: one line per metric, printed and measured in columns of their own.

    Where nothing ran the measured columns are empty and the label is NOT RUN.
    """
    rows = (_csv_line(line, metric) for line in table.lines for metric in table.metrics)
    return csv_text(CSV_COLUMNS, ([clean(str(value)) for value in row] for row in rows))


def _csv_line(line: Line, metric: str) -> List[str]:
    entry, cell, printed = line.entry, line.cell, line.printed.get(metric)
    found = line.ours(metric)
    digits = METRICS[metric].decimals + 2
    runs = () if cell is None or found is None else cell.records
    out = [
        printed.id if printed else "", entry.ablation.paper, entry.ablation.table,
        entry.row.label, entry.labels, "yes" if line.compared else "no",
        "" if entry.recipe is None else entry.recipe.name, entry.fingerprint or "",
        metric,
    ]  # fmt: skip
    out += [printed.value, _text(printed.std), _text(printed.runs)] if printed else ["", "", ""]
    out += (
        [f"{found.mean:.{digits}f}", "" if found.std is None else f"{found.std:.{digits}f}",
         str(found.runs)] if found else ["", "", ""]
    )  # fmt: skip
    out += [line.label if found or cell is None else "NOT RUN"]
    out += [cell.engine, cell.device, cell.dtype] if cell else ["", "", ""]
    seeds = " ".join(str((record["seed"] or {}).get("root")) for record in runs)
    return [*out, seeds, " ".join(str(record["run_id"]) for record in runs), *_csv_log(line, metric)]


def _csv_log(line: Line, metric: str) -> List[str]:
    """Return the log of a row, its value and the verdict."""
    log = line.evidence
    value = None if log is None else log.value(metric)
    if log is None or value is None:
        return ["", "", ""]
    digits = METRICS[metric].decimals + 2
    verdict = log.verdict(metric, line.printed.get(metric))
    return [log.about.run, f"{value:.{digits}f}", verdict]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def clean(text: str) -> str:
    """Return ``text`` on one line and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def escape(text: str, *, code: bool = False) -> str:
    """Return ``text`` so that Markdown and HTML show it and do nothing else with it.

    With ``code`` backquotes stay, for our own notes.
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\*_\[\]|])" if code else r"([\\`*_\[\]|])", r"\\\1", text)
