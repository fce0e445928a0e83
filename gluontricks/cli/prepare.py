"""Write a run's directory that needs no MXNet any more: its recipe, graphs and parameters' table.

    gluontricks prepare --mixup-type stitch-vertical --teacher resnext29_16x64d --out DIR
    gluontricks train DIR          # on any machine with PyTorch

Initial weights are no part of it: they are a function of the seed.
"""

from __future__ import annotations

import argparse

from gluontricks.cli.flags import add_option_flags, add_recipe_flags, typed_options, typed_recipe
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError
from gluontricks.recipes import DEFAULT

OPTIONS = ("out", "teacher_params")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the recipe and those of this command."""
    add_recipe_flags(parser)
    add_option_flags(parser, OPTIONS)
    parser.add_argument(
        "--with-teacher", action="store_true", help="copy the teacher's parameters into it"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prepare and tell."""
    from gluontricks.prepare import prepare_run

    options = typed_options(args)
    if options.out is None:
        raise UsageError("--out is missing", "give the folder to write")
    recipe = typed_recipe(args, DEFAULT)
    if args.with_teacher and recipe.teacher is None:
        raise UsageError(
            "--with-teacher would have no effect", "leave it out, or name one with --teacher"
        )
    prepared = prepare_run(recipe, options, with_teacher=args.with_teacher)
    if args.json:
        print_json({**prepared._asdict(), "out": str(prepared.out)})
        return 0
    for notice in prepared.notices:
        put(notice)
    put(
        f"{prepared.out}: {prepared.model}, {prepared.parameters:,} parameters, fingerprint "
        f"{prepared.fingerprint}; 'gluontricks train {prepared.out}' trains it where PyTorch is"
    )
    return 0
