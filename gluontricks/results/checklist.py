"""The machine learning reproducibility checklist (Pineau et al.), filled in for a table."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Sequence, Tuple

from gluontricks.data import dataset_info
from gluontricks.recipes import Ablation
from gluontricks.results.cells import Cell, counted, join, median_hours
from gluontricks.results.declared import Declared, expand, protocol_of
from gluontricks.results.tables import SCALE_OF, provenance

Record = Mapping[str, Any]


def checklist(
    ablation: Ablation, records: Sequence[Record], *, label: str = "MEASURED-FULL"
) -> List[Tuple[str, str]]:
    """Return item -> answer for a table's runs with one label, from recipes and records alone."""
    scale = SCALE_OF[label]
    entries = [entry for entry in expand(ablation, scale) if entry.recipe is not None]
    joined = join(entries, records, label)
    cells = [cell for found in joined.cells.values() for cell in found]
    runs = {r["run_id"]: r for cell in cells for r in cell.records}
    subset = "; ".join(dict.fromkeys(str((r["data"] or {}).get("subset")) for r in runs.values()
                                     if (r["data"] or {}).get("subset")))  # fmt: skip
    return [
        ("table", f"{ablation.paper}, {ablation.table}: {ablation.caption}; {label}"),
        ("data", data(entries)),
        ("splits", listing(str((r["data"] or {}).get("split")) for r in runs.values())),
        ("protocol", protocol_of(ablation.paper, scale) or "the paper's"),
        ("excluded data", "all but " + subset if subset else "none"),
        ("preprocessing", "every step is a field of the recipe: `gluontricks recipes show NAME`"),
        ("hyper-parameters", hyper_parameters(entries)),
        ("selection", "none: the recipes are the paper's, and the last epoch is reported"),
        ("number of runs", number_of_runs(joined.cells)),
        ("runs that failed", "; ".join(r for r in joined.remarks if "seed" in r) or "none"),
        ("statistics", "mean, standard deviation (n - 1), 95 % t interval over seeds; differences "
                       "paired by seed, sign-flip and Welch tests, Holm within the table"),
        ("what seeds vary", listing(", ".join(r["seed"]["varied"] or ()) for r in runs.values())),
        ("infrastructure", provenance(cells)),
        ("time", time(cells)),
        ("code", listing(f"commit {(r['code'] or {}).get('commit')}" for r in runs.values())),
        ("command", f"python scripts/reproduce.py --paper {ablation.paper} --table "
                    f"{ablation.table} --scale {scale} --seeds 6"),
    ]  # fmt: skip


def data(entries: Iterable[Declared]) -> str:
    """Return the data sets of some rows with their sizes."""
    names = dict.fromkeys(entry.recipe.dataset for entry in entries if entry.recipe)
    parts: List[str] = []
    for name in names:
        info = dataset_info(name)
        parts.append(
            f"{name}: {info.train_size:,} training and {info.test_size:,} test images, "
            f"{info.classes} classes"
        )
    return "; ".join(parts) or "no row has a recipe"


def hyper_parameters(entries: Sequence[Declared]) -> str:
    """Return the names of the recipes that hold all hyper-parameters."""
    names = [entry.recipe.name for entry in entries if entry.recipe]
    return f"{len(names)} recipes: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"


def number_of_runs(cells: Mapping[str, Tuple[Cell, ...]]) -> str:
    """Return how many runs each row has, in words."""
    counts = [len(cell.records) for found in cells.values() for cell in found]
    if not counts:
        return "none"
    low, high = min(counts), max(counts)
    each = counted(low) if low == high else f"{low} to {high} runs"
    return f"{each} in each of {len(counts)} cells, seeds from 0 on"


def time(cells: Sequence[Cell]) -> str:
    """Return the hours of all runs together."""
    hours = [median_hours(cell) or 0.0 for cell in cells]
    total = sum(h * len(cell.records) for h, cell in zip(hours, cells))
    return f"{total:.1f} h of runs in all" if cells else "none"


def listing(words: Iterable[str]) -> str:
    """Return what is said, once each."""
    return "; ".join(sorted(set(words))) or "no runs"
