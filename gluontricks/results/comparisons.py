"""What the runs of a table's lines say of the printed value and of the baseline's runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.recipes import JUDGED_AGAINST, Ablation, Published, published
from gluontricks.results import statistics
from gluontricks.results.cells import FULL, METRICS, Cell
from gluontricks.results.declared import Declared
from gluontricks.results.statistics import Difference, Summary

Key = Tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Compared:
    """One metric of one line: our runs, and how they differ from what they are compared with.

    ``best`` is the mean of the best epochs, which the test images chose. ``to_published`` and
    ``verdict`` are of full runs in the label set that the paper is compared in; ``p_sign_flip``
    and ``p_welch`` are corrected by Holm's method within the table.
    """

    ours: Summary
    best: Optional[float] = None
    to_published: Optional[Difference] = None
    verdict: str = ""
    to_baseline: Optional[Difference] = None
    baseline: str = ""
    p_sign_flip: Optional[float] = None
    p_welch: Optional[float] = None


@dataclass(frozen=True)
class Measured:
    """A line that ran: its row, its cell, and the printed values it is judged by."""

    entry: Declared
    cell: Cell
    printed: Mapping[str, Published]

    @property
    def key(self) -> Key:
        """What names the line within its table."""
        cell = self.cell
        return self.entry.row.label, self.entry.labels, cell.engine, cell.device, cell.dtype


def compare(lines: Sequence[Measured], metric: str) -> Dict[Key, Compared]:
    """Return line -> what its runs say of one metric, for the lines that have it."""
    found: Dict[Key, Compared] = {}
    by_key = {line.key: line for line in lines}
    for line in lines:
        values = line.cell.values(metric)
        if values:
            found[line.key] = compared(line, list(values.values()), metric, by_key)
    flips = statistics.holm({str(k): sign_flip_of(v) for k, v in found.items()})
    welches = statistics.holm({str(k): welch_of(v) for k, v in found.items()})
    return {
        key: Compared(
            **{**vars(one), "p_sign_flip": flips.get(str(key)), "p_welch": welches.get(str(key))}
        )
        for key, one in found.items()
    }


def compared(
    line: Measured, values: List[float], metric: str, lines: Mapping[Key, Measured]
) -> Compared:
    """Return what one line's runs say, before any correction for many tests."""
    facts: Dict[str, Any] = {}
    if metric == "top1":
        facts["best"] = mean_of_best(line.cell)
    ours = statistics.summary(values)
    facts.update(of_published(line, ours, metric))
    name = line.entry.ablation.baseline_of(line.entry.row.label)
    other = lines.get((name, *line.key[1:]))
    if other is not None and name != line.entry.row.label:
        facts["to_baseline"] = statistics.paired(
            line.cell.values(metric), other.cell.values(metric)
        )
        facts["baseline"] = name
    return Compared(ours, **facts)


def of_published(line: Measured, ours: Summary, metric: str) -> Dict[str, Any]:
    """Return the difference from the printed value and its verdict, where these are comparable."""
    printed = line.printed.get(metric)
    entry, accuracy = line.entry, metric in ("top1", "top5")
    if printed is None or line.cell.label != FULL or not accuracy:
        return {}
    if entry.labels != entry.ablation.compared:
        return {}
    judged = judged_by(printed)
    if judged.number is None:
        return {}
    theirs = {"std": judged.std, "runs": judged.runs}
    return {
        "to_published": statistics.to_published(ours, judged.number, **theirs),
        "verdict": statistics.verdict(ours, judged.number, entry.ablation.margin, **theirs),
    }


def judged_by(printed: Published) -> Published:
    """Return the printed value that a row is judged by: another one where it is a misprint."""
    other = JUDGED_AGAINST.get(printed.id)
    if other is None:
        return printed
    return next(value for value in published(printed.paper) if value.id == other)


def mean_of_best(cell: Cell) -> Optional[float]:
    """Return the mean over runs of the best epoch's top-1; None where a run has no curve."""
    best = [
        max((e["top1"] for e in record["epochs"] or () if e["top1"] is not None), default=None)
        for record in cell.records
    ]
    known = [value for value in best if value is not None]
    return sum(known) / len(known) if known and len(known) == len(best) else None


def printed_effect(
    ablation: Ablation, printed: Mapping[str, Mapping[str, Published]], row: str, metric: str
) -> Optional[float]:
    """Return the difference of two printed values, a row's and its baseline's."""
    name = ablation.baseline_of(row)
    pair = [printed.get(label, {}).get(metric) for label in (row, name)]
    if name == row or metric not in METRICS or None in pair:
        return None
    one, other = (judged_by(value).number for value in pair if value is not None)
    return None if one is None or other is None else one - other


def sign_flip_of(one: Compared) -> Optional[float]:
    """Return the p-value of the sign-flip test against the baseline, uncorrected."""
    return one.to_baseline.sign_flip if one.to_baseline else None


def welch_of(one: Compared) -> Optional[float]:
    """Return the p-value of Welch's test against the baseline, uncorrected."""
    return one.to_baseline.welch if one.to_baseline else None
