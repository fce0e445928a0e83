"""What a table says: published values beside measured ones, logs and comparisons apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from gluontricks.recipes import OUT_OF_SCOPE, Ablation, Published
from gluontricks.recipes.protocols import PROTOCOLS
from gluontricks.results.cells import (
    FULL,
    METRICS,
    REDUCED,
    Cell,
    counted,
    join,
    median_hours,
    processor,
)
from gluontricks.results.comparisons import Compared, Measured, compare, printed_effect
from gluontricks.results.complexity import COSTS
from gluontricks.results.declared import Declared, expand, protocol_of
from gluontricks.results.evidence import Evidence, evidence_of

NOT_RUN = "not run"
NOTHING = "Nothing has been run yet."
NO_RECIPE = "No row has a recipe yet, so nothing here can be run."
SCALE_OF = {FULL: "full", REDUCED: "reduced", "SMOKE": "full"}


@dataclass(frozen=True)
class Line:
    """One line of a table: a row in one label set, its printed values, a cell if it ran, a log.

    ``compared_by`` has what the runs say of each metric, ``effects`` the printed differences from
    the printed baseline.
    """

    entry: Declared
    printed: Mapping[str, Published]
    cell: Optional[Cell]
    evidence: Optional[Evidence] = None
    compared_by: Mapping[str, Compared] = field(default_factory=dict)
    effects: Mapping[str, float] = field(default_factory=dict)

    @property
    def compared(self) -> bool:
        """Whether the printed values are compared with this label set."""
        return self.entry.labels == self.entry.ablation.compared

    @property
    def why_not(self) -> str:
        """The status of a row that has no recipe."""
        table = self.entry.ablation
        why = OUT_OF_SCOPE.get((table.paper, table.table, self.entry.row.label), "out of scope")
        return why.partition(":")[0]

    @property
    def label(self) -> str:
        """The honesty label of our values."""
        if self.entry.recipe is None:
            return "NOT RUN" if self.why_not == NOT_RUN else "-"
        return "NOT RUN" if self.cell is None else self.cell.label

    @property
    def protocol(self) -> str:
        """The epochs and images of the runs; of reduced ones also the network and the batch."""
        recipe = self.entry.recipe
        if recipe is None or self.cell is None:
            return ""
        if self.entry.scale == "full":
            return f"{recipe.num_epochs} epochs"
        part = f" of {recipe.subset:,} images" if recipe.subset else ""
        return f"{recipe.model}, {recipe.num_epochs} epochs{part}, batch {recipe.batch_size}"

    @property
    def hours(self) -> Optional[float]:
        """The median hours of a run."""
        return None if self.cell is None else median_hours(self.cell)


@dataclass(frozen=True)
class Table:
    """What a table says, before any format: lines, metrics and sentences."""

    title: str
    caption: str
    metrics: Tuple[str, ...]
    lines: Tuple[Line, ...]
    notes: Tuple[str, ...]
    label: str = FULL


def build_table(
    ablation: Ablation,
    records: Sequence[Mapping[str, Any]],
    published: Iterable[Published],
    *,
    label: str = FULL,
) -> Table:
    """Return what a table says.

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
    scale = SCALE_OF[label]
    printed = by_row(ablation, published)
    entries = expand(ablation, scale)
    joined = join(entries, records, label)
    if scale == "reduced":
        entries = planned(ablation, entries, joined.cells)
    logs = evidence_of(ablation, records) if scale == "full" else {}
    metrics = metrics_of(entries, printed)
    lines = lines_of(entries, joined.cells, printed, logs, metrics)
    return Table(
        title=f"{ablation.paper}, {title(ablation.table)}: {ablation.caption}"
        + (", reduced" if scale == "reduced" else ""),
        caption=provenance([line.cell for line in lines if line.cell is not None])
        or (NOTHING if any(entry.recipe for entry in entries) else NO_RECIPE),
        metrics=metrics,
        lines=tuple(lines),
        notes=(
            *reduction(ablation, scale),
            *ablation.notes,
            *(f"{row}: {found.sentence}." for row, found in logs.items()),
            *joined.remarks,
        ),
        label=label,
    )


