"""The account: what became of each value that the papers print."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.recipes import ABLATIONS, OUT_OF_SCOPE, Published, published
from gluontricks.recipes.catalogue import EXCEPTIONS
from gluontricks.recipes.derived import REPEATS, followed
from gluontricks.results.cells import FULL, METRICS, REDUCED, Cell, counted, join, with_spread
from gluontricks.results.complexity import cost_of
from gluontricks.results.declared import Declared, expand
from gluontricks.results.evidence import Evidence, evidence_of

STATUSES = (
    "exact", "differs", "recipe setting", "recomputed", "quoted from others",
    "not reported by the authors", "log agrees", "log differs", "measured in full",
    "measured reduced", "not run", "out of scope",
)  # fmt: skip
MEANING: Mapping[str, str] = {
    "exact": "counted here, and ours rounds to the printed value",
    "differs": "counted here, and ours does not round to the printed value",
    "recipe setting": "a number of the method or of the data, no result",
    "recomputed": (
        "calculated here from other printed values or a formula; the reason says if it follows"
    ),
    "quoted from others": "a result of another work",
    "not reported by the authors": "the place is there and holds no value",
    "log agrees": "the authors' log is within 0.2 points of it, or within two printed deviations",
    "log differs": "the authors' log is further from it than that",
    "measured in full": "the row's recipe ran here, unchanged",
    "measured reduced": "the row's recipe ran here in the smaller form of our reduced protocol",
    "not run": "nothing ran that could be compared",
    "out of scope": "cannot be measured again, or is no result",
}
ABSENT = ("-", "N/A")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Accounted:
    """One printed value, its primary status with the reason, and all other evidence.

    ``evidence`` has pairs of a label and a text: what a log says, what runs came to.
    """

    value: Published
    status: str
    reason: str
    evidence: Tuple[Tuple[str, str], ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """Return the entry as JSON values."""
        value = self.value
        return {
            "id": value.id, "paper": value.paper, "table": value.table, "row": value.row,
            "metric": value.metric, "value": value.value, "status": self.status,
            "reason": self.reason, "evidence": [list(pair) for pair in self.evidence],
            "note": value.note,
        }  # fmt: skip


def account(
    records: Sequence[Record], counts: Optional[Mapping[str, Any]] = None
) -> List[Accounted]:
    """Return the account of every printed value, in the order of the papers.

    Parameters
    ----------
    records : sequence of mappings
        The registry.
    counts : mapping, optional
        The networks' costs that were counted; see :mod:`gluontricks.results.complexity`.
    """
    rows = {name: row_evidence(table, records) for name, table in ABLATIONS.items()}
    found: List[Accounted] = []
    for value in published():
        evidence = rows.get(f"{value.paper}/{value.table}", {}).get(value.row, RowEvidence())
        found.append(accounted(value, evidence, counts))
    by_id = {entry.value.id: entry for entry in found}
    return [repeated(entry, by_id) for entry in found]


def repeated(entry: Accounted, by_id: Mapping[str, Accounted]) -> Accounted:
    """Return a value's entry; where it is printed a second time, with the first one's status."""
    first = by_id.get(REPEATS.get(entry.value.id, ""))
    if first is None:
        return entry
    return replace(entry, status=first.status, reason=f"{first.reason} ({first.value.id} again)")


@dataclass(frozen=True)
class RowEvidence:
    """What there is beside the printed values of a row: runs, reduced runs, a log, a recipe."""

    full: Tuple[Cell, ...] = ()
    reduced: Tuple[Tuple[str, Cell], ...] = ()
    log: Optional[Evidence] = None
    recipe: Optional[str] = None


def row_evidence(table: Any, records: Sequence[Record]) -> Dict[str, RowEvidence]:
    """Return row -> what there is of it."""
    logs = evidence_of(table, records)
    full, reduced = expand(table), expand(table, "reduced")
    in_full = join(full, records, FULL).cells
    in_part = join(reduced, records, REDUCED).cells
    compared = {e.row.label: e for e in full if e.labels == table.compared and e.recipe}
    return {
        row.label: RowEvidence(
            full=in_full.get(name_of(compared.get(row.label)), ()),
            reduced=tuple(
                (entry.labels, cell)
                for entry in reduced
                if entry.row.label == row.label
                for cell in in_part.get(entry.name, ())
            ),
            log=logs.get(row.label),
            recipe=recipe_name(compared.get(row.label)),
        )
        for row in table.rows
    }


def name_of(entry: Optional[Declared]) -> str:
    """Return the name of a declared row; nothing where there is none."""
    return "" if entry is None else entry.name


def recipe_name(entry: Optional[Declared]) -> Optional[str]:
    """Return the name of a declared row's recipe."""
    return None if entry is None or entry.recipe is None else entry.recipe.name


