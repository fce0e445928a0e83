"""Which published rows a recipe stands for: rows and runs meet by the recipe's fingerprint."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from gluontricks.errors import UsageError
from gluontricks.recipes import ABLATIONS, Ablation, Recipe, Row, variants
from gluontricks.recipes.resolve import resolve

PRECISION = Recipe().dtype


@dataclass(frozen=True, eq=False)
class Declared:
    """One row of one published table in one label set, with its resolved recipe."""

    ablation: Ablation
    row: Row
    labels: str
    recipe: Optional[Recipe]

    @property
    def name(self) -> str:
        """The row's name: paper/table/row/labels."""
        return f"{self.ablation.paper}/{self.ablation.table}/{self.row.label}/{self.labels}"

    @property
    def fingerprint(self) -> Optional[str]:
        """The fingerprint of the recipe, whatever teacher's parameters it is run with."""
        return None if self.recipe is None else self.recipe.fingerprint()


@functools.lru_cache(maxsize=None)
def declared(table: Optional[str] = None) -> Tuple[Declared, ...]:
    """Return every declared row of the published tables, or of one, in each label set."""
    chosen = [a for name, a in ABLATIONS.items() if table is None or name == table]
    return tuple(entry for ablation in chosen for entry in expand(ablation))


def expand(ablation: Ablation) -> List[Declared]:
    """Return the rows of one table in each of its label sets."""
    return [
        Declared(ablation, row, labels, None if recipe is None else resolve(recipe))
        for row, labels, recipe in variants(ablation)
    ]


def recipe_of(record: Mapping[str, Any]) -> Optional[Recipe]:
    """Return the recipe of a record, or None if this version cannot read it."""
    config = record.get("config")
    resolved = config.get("resolved") if isinstance(config, dict) else None
    if not isinstance(resolved, dict):
        return None
    try:
        return Recipe.from_dict(resolved)
    except (UsageError, TypeError):
        return None


def rows_of(recipe: Recipe, entries: Optional[Tuple[Declared, ...]] = None) -> List[Declared]:
    """Return the declared rows that ``recipe``, resolved, stands for.

    Name, seed and the teacher's parameters do not matter. Nor does the precision, which tables
    show apart like the engine, unless a row states that precision itself.
    """
    entries = declared() if entries is None else entries
    exact, loose = _index(entries)
    key = recipe.fingerprint()
    if key in exact:
        return exact[key]
    return loose.get(_without_precision(recipe), [])


@functools.lru_cache(maxsize=None)
def _index(
    entries: Tuple[Declared, ...],
) -> Tuple[Dict[str, List[Declared]], Dict[str, List[Declared]]]:
    """Return fingerprint -> rows, and the same for fingerprints without the precision."""
    exact: Dict[str, List[Declared]] = {}
    loose: Dict[str, List[Declared]] = {}
    for entry in entries:
        if entry.recipe is None:
            continue
        exact.setdefault(entry.recipe.fingerprint(), []).append(entry)
        if entry.recipe.dtype == PRECISION:
            loose.setdefault(_without_precision(entry.recipe), []).append(entry)
    return exact, loose


def _without_precision(recipe: Recipe) -> str:
    return replace(recipe, dtype=PRECISION).fingerprint()
