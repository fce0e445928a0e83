"""Train a recipe, or go on with a run that was stopped.

    gluontricks train --mixup-type stitch-vertical --teacher resnext29_16x64d
    gluontricks train --recipe stitch-III-baseline --seed 1

    gluontricks train DIR

The same command again goes on where the run stopped; a finished run says so. With a directory
the run in it goes on, or a prepared one begins, on the engine it had.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional, Tuple

from gluontricks.cli.config import config_text
from gluontricks.cli.flags import add_option_flags, add_recipe_flags, typed_options, typed_recipe
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError
from gluontricks.graphs import FILE as GRAPHS_FILE
from gluontricks.history import read_history
from gluontricks.launch import launched
from gluontricks.options import RunOptions
from gluontricks.recipes import DEFAULT
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the recipe, of the run, and of this command."""
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help="a run's directory")
    add_recipe_flags(parser)
    add_option_flags(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved recipe as YAML and stop"
    )
    add_json(parser)


def run(args: argparse.Namespace, default: Recipe = DEFAULT) -> int:
    """Train, and tell where the results are."""
    base = default if args.folder is None else recipe_in(args)
    return execute(args, typed_recipe(args, base), typed_options(args))


def execute(args: argparse.Namespace, recipe: Recipe, options: RunOptions) -> int:
    """Train a recipe, or print it; tell where the results are."""
    options = replace(options, command=own_command())
    if args.print_config:
        from gluontricks.recipes.resolve import resolve

        resolved = resolve(recipe)
        print_json(resolved.as_dict()) if args.json else put(config_text(resolved).rstrip())
        return 0
    code = launched(options, sys.argv)
    if code is not None:
        return code
    from gluontricks.training import train

    if args.json:
        options = replace(options, quiet=True)
    result = train(recipe, options)
    if result.status == "followed":
        return result.exit_code
    if args.json:
        print_json(
            {
                "status": result.status,
                "run": str(result.folder),
                "step": result.step,
                "metrics": result.metrics,
            }
        )
    elif not options.quiet:
        for line in closing_lines(result):
            put(line)
    return result.exit_code


def own_command() -> Tuple[str, ...]:
    """Return the command that was given, as it is given by hand."""
    program, *words = sys.argv
    return ("gluontricks" if Path(program).name == "__main__.py" else program, *words)


def recipe_in(args: argparse.Namespace) -> Recipe:
    """Return the recipe of the run in a directory, which becomes the run's with its engine.

    Raises
    ------
    UsageError
        If there is none, or ``--out`` names another.
    """
    about = read_run(args.folder)
    if about is None:
        raise UsageError(
            f"'{args.folder}' is no run's directory",
            "give one that 'gluontricks prepare' or 'train' wrote",
        )
    if "out" in vars(args):
        raise UsageError(f"'{args.folder}' and --out are both given", "leave one out")
    args.out = args.folder
    if "engine" not in vars(args):
        args.engine = engine_in(args.folder)
    return Recipe.from_dict(about["recipe"])


def engine_in(folder: Path) -> str:
    """Return the engine that a run had last, or that it was prepared for."""
    starts = read_history(folder)
    if starts:
        return starts[-1]["setting"]["engine"]
    return "torch" if (folder / GRAPHS_FILE).exists() else RunOptions.engine


def closing_lines(result: Any) -> List[str]:
    """Return what is said at the end of a run."""
    if result.status == "dry-run":
        return []
    if result.status == "stopped":
        # Without a signal it was --max-steps.
        how = "the same command" if result.exit_code else "the same command without --max-steps"
        return [
            f"stopped after update {result.step}, with a checkpoint in {result.folder}; "
            f"{how} goes on"
        ]
    m, done = result.metrics, "finished already" if result.earlier else "finished"
    return [
        f"{done}: top-1 {m['top1']:.2f} %, top-5 {m['top5']:.2f} %, nll {m['nll']:.4f} "
        f"on {m['n']} {m['split']} images, last epoch",
        f"the run is in {result.folder}; 'gluontricks export {result.folder} --out DIR' exports it",
    ]


def main(
    argv: Optional[List[str]] = None, *, default: Recipe = DEFAULT, description: str = ""
) -> int:
    """Return the exit code of a training script: the command with another default recipe."""
    from gluontricks.cli import script

    return script(add_arguments, lambda args: run(args, default), description, argv)