def accounted(value: Published, row: RowEvidence, counts: Optional[Mapping[str, Any]]) -> Accounted:
    """Return one value with its status: the first of the list that holds."""
    evidence = tuple(all_evidence(value, row))
    if value.value in ABSENT:
        return Accounted(value, "not reported by the authors", value.note, evidence)
    cost = cost_of(value, counts or {})
    if cost is not None and cost.count is not None:
        ours = cost.ours if "_" in value.metric else f"{cost.count:,}"
        return Accounted(value, cost.status, f"ours: {ours}", evidence)
    told = followed(value)
    if told is not None:
        return Accounted(value, "recomputed", told, evidence)
    why = EXCEPTIONS.get(value.id) or OUT_OF_SCOPE.get((value.paper, value.table, value.row))
    if why is not None:
        status, _, reason = why.partition(": ")
        return Accounted(value, status, reason, evidence)
    kinds = dict(evidence)
    if FULL in kinds:
        return Accounted(value, "measured in full", kinds[FULL], evidence)
    verdict = "" if row.log is None else row.log.verdict(value.metric, value)
    if verdict:
        return Accounted(value, verdict, kinds["AUTHOR-LOG"], evidence)
    if REDUCED in kinds:
        return Accounted(value, "measured reduced", kinds[REDUCED], evidence)
    return Accounted(value, "not run", f"recipe {row.recipe}", evidence)


def all_evidence(value: Published, row: RowEvidence) -> List[Tuple[str, str]]:
    """Return what there is beside a value, by label."""
    found: List[Tuple[str, str]] = []
    if value.metric not in METRICS:
        return found
    found += [(FULL, text) for text in described([("", c) for c in row.full], value.metric)]
    seen = None if row.log is None else row.log.value(value.metric)
    if row.log is not None and seen is not None:
        other = "" if row.log.about.comparable else ", not comparable"
        text = f"{seen:.{METRICS[value.metric].decimals}f} ({row.log.run.source}{other})"
        found.append(("AUTHOR-LOG", text))
    if value.metric in ("top1", "top5"):
        # Another network's time says nothing of the printed one.
        found += [(REDUCED, text) for text in described(row.reduced, value.metric)]
    return found


def described(cells: Sequence[Tuple[str, Cell]], metric: str) -> List[str]:
    """Return in one text what the runs of some cells came to; an empty list without any."""
    parts: List[str] = []
    for labels, cell in cells:
        value = cell.statistic(metric)
        if value is not None:
            words = f"{with_spread(value, metric)} ({counted(value.n)}, {cell.engine})"
            parts.append(f"{labels} {words}".strip())
    return ["; ".join(parts)] if parts else []


def by_status(entries: Sequence[Accounted]) -> Dict[str, int]:
    """Return how many values have each status, in the order of the closed list."""
    counts = Counter(entry.status for entry in entries)
    return {status: counts[status] for status in STATUSES if counts[status]}


def in_words(counts: Mapping[str, int]) -> str:
    """Return how many values have each status as text."""
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def by_table(entries: Sequence[Accounted]) -> Dict[Tuple[str, str], Dict[str, int]]:
    """Return (paper, table) -> how many values have each status."""
    groups: Dict[Tuple[str, str], List[Accounted]] = {}
    for entry in entries:
        groups.setdefault((entry.value.paper, entry.value.table), []).append(entry)
    return {key: by_status(group) for key, group in groups.items()}
