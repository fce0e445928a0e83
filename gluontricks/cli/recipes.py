"""List the recipes, or show one.

gluontricks recipes
gluontricks recipes show stitch-V-vertical-distill
"""

from __future__ import annotations

import argparse

from gluontricks.cli.config import config_text
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError
from gluontricks.recipes import RECIPES, get_recipe


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
        print_json(recipe.as_dict()) if args.json else put(config_text(recipe).rstrip())
        return 0
    resolved = {name: resolve(recipe) for name, recipe in RECIPES.items()}
    if args.json:
        print_json({name: recipe.as_dict() for name, recipe in resolved.items()})
        return 0
    for name, r in resolved.items():
        put(f"{name:<44} {r.dataset:<15} {r.model:<16} {r.num_epochs:>3} epochs  {r.fingerprint()}")
    return 0
