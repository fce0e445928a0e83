"""The machine learning reproducibility checklist (Pineau et al.), filled in for a table."""

from __future__ import annotations

from typing import Any, Collection, Iterable, List, Mapping, Sequence, Tuple

from gluontricks.data import dataset_info
from gluontricks.recipes import Ablation
from gluontricks.results.cells import Cell, counted, join
from gluontricks.results.declared import Declared, expand, protocol_of
from gluontricks.results.tables import SCALE_OF, provenance

Record = Mapping[str, Any]
STATISTICS = (
    "mean, standard deviation (n - 1), 95 % t interval over seeds; differences paired by seed"
)
TESTS = ", sign-flip and Welch tests, Holm within the table"


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
        ("runs that failed", "; ".join(joined.failures) or "none"),
        ("statistics", STATISTICS + (TESTS if scale == "full" else "; no test of reduced runs")),
        ("what seeds vary", listing(", ".join(r["seed"]["varied"] or ()) for r in runs.values())),
        ("infrastructure", provenance(cells) or "no runs"),
        ("time", time(runs.values())),
        ("code", listing(f"commit {(r['code'] or {}).get('commit')}" for r in runs.values())),
        ("command", f"python scripts/reproduce.py --paper {ablation.paper} --table "
                    f"{ablation.table} --scale {scale} --seeds 6{as_run(cells)}"),
    ]  # fmt: skip


def as_run(cells: Sequence[Cell]) -> str:
    """Return the options with which a plan counts the runs there are, of the commonest setting."""
    if not cells:
        return ""
    cell = max(cells, key=lambda one: len(one.records))
    return f" --engine {cell.engine} --device {cell.device} --dtype {cell.dtype}"


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
    every = [cell for found in cells.values() for cell in found]
    counts = [len(cell.records) for cell in every]
    if not counts:
        return "none"
    low, high = min(counts), max(counts)
    each = counted(low) if low == high else f"{low} to {high} runs"
    seeds = sorted({seed for cell in every for seed in cell.values("top1")})
    return f"{each} in each of {len(counts)} cells; seeds {', '.join(map(str, seeds))}"


def time(runs: Collection[Record]) -> str:
    """Return the hours of all runs together, by the seconds of their epochs."""
    known = [[e["seconds"] or 0.0 for e in run["epochs"] or ()] for run in runs]
    hours = sum(map(sum, known)) / 3600
    return f"{hours:.1f} h of epochs in {counted(len(runs))}" if runs else "none"


def listing(words: Iterable[str]) -> str:
    """Return what is said, once each."""
    return "; ".join(sorted(set(words))) or "no runs"
