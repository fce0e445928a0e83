"""Tables as CSV: one line per row, label set, setting and metric, with every figure there is."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from gluontricks.results.cells import METRICS
from gluontricks.results.comparisons import Compared
from gluontricks.results.kept import csv_text
from gluontricks.results.statistics import Difference, Interval
from gluontricks.results.tables import Line, Table
from gluontricks.results.words import clean

COLUMNS = (
    "id", "paper", "table", "row", "labels", "compared", "recipe", "fingerprint", "metric",
    "published", "published_std", "published_runs", "ours_mean", "ours_std", "ours_low",
    "ours_high", "runs", "best_epoch_mean", "to_published", "to_published_low", "to_published_high",
    "verdict", "baseline", "to_baseline", "to_baseline_low", "to_baseline_high", "pairs",
    "p_sign_flip", "p_sign_flip_holm", "p_welch", "p_welch_holm", "label", "protocol", "engine",
    "device", "dtype", "hours", "seeds", "run_ids", "log", "log_value", "log_verdict",
)  # fmt: skip


def to_csv(table: Table) -> str:
    """Return ``table`` as CSV, printed and measured in columns of their own.

    Where nothing ran the measured columns are empty and the label is NOT RUN.
    """
    rows = (line_of(line, metric) for line in table.lines for metric in table.metrics)
    return csv_text(COLUMNS, ([clean(text(value)) for value in row] for row in rows))


def line_of(line: Line, metric: str) -> List[Any]:
    """Return the values of one line of the file, in the order of the columns."""
    entry, cell, printed = line.entry, line.cell, line.printed.get(metric)
    one = line.compared_by.get(metric)
    reduced = cell is not None and cell.label == "MEASURED-REDUCED"
    values: List[Any] = [
        printed.id if printed else "", entry.ablation.paper, entry.ablation.table,
        entry.row.label, entry.labels, "yes" if line.compared else "no",
        "" if entry.recipe is None else entry.recipe.name, entry.fingerprint, metric,
    ]  # fmt: skip
    values += [printed.value, printed.std, printed.runs] if printed and not reduced else [None] * 3
    values += statistics_of(one, METRICS[metric].decimals + 2 if metric in METRICS else 4, reduced)
    values += [line.label if one or cell is None else "NOT RUN"]
    values += [line.protocol if one else None]
    values += [cell.engine, cell.device, cell.dtype] if cell else [None] * 3
    runs = () if cell is None or one is None else cell.records
    seeds = " ".join(str((record["seed"] or {}).get("root")) for record in runs)
    values += [rounded(line.hours, 3) if one else None, seeds]
    return [*values, " ".join(str(record["run_id"]) for record in runs), *log_of(line, metric)]


def statistics_of(one: Optional[Compared], digits: int, reduced: bool) -> List[Any]:
    """Return every figure of a comparison; of reduced runs only means and intervals."""
    if one is None:
        return [None] * 19
    found: List[Any] = [rounded(one.ours.mean, digits), rounded(one.ours.std, digits)]
    found += [*bounds(one.ours.interval, digits), one.ours.n, rounded(one.best, digits)]
    found += [*difference_of(one.to_published, digits), one.verdict]
    found += [one.baseline, *difference_of(one.to_baseline, digits)]
    to = one.to_baseline
    found.append(None if to is None else to.pairs)
    if reduced or to is None:
        return [*found, None, None, None, None]
    tests = (to.sign_flip, one.p_sign_flip, to.welch, one.p_welch)
    return [*found, *(rounded(p, 6) for p in tests)]


def difference_of(value: Optional[Difference], digits: int) -> Tuple[str, str, str]:
    """Return a difference and the two ends of its interval."""
    if value is None:
        return "", "", ""
    return (rounded(value.mean, digits), *bounds(value.interval, digits))


def bounds(value: Optional[Interval], digits: int) -> Tuple[str, str]:
    """Return the two ends of an interval."""
    return ("", "") if value is None else (rounded(value[0], digits), rounded(value[1], digits))


def rounded(value: Optional[float], digits: int) -> str:
    """Return a number with so many decimals; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def log_of(line: Line, metric: str) -> List[str]:
    """Return the log of a row, its value and the verdict."""
    log = line.evidence
    value = None if log is None or metric not in METRICS else log.value(metric)
    if log is None or value is None:
        return ["", "", ""]
    digits = METRICS[metric].decimals + 2
    return [log.about.run, f"{value:.{digits}f}", log.verdict(metric, line.printed.get(metric))]


def text(value: Any) -> str:
    """Return a value as text; nothing for None."""
    return "" if value is None else str(value)
