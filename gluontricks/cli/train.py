"""Train a recipe, or go on with a run that was stopped.

    gluontricks train --mixup-type stitch-vertical --teacher resnext29_16x64d
    gluontricks train --recipe stitch-III-baseline --seed 1

The same command again goes on where the run stopped; a finished run says so.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any, List, Optional

from gluontricks.cli.config import config_text
from gluontricks.cli.flags import add_option_flags, add_recipe_flags, typed_options, typed_recipe
from gluontricks.cli.parser import Parser, add_json, print_json, put
from gluontricks.recipes import DEFAULT
from gluontricks.recipes.spec import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the recipe, of the run, and of this command."""
    add_recipe_flags(parser)
    add_option_flags(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved recipe as YAML and stop"
    )
    add_json(parser)


def run(args: argparse.Namespace, default: Recipe = DEFAULT) -> int:
    """Train, and tell where the results are."""
    recipe = typed_recipe(args, default)
    options = replace(typed_options(args), command=tuple(sys.argv))
    if args.print_config:
        from gluontricks.recipes.resolve import resolve

        resolved = resolve(recipe)
        print_json(resolved.as_dict()) if args.json else put(config_text(resolved).rstrip())
        return 0
    from gluontricks.training import train

    if args.json:
        options = replace(options, quiet=True)
    result = train(recipe, options)
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
    from gluontricks.cli import guarded

    def action() -> int:
        parser = Parser(description=description)
        add_arguments(parser)
        return run(parser.parse_args(argv), default)

    return guarded(action, debug="--debug" in (sys.argv if argv is None else argv))
