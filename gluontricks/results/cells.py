"""Which runs stand in which cell of a table, and the statistics of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.results.declared import Declared, recipe_of, rows_of
from gluontricks.results.records import label_of
from gluontricks.results.schema import validate
from gluontricks.results.statistics import Summary, summary

Record = Mapping[str, Any]

FULL, REDUCED = "MEASURED-FULL", "MEASURED-REDUCED"
MOST_SEEN = 4096


@dataclass(frozen=True)
class Metric:
    """One column of a table: its heading, its decimals, and how a record tells it."""

    title: str
    decimals: int
    read: Callable[[Record], Optional[float]]


def median_seconds(record: Record) -> Optional[float]:
    """Return the median seconds per epoch of a run, without its first epoch."""
    times = [e["seconds"] for e in (record["epochs"] or [])[1:] if e["seconds"] is not None]
    return median(times) if times else None


def median_minutes(record: Record) -> Optional[float]:
    """Return the median minutes per epoch of a run, without its first epoch."""
    seconds = median_seconds(record)
    return None if seconds is None else seconds / 60


# Times are of a processor: those of another are no repetition.
TIMES = ("seconds_per_epoch", "minutes_per_epoch")
METRICS: Mapping[str, Metric] = {
    "top1": Metric("top-1", 2, lambda record: record["metrics"]["top1"]),
    "top5": Metric("top-5", 2, lambda record: record["metrics"]["top5"]),
    "seconds_per_epoch": Metric("s/epoch", 1, median_seconds),
    "minutes_per_epoch": Metric("min/epoch", 1, median_minutes),
}


@dataclass(frozen=True)
class Cell:
    """The runs of one row in one label set on one engine, device and precision: one per seed."""

    engine: str
    device: str
    dtype: str
    label: str
    records: Tuple[Record, ...]

    @property
    def setting(self) -> str:
        """Engine, device and precision as text."""
        return f"{self.engine}, {self.device}, {self.dtype}"

    def statistic(self, metric: str) -> Optional[Summary]:
        """Return the summary of one metric over the runs that have it; None if none does."""
        values = list(self.values(metric).values())
        return summary(values) if values else None

    def values(self, metric: str) -> Dict[int, float]:
        """Return seed -> the value of one metric, for the runs that have it and may be pooled."""
        found = {
            int((record["seed"] or {}).get("root") or 0): METRICS[metric].read(record)
            for record in (self.timed if metric in TIMES else self.records)
        }
        return {seed: value for seed, value in found.items() if value is not None}

    @property
    def timed(self) -> Tuple[Record, ...]:
        """The runs whose times are pooled: those on the processor that most of them had."""
        groups: Dict[str, List[Record]] = {}
        for record in self.records:
            groups.setdefault(processor(record), []).append(record)
        return tuple(max(groups.values(), key=len, default=()))

    @property
    def timed_on(self) -> str:
        """The processor of the pooled times where the runs had several, else nothing."""
        one, every = self.timed, {processor(record) for record in self.records}
        return processor(one[0]) if len(every) > 1 else ""


def processor(record: Record) -> str:
    """Return the GPU or the processor of a run, as its record names it."""
    hardware = record["hardware"] or {}
    return str(hardware.get("gpu") or hardware.get("cpu"))


def median_hours(cell: Cell) -> Optional[float]:
    """Return the median hours of the runs whose times are pooled, or None where none says."""
    hours = [(record["budget"] or {}).get("wall_s") for record in cell.timed]
    known = [value / 3600 for value in hours if value is not None]
    return median(known) if known else None


@dataclass(frozen=True)
class Joined:
    """The records of one table: cells by row name, and the sentences about what is in none.

    ``failures`` are those of the remarks that tell of runs which failed or diverged.
    """

    cells: Mapping[str, Tuple[Cell, ...]]
    remarks: Tuple[str, ...]
    failures: Tuple[str, ...] = ()


def join(entries: Sequence[Declared], records: Sequence[Record], label: str) -> Joined:
    """Return the cells of the rows ``entries``, from the records whose label is ``label``.

    A record belongs to a row if its recipe is the row's. Of two runs of one seed in one cell the
    first that ended counts. Runs that failed and runs of a recipe that a row had in another
    version are in no cell, and said in the remarks.
    """
    remarks: List[str] = []
    failures: List[str] = []
    groups: Dict[Tuple[str, ...], List[Record]] = {}
    mine = tuple(entries)
    names = {entry.name for entry in mine}
    for record in sorted(records, key=_order):
        if not is_valid(record):
            remarks.append(f"Record {record.get('run_id')} is not valid and is left out.")
            continue
        recipe = recipe_of(record)
        rows = [] if recipe is None else rows_of(recipe, mine)
        if not rows and names & set(record["rows"] or ()):
            remarks.append(
                f"Run {record['run_id']} is of another version of "
                f"{sorted(names & set(record['rows']))[0]} and is left out."
            )
        for row in rows:
            if record["status"] in ("failed", "diverged"):
                failures.append(_failure(row.name, record))
                remarks.append(failures[-1])
            elif label_of(record) == label:
                groups.setdefault((row.name, *setting_of(record)), []).append(record)
    cells: Dict[str, List[Cell]] = {}
    for (name, engine, device, dtype), members in sorted(groups.items()):
        kept, doubled = _one_per_seed(members)
        remarks += [f"Run {i} repeats a seed of {name} and is left out." for i in doubled]
        remarks += _teachers(name, kept)
        cells.setdefault(name, []).append(Cell(engine, device, dtype, label, tuple(kept)))
    return Joined(
        {k: tuple(v) for k, v in cells.items()},
        tuple(dict.fromkeys(remarks)),
        tuple(dict.fromkeys(failures)),
    )


# id -> the record, which so keeps its id, and whether it is valid.
_SEEN: Dict[int, Tuple[Record, bool]] = {}


def is_valid(record: Record) -> bool:
    """Return whether a record is valid; each is looked at once, since every table asks again.

    Records do not change once they are read.
    """
    if id(record) not in _SEEN:
        if len(_SEEN) > MOST_SEEN:
            _SEEN.clear()
        _SEEN[id(record)] = (record, not validate(record))
    return _SEEN[id(record)][1]


def sound(records: Sequence[Record]) -> List[Record]:
    """Return the records that are valid; a line of a registry may hold anything."""
    return [record for record in records if is_valid(record)]


def _order(record: Record) -> Tuple[str, str]:
    return str(record.get("ended")), str(record.get("run_id"))


def setting_of(record: Record) -> Tuple[str, str, str]:
    """Return what is never pooled: the engine, the kind of device, the precision."""
    return record["engine"] or "?", (record["device"] or "?").split(":")[0], record["dtype"] or "?"


def _failure(name: str, record: Record) -> str:
    seed = (record["seed"] or {}).get("root")
    return f"{name}, seed {seed}: {record['status']}: {record['reason']}."


def _one_per_seed(records: Sequence[Record]) -> Tuple[List[Record], List[str]]:
    """Return the first record of each seed, by seed, and the ids of the others."""
    first: Dict[Any, Record] = {}
    doubled: List[str] = []
    for record in records:
        seed = (record["seed"] or {}).get("root")
        if seed in first:
            doubled.append(record["run_id"])
        else:
            first[seed] = record
    return sorted(first.values(), key=lambda r: (r["seed"] or {}).get("root") or 0), doubled


def _teachers(name: str, records: Sequence[Record]) -> List[str]:
    """Return one sentence per teacher that taught runs of a row."""
    taught: Dict[Tuple[str, str], int] = {}
    for record in records:
        teacher = (record["model"] or {}).get("teacher")
        if teacher:
            key = (str(teacher["name"]), str(teacher["sha256"])[:12])
            taught[key] = taught.get(key, 0) + 1
    return [
        f"{name}: taught by {model}, parameters {sha}... ({counted(runs)})."
        for (model, sha), runs in sorted(taught.items())
    ]


def with_spread(value: Summary, metric: str) -> str:
    """Return a mean with its standard deviation as text."""
    digits = METRICS[metric].decimals
    spread = "" if value.std is None else f" ± {value.std:.{digits}f}"
    return f"{value.mean:.{digits}f}{spread}"


def counted(runs: int) -> str:
    """Return ``1 run`` or ``n runs``."""
    return "1 run" if runs == 1 else f"{runs} runs"