def planned(
    ablation: Ablation, entries: Sequence[Declared], cells: Mapping[str, Any]
) -> List[Declared]:
    """Return the rows of a reduced table: those that a plan has, and what else ran.

    A table of which nothing ran has none.
    """
    protocol = PROTOCOLS.get(ablation.paper)
    labels = protocol.labels if protocol and cells else ()
    return [entry for entry in entries if entry.name in cells or entry.labels in labels]


def reduction(ablation: Ablation, scale: str) -> Tuple[str, ...]:
    """Return what the runs of a scale leave out, and what they cannot show."""
    words = protocol_of(ablation.paper, scale)
    if words is None:
        return ()
    caveat = PROTOCOLS[ablation.paper].caveat
    return (f"Reduced runs: {words}.", *((caveat,) if caveat else ()))


def by_row(ablation: Ablation, published: Iterable[Published]) -> Dict[str, Dict[str, Published]]:
    """Return row -> metric -> the printed value of a table."""
    printed: Dict[str, Dict[str, Published]] = {}
    for value in published:
        if (value.paper, value.table) == (ablation.paper, ablation.table):
            printed.setdefault(value.row, {})[value.metric] = value
    return printed


def metrics_of(
    entries: Sequence[Declared], printed: Mapping[str, Mapping[str, Published]]
) -> Tuple[str, ...]:
    """Return the metrics of a table's columns: those that are measured, then others as printed.

    Networks' costs have tables of their own.
    """
    rows = [entry.row.label for entry in entries]
    stated = list(dict.fromkeys(m for row in rows for m in printed.get(row, {}) if m not in COSTS))
    known = [metric for metric in METRICS if metric in stated]
    if not known and (not stated or any(entry.recipe for entry in entries)):
        known = ["top1", "top5"]
    return (*known, *(metric for metric in stated if metric not in METRICS))


def lines_of(
    entries: Sequence[Declared],
    cells: Mapping[str, Tuple[Cell, ...]],
    printed: Mapping[str, Mapping[str, Published]],
    logs: Mapping[str, Evidence],
    metrics: Sequence[str],
) -> List[Line]:
    """Return the lines of a table with all comparisons."""
    pairs = [
        (entry, cell)
        for entry in entries
        for cell in cells.get(entry.name, ()) or (None,)
    ]  # fmt: skip
    ran = [
        Measured(entry, cell, printed.get(entry.row.label, {}))
        for entry, cell in pairs
        if cell is not None
    ]
    compared = {metric: compare(ran, metric) for metric in metrics if metric in METRICS}
    lines: List[Line] = []
    for entry, cell in pairs:
        row = entry.row.label
        own = printed.get(row, {})
        said: Dict[str, Compared] = {}
        if cell is not None:
            key = Measured(entry, cell, own).key
            said = {metric: found[key] for metric, found in compared.items() if key in found}
        effects = {m: printed_effect(entry.ablation, printed, row, m) for m in ("top1", "top5")}
        known = {metric: value for metric, value in effects.items() if value is not None}
        lines.append(Line(entry, own, cell, logs.get(row), said, known))
    return lines


def title(table: str) -> str:
    """Return ``Table III`` for ``III``, and ``text`` for what is in no table."""
    return f"Table {table}" if re.fullmatch(r"[IVX]+|\d+", table) else table


def provenance(cells: Sequence[Cell]) -> str:
    """Return one sentence on where, with what and when runs were made; nothing without any."""
    if not cells:
        return ""
    records = [record for cell in cells for record in cell.records]
    versions = _listing(f"gluontricks {(r['code'] or {}).get('version')}" for r in records)
    engines = _listing(f"{r['engine']} {_version(r)}".strip() for r in records)
    machines = "; ".join(sorted({_machine(r) for r in records}))
    days = sorted(str(r["ended"])[:10] for r in records)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    count = len({r["run_id"] for r in records})
    return f"{counted(count)} with {versions} on {engines}; {machines}; {when}."


def _version(record: Mapping[str, Any]) -> str:
    software = record["software"] or {}
    name = {"pytorch": "torch"}.get(record["engine"], record["engine"])
    return str(software.get(name) or software.get(f"{name}-cu112") or "")


def _machine(record: Mapping[str, Any]) -> str:
    hardware = record["hardware"] or {}
    threads = None if hardware.get("gpu") else hardware.get("threads")
    many = "thread" if threads == 1 else "threads"
    return f"{processor(record)}, {threads} {many}" if threads else processor(record)


def _listing(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))
