"""Runs by name, one run in words, and two runs or two recipes against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.errors import DataError, UsageError, unknown
from gluontricks.recipes import get_recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import difference
from gluontricks.results.artefacts import read_answers
from gluontricks.results.cells import setting_of, sound
from gluontricks.results.declared import recipe_of, scale_of, without_precision
from gluontricks.results.facts import facts
from gluontricks.results.statistics import mcnemar, paired

Record = Mapping[str, Any]
METRICS = ("top1", "top5", "nll", "ece15")


def find_run(records: Sequence[Record], name: str) -> Record:
    """Return the record whose id is ``name`` or ends with it.

    Raises
    ------
    UsageError
        If there is none, or several.
    """
    records = sound(records)
    exact = [record for record in records if record["run_id"] == name]
    found = exact or [record for record in records if str(record["run_id"]).endswith(name)]
    if not records:
        raise UsageError(f"unknown run '{name}'", "the registry holds no run yet")
    if not found:
        raise unknown("run", name, [str(record["run_id"]) for record in records])
    if len(found) > 1:
        ids = ", ".join(str(record["run_id"]) for record in found[:4])
        raise UsageError(f"several runs end with '{name}': {ids}", "give more of the id")
    return found[0]


def in_words(record: Record, results_dir: Path) -> List[str]:
    """Return what a record says, one fact a line, and whether its predictions are here."""
    known = [*facts(record), ("predictions", predictions(record, results_dir))]
    return [f"{name:<18} {value}" for name, value in known if value is not None]


def predictions(record: Record, results_dir: Path) -> Optional[str]:
    """Return whether a run's predictions are here."""
    digest = (record["metrics"] or {}).get("predictions_sha256")
    if digest is None:
        return None
    there = (results_dir / "predictions" / f"{record['run_id']}.npz").is_file()
    return f"predictions/{record['run_id']}.npz" if there else "absent from this clone"


def compare_runs(one: Record, other: Record, results_dir: Path) -> Dict[str, Any]:
    """Return how two runs differ: recipes, results, and McNemar's test on the same images.

    Raises
    ------
    DataError
        If stored predictions are damaged.
    """
    recipes = recipe_of(one), recipe_of(other)
    told: Dict[str, Any] = {
        "runs": [one["run_id"], other["run_id"]],
        "recipes": [one["recipe"], other["recipe"]],
        "settings": [list(setting_of(one)), list(setting_of(other))],
        "fields": [],
        "metrics": {
            name: [record["metrics"][name] for record in (one, other)]
            for name in METRICS
            if all((record["metrics"] or {}).get(name) is not None for record in (one, other))
        },
        "mcnemar": None,
    }
    if recipes[0] is not None and recipes[1] is not None:
        told["fields"] = difference(recipes[0], recipes[1])
    try:
        answers = [read_answers(results_dir, record) for record in (one, other)]
    except (ValueError, KeyError) as error:
        raise DataError(f"stored predictions: {error}", "'gluontricks results verify'") from error
    first, second = answers
    if first is not None and second is not None:
        same = first.labels.shape == second.labels.shape and (first.labels == second.labels).all()
        told["mcnemar"] = vars(mcnemar(first.right, second.right)) if same else "other images"
    return told


def compare_recipes(one: str, other: str, records: Sequence[Record]) -> List[Dict[str, Any]]:
    """Return the paired differences in top-1 of two recipes' runs, one for each setting.

    Raises
    ------
    UsageError
        If no setting has runs of both.
    """
    found: List[Dict[str, Any]] = []
    # Runs of smaller protocols are not tested: what they differ by is not the paper's effect.
    published = all(scale_of(resolve(get_recipe(name))) == "full" for name in (one, other))
    groups = [by_setting(records, name) for name in (one, other)]
    for setting in sorted(set(groups[0]) & set(groups[1])):
        result = paired(groups[0][setting], groups[1][setting])
        if result is not None:
            tests = {} if published else {"sign_flip": None, "welch": None}
            found.append({"setting": list(setting), **vars(result), **tests})
    if not found:
        missing = [n for n, group in zip((one, other), groups) if not group]
        what = f"no run of '{missing[0]}'" if missing else "no seed that both ran in one setting"
        raise UsageError(f"there is {what} in the registry", "'gluontricks reproduce' runs recipes")
    return found


def by_setting(
    records: Sequence[Record], name: str
) -> Dict[Tuple[str, str, str], Dict[int, float]]:
    """Return setting -> seed -> top-1 of the completed runs of a recipe, whatever they are named.

    The first run of a seed counts; precisions are told apart by the setting.
    """
    wanted = without_precision(resolve(get_recipe(name)))
    found: Dict[Tuple[str, str, str], Dict[int, float]] = {}
    for record in sorted(sound(records), key=lambda r: str(r["ended"])):
        recipe = recipe_of(record)
        if recipe is None or without_precision(recipe) != wanted:
            continue
        if record["status"] == "completed":
            seed, top1 = (record["seed"] or {}).get("root"), (record["metrics"] or {}).get("top1")
            if seed is not None and top1 is not None:
                found.setdefault(setting_of(record), {}).setdefault(seed, top1)
    return found
