"""List the recipes, or show one with its expected hours.

gluontricks recipes
gluontricks recipes show stitch-V-vertical-distill
"""

from __future__ import annotations

import argparse
from typing import List, Mapping

from gluontricks.cli.config import config_text
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError
from gluontricks.recipes import RECIPES, get_recipe, teacher_recipe
from gluontricks.recipes.spec import Recipe

# Beginning of a name -> heading of the list; the rest comes last.
GROUPS = (
    ("stitch-", "An Improvement on the Bag of Tricks: docs/papers/stitch-mixup.md"),
    ("bag-", "Bag of Tricks, with hours on 8 V100: docs/papers/bag-of-tricks.md"),
    ("gluoncv-", "the settings in GluonCV's logs, unchanged: docs/gluoncv-options.md"),
    ("", "examples"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", nargs="?", choices=("list", "show"), default="list")
    parser.add_argument("name", nargs="?", help="recipe, with 'show'")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the names, or a resolved recipe."""
    from gluontricks.recipes.resolve import resolve

    if args.action == "show":
        if args.name is None:
            raise UsageError("'recipes show' needs a name", "'gluontricks recipes' lists them")
        recipe = resolve(get_recipe(args.name))
        if args.json:
            print_json(recipe.as_dict())
            return 0
        for line in remarks(recipe):
            put(f"# {line}")
        put(config_text(recipe).rstrip())
        return 0
    resolved = {name: resolve(recipe) for name, recipe in RECIPES.items()}
    if args.json:
        print_json({name: recipe.as_dict() for name, recipe in resolved.items()})
        return 0
    for line in listing(resolved):
        put(line)
    return 0


def listing(resolved: Mapping[str, Recipe]) -> List[str]:
    """Return the lines of the list, by group, and the recipes that nothing here can run."""
    from gluontricks.recipes.gluoncv_runs import missing

    lines: List[str] = []
    left = dict(resolved)
    for beginning, heading in GROUPS:
        lines += ["", heading] if lines else [heading]
        for name in [name for name in left if name.startswith(beginning)]:
            lines.append(entry(left.pop(name)))
    networks = sorted(set(missing().values()))
    return [*lines, "", f"{len(missing())} logs' networks are not here: {', '.join(networks)}"]


def entry(recipe: Recipe) -> str:
    """Return one line of the list."""
    from gluontricks.recipes.hours import expected_hours

    hours = expected_hours(recipe)
    cost = f"{hours.value:5.1f} h" if hours else ""
    return (
        f"  {recipe.name:<46} {recipe.dataset:<15} {recipe.model:<19} {recipe.num_epochs:>3} "
        f"epochs {cost:>7}  {recipe.fingerprint()}"
    )


def remarks(recipe: Recipe) -> List[str]:
    """Return what else is known of a recipe: its hours, its teacher, notes on a log's settings."""
    from gluontricks.recipes.gluoncv_runs import run_recipes
    from gluontricks.recipes.hours import GPUS, expected_hours

    lines: List[str] = []
    hours = expected_hours(recipe)
    if hours:
        lines.append(f"about {hours.value:.1f} hours on {GPUS} V100: {hours.source}")
    teacher = teacher_recipe(recipe)
    if teacher:
        lines.append(f"its teacher is trained by: --recipe {teacher.name}")
    if recipe.name in run_recipes():
        lines += run_recipes()[recipe.name].notes
    return lines
