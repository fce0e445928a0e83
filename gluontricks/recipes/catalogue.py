"""Every recipe by name, and every published table as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from gluontricks.errors import unknown
from gluontricks.recipes import bag_of_tricks, demo, stitch_mixup
from gluontricks.recipes.spec import Ablation, Recipe, Row


def variants(ablation: Ablation) -> Iterator[Tuple[Row, str, Optional[Recipe]]]:
    """Yield ``(row, label set, recipe)`` for every row of a table in each of its label sets.

    The first label set keeps the row's recipe name, the others append theirs. A row without a
    recipe comes once, with ``-`` for its label set.
    """
    first = ablation.variants[0][0]
    for row in ablation.rows:
        if row.recipe is None:
            yield row, "-", None
            continue
        for labels, changes in ablation.variants:
            suffix = "" if labels == first else f"-{labels}"
            yield row, labels, replace(row.recipe, **changes, name=row.recipe.name + suffix)


def collect(ablations: Iterable[Ablation], recipes: Iterable[Recipe]) -> Dict[str, Recipe]:
    """Return name -> recipe of all tables and of ``recipes``; no name may stand twice."""
    tabled: List[Recipe] = [
        recipe for table in ablations for _, _, recipe in variants(table) if recipe is not None
    ]
    found: Dict[str, Recipe] = {}
    for recipe in (*tabled, *recipes):
        if recipe.name in found:
            raise ValueError(f"two recipes are named '{recipe.name}'")
        found[recipe.name] = recipe
    return found


ABLATIONS: Mapping[str, Ablation] = {
    f"{table.paper}/{table.table}": table for table in stitch_mixup.ABLATIONS
}
RECIPES: Mapping[str, Recipe] = collect((*ABLATIONS.values(), demo.DEMO), demo.RECIPES)

# (paper, table, row) -> why no run stands for it; the reason opens with its status.
OUT_OF_SCOPE: Mapping[Tuple[str, str, str], str] = {
    (paper.PAPER, table, row): why
    for paper in (stitch_mixup, bag_of_tricks)
    for (table, row), why in paper.OUT_OF_SCOPE.items()
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``, unresolved, so that flags can still change it.

    Raises
    ------
    UsageError
        If there is none; the nearest name is offered.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def get_ablation(name: str) -> Ablation:
    """Return the published table called ``name``, such as ``stitch-mixup/III``.

    Raises
    ------
    UsageError
        If there is none; the nearest name is offered.
    """
    if name not in ABLATIONS:
        raise unknown("table", name, ABLATIONS)
    return ABLATIONS[name]


def teacher_recipe(recipe: Recipe) -> Optional[Recipe]:
    """Return the declared recipe that trains the teacher of ``recipe``, or None.

    It has the teacher's network, no teacher of its own, and the student's data set and outputs.
    """
    from gluontricks.data.registry import dataset_info
    from gluontricks.models.names import canonical_name

    if recipe.teacher is None:
        return None
    model, own = canonical_name(recipe.teacher), dataset_info(recipe.dataset).classes
    for candidate in RECIPES.values():
        if (
            candidate.model == model
            and candidate.teacher is None
            and candidate.dataset == recipe.dataset
            and (candidate.classes or own) == (recipe.classes or own)
        ):
            return candidate
    return None
