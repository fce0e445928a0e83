"""Write the exact batch a run would see as a picture, with labels and shares.

gluontricks preview --mixup-type stitch-vertical --out batch.png
gluontricks preview --dataset digits --mixup-type stitch-tile --batch 3
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from gluontricks.cli.flags import (
    DATA_OPTIONS,
    add_option_flags,
    add_recipe_flags,
    typed_options,
    typed_recipe,
)
from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.recipes import DEFAULT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe's flags and those of the picture."""
    add_recipe_flags(parser)
    add_option_flags(parser, DATA_OPTIONS)
    parser.add_argument("--out", type=Path, default=Path("preview.png"), help="picture to write")
    parser.add_argument("--epoch", type=int, default=0, help="0-based epoch")
    parser.add_argument(
        "--batch",
        type=int,
        help="0-based batch (default: the first that is clearly mixed)",
    )
    parser.add_argument("--count", type=int, default=16, help="images to show")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write the picture."""
    from gluontricks.errors import UsageError
    from gluontricks.files import make_folder
    from gluontricks.preview import describe, draw, preview_batch

    if args.count < 1:
        raise UsageError(f"--count is {args.count}", "it must be at least 1")
    recipe = typed_recipe(args, DEFAULT)
    options = replace(typed_options(args), out=None)
    preview = preview_batch(recipe, epoch=args.epoch, position=args.batch, options=options)
    make_folder(args.out.parent)
    draw(preview, args.out, count=args.count, title=f"{recipe.mixup_type}, ")
    batch = preview.batch
    if args.json:
        print_json(
            {
                "out": str(args.out),
                "epoch": batch.epoch,
                "batch": batch.position,
                "images": describe(preview, args.count),
            }
        )
    else:
        put(
            f"{args.out}: batch {batch.position} of epoch {batch.epoch}, "
            f"{min(args.count, len(preview.images))} of {len(preview.images)} images"
        )
    return 0
