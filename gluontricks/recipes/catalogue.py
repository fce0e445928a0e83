"""Every recipe by name, and every published table as data."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from gluontricks.data.registry import dataset_info
from gluontricks.errors import UsageError, unknown
from gluontricks.models.names import canonical_name
from gluontricks.recipes import (
    bag_of_tricks,
    cifar10_resnets,
    demo,
    gluoncv_runs,
    imagenette,
    stitch_mixup,
    tiny_imagenet,
)
from gluontricks.recipes.protocols import SCALES, at_scale
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


PAPERS = (bag_of_tricks, stitch_mixup, imagenette, cifar10_resnets, tiny_imagenet)
ABLATIONS: Mapping[str, Ablation] = {
    f"{table.paper}/{table.table}": table for paper in PAPERS for table in paper.ABLATIONS
}
RECIPES: Mapping[str, Recipe] = collect(
    (*ABLATIONS.values(), demo.DEMO),
    (*bag_of_tricks.RECIPES, *demo.RECIPES, *gluoncv_runs.runnable()),
)

# (paper, table, row) -> why no run stands for it; the reason opens with its status.
OUT_OF_SCOPE: Mapping[Tuple[str, str, str], str] = {
    (paper.PAPER, table, row): why
    for paper in PAPERS
    for (table, row), why in paper.OUT_OF_SCOPE.items()
}
# A value's id -> its own reason, where that is another than its row's.
EXCEPTIONS: Mapping[str, str] = {
    key: why for paper in PAPERS for key, why in getattr(paper, "EXCEPTIONS", {}).items()
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``, unresolved, so that flags can still change it.

    ``-reduced`` and ``-smoke`` after the name of a paper's recipe are its smaller forms.

    Raises
    ------
    UsageError
        If there is none; the nearest name is offered.
    """
    absent = gluoncv_runs.missing().get(name)
    if absent:
        raise UsageError(
            f"recipe '{name}' needs the network '{absent}', which is not here",
            "'gluontricks recipes' lists those that can be run",
        )
    if name in RECIPES:
        return RECIPES[name]
    base, scale = base_and_scale(name)
    found = None if scale is None else at_scale(RECIPES[base], paper_of()[base], scale)
    if found is None:
        raise unknown("recipe", name, RECIPES)
    return found


def base_and_scale(name: str) -> Tuple[str, Optional[str]]:
    """Return the name of a paper's recipe and the scale that ``name`` adds; None for none."""
    base, _, scale = name.rpartition("-")
    scaled = base in paper_of() and scale in SCALES[1:]
    return (base, scale) if scaled else (name, None)


@functools.lru_cache(maxsize=None)
def paper_of() -> Mapping[str, str]:
    """Return the name of every recipe of a paper -> the paper."""
    found = {
        recipe.name: table.paper
        for table in ABLATIONS.values()
        for _, _, recipe in variants(table)
        if recipe is not None
    }
    found.update({recipe.name: bag_of_tricks.PAPER for recipe in bag_of_tricks.RECIPES})
    return found


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


def teacher_names() -> Dict[str, str]:
    """Return the name of a row's recipe -> that of the recipe that trains its teacher."""
    found: Dict[str, str] = {}
    for ablation in ABLATIONS.values():
        for row, labels, recipe in variants(ablation):
            if recipe is not None and row.teacher is not None:
                suffix = "" if labels == ablation.variants[0][0] else f"-{labels}"
                found[recipe.name] = row.teacher + suffix
    return found


def teacher_recipe(recipe: Recipe) -> Optional[Recipe]:
    """Return the declared recipe that trains the teacher of ``recipe``, or None.

    It has the teacher's network, no teacher of its own, and the student's data set and outputs.
    A row of a table names it; for other recipes one with the student's mixer goes before others.
    """
    if recipe.teacher is None:
        return None
    base, scale = base_and_scale(recipe.name)
    if scale is not None and base in teacher_names():
        return get_recipe(f"{teacher_names()[base]}-{scale}")
    named = RECIPES.get(teacher_names().get(recipe.name, ""))
    others = sorted(RECIPES.values(), key=lambda r: r.mixup_type != recipe.mixup_type)
    candidates = others if named is None else [named, *others]
    return next((found for found in candidates if _teaches(found, recipe)), None)


def _teaches(teacher: Recipe, student: Recipe) -> bool:
    """Return whether a recipe trains the network that another has for its teacher."""
    own = dataset_info(student.dataset).classes
    return (
        teacher.model == canonical_name(str(student.teacher))
        and teacher.teacher is None
        and teacher.dataset == student.dataset
        and (teacher.classes or own) == (student.classes or own)
    )
