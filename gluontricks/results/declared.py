"""Which published rows a recipe stands for: rows and runs meet by the recipe's fingerprint."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from gluontricks.errors import UsageError
from gluontricks.recipes import ABLATIONS, Ablation, Recipe, Row, teacher_recipe, variants
from gluontricks.recipes.protocols import PROTOCOLS, SCALES, SMOKE, at_scale
from gluontricks.recipes.resolve import resolve

PRECISION = Recipe().dtype


@dataclass(frozen=True, eq=False)
class Declared:
    """One row of one published table in one label set, with its resolved recipe."""

    ablation: Ablation
    row: Row
    labels: str
    recipe: Optional[Recipe]
    scale: str = "full"

    @property
    def name(self) -> str:
        """The row's name: paper/table/row/labels, and the scale where that is not full."""
        name = f"{self.ablation.paper}/{self.ablation.table}/{self.row.label}/{self.labels}"
        return name if self.scale == "full" else f"{name}/{self.scale}"

    @property
    def teacher(self) -> Optional[Recipe]:
        """The recipe that trains this row's teacher, at the same scale and with these labels."""
        found = None if self.recipe is None else teacher_recipe(self.recipe)
        return None if found is None else resolve(found)

    @property
    def fingerprint(self) -> Optional[str]:
        """The fingerprint of the recipe, whatever teacher's parameters it is run with."""
        return None if self.recipe is None else self.recipe.fingerprint()


@functools.lru_cache(maxsize=None)
def declared(table: Optional[str] = None, scale: str = "full") -> Tuple[Declared, ...]:
    """Return every declared row of the published tables, or of one, in each label set."""
    chosen = [a for name, a in ABLATIONS.items() if table is None or name == table]
    return tuple(entry for ablation in chosen for entry in expand(ablation, scale))


def expand(ablation: Ablation, scale: str = "full") -> List[Declared]:
    """Return the rows of one table in each of its label sets.

    At another scale than ``full`` these are the rows that the paper's protocol has a recipe for.
    """
    protocol = PROTOCOLS.get(ablation.paper)
    renamed = protocol.renamed if protocol and scale == "reduced" else {}
    found: List[Declared] = []
    for row, labels, recipe in variants(ablation):
        own = None if recipe is None else at_scale(recipe, ablation.paper, scale)
        if own is not None or scale == "full":
            entry = Declared(
                ablation, row, renamed.get(labels, labels), own and resolve(own), scale
            )
            found.append(entry)
    return found


def scale_of(recipe: Recipe) -> str:
    """Return the scale at which a declared row has ``recipe``; ``full`` where none has."""
    if rows_of(recipe):
        return "full"
    scales = SCALES[1:]
    return next((s for s in scales if rows_of(recipe, declared(scale=s))), "full")


def protocol_of(paper: str, scale: str) -> Optional[str]:
    """Return in words what the runs of a paper leave out at a scale; None for nothing."""
    if scale == "smoke":
        return SMOKE
    protocol = PROTOCOLS.get(paper)
    return protocol.sentence if protocol and scale == "reduced" else None


def recipe_of(record: Mapping[str, Any]) -> Optional[Recipe]:
    """Return the recipe of a record, or None if this version cannot read it."""
    config = record.get("config")
    resolved = config.get("resolved") if isinstance(config, dict) else None
    if not isinstance(resolved, dict):
        return None
    try:
        recipe = Recipe.from_dict(resolved)
    except (UsageError, TypeError):
        return None
    named = isinstance(recipe.dataset, str) and isinstance(recipe.model, str)
    return recipe if named else None


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
    return loose.get(without_precision(recipe), [])


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
            loose.setdefault(without_precision(entry.recipe), []).append(entry)
    return exact, loose


def without_precision(recipe: Recipe) -> str:
    """Return the fingerprint that a recipe has in the usual precision."""
    return replace(recipe, dtype=PRECISION).fingerprint()
