"""Run both engines in float64 from the same seed and data; tell how far they are apart.

    gluontricks crosscheck resnet56_v1
    gluontricks crosscheck --mixup-type stitch-vertical --batch-size 16 --steps 3

With a network's name every trick is on at once, on digits. Otherwise the flags are those of a
run; a teacher without --teacher-params is a new network. Exit code 81 if they disagree beyond
what rounding alone does in that run.
"""

from __future__ import annotations

import argparse

from gluontricks.cli.flags import add_option_flags, add_recipe_flags, typed_options, typed_recipe
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import IntegrityError, UsageError
from gluontricks.recipes import DEFAULT
from gluontricks.recipes.spec import Recipe

OPTIONS = ("data_dir", "teacher_params", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the network, the flags of a run, and those of this command."""
    parser.add_argument("network", nargs="?", metavar="MODEL", help="network, with every trick on")
    add_recipe_flags(parser)
    add_option_flags(parser, OPTIONS)
    parser.add_argument("--steps", type=int, default=5, help="updates to do (5)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compare and tell."""
    from gluontricks.crosscheck import GRADIENT_LIMIT, LIMIT, Comparison, size_for
    from gluontricks.recipes.resolve import resolve
    from gluontricks.threads import set_threads

    recipe = resolve(wanted(args))
    options = typed_options(args)
    set_threads(options.threads)
    size = args.network and size_for(args.network)
    comparison = Comparison(recipe, steps=args.steps, options=options, size=size)
    found = comparison.engines()
    if args.json:
        print_json(found._asdict())
    else:
        put(
            f"{describe(recipe)}: {args.steps} steps of {recipe.batch_size} images in float64\n"
            "largest difference of PyTorch's values from MXNet's, over the largest value:"
        )
        for kind, value in found._asdict().items():
            put(f"  {kind:<11} {value:.1e}{'  (first step)' if kind == 'gradients' else ''}")
    if found.agree:
        verdict = f"the engines agree: gradients within {GRADIENT_LIMIT:g}, all within {LIMIT:g}"
    elif found.explained_by(comparison.rounding()):
        verdict = (
            "the engines agree as far as can be seen: MXNet itself ends as far from itself when "
            "its first weights change in the last digit; fewer --steps, or a lower --lr, show more"
        )
    else:
        raise IntegrityError(
            f"the engines disagree (limits: gradients {GRADIENT_LIMIT:g}, others {LIMIT:g})",
            "report it with the command and this output",
        )
    if not args.json:
        put(verdict)
    return 0


def wanted(args: argparse.Namespace) -> Recipe:
    """Return the recipe that is meant: every trick on a network, or a run's flags."""
    from gluontricks.crosscheck import composite

    if "dtype" in vars(args):
        raise UsageError(
            f"--dtype {args.dtype} would have no effect: engines are compared in float64",
            "leave it out",
        )
    if args.network is None:
        return typed_recipe(args, DEFAULT)
    if "model" in vars(args):
        raise UsageError(
            f"'{args.network}' and --model {args.model} are both given", "leave one out"
        )
    return typed_recipe(args, composite(args.network))


def describe(recipe: Recipe) -> str:
    """Return a run in a few words."""
    parts = [f"{recipe.model} on {recipe.dataset}", recipe.optimizer]
    if recipe.mixup_type != "none":
        parts.append(recipe.mixup_type)
    if recipe.label_smoothing:
        parts.append(f"label smoothing {recipe.label_smoothing:g}")
    if recipe.teacher:
        parts.append(f"teacher {recipe.teacher}")
    return ", ".join(parts)
