"""Recipes by name, published tables as data, and the papers' printed values.

Standard library only, so that ``--help`` and the tables need neither NumPy nor MXNet.
"""

from gluontricks.recipes.catalogue import (
    ABLATIONS,
    OUT_OF_SCOPE,
    RECIPES,
    get_ablation,
    get_recipe,
    teacher_recipe,
    variants,
)
from gluontricks.recipes.demo import DEMO
from gluontricks.recipes.published import Published, published
from gluontricks.recipes.spec import Ablation, Recipe, Row
from gluontricks.recipes.stitch_mixup import DEFAULT, JUDGED_AGAINST

__all__ = [
    "ABLATIONS", "DEFAULT", "DEMO", "JUDGED_AGAINST", "OUT_OF_SCOPE", "RECIPES", "Ablation",
    "Published", "Recipe", "Row", "get_ablation", "get_recipe", "published", "teacher_recipe",
    "variants",
]  # fmt: skip
