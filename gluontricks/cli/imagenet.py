"""Train networks on ImageNet, or on images of one's own, with the flags of GluonCV's script.

    python scripts/train_imagenet.py --model resnet50_v1d --lr-mode cosine --warmup-epochs 5
    python scripts/train_imagenet.py --model resnet18_v1d --dataset folder --classes 12
    python scripts/train_imagenet.py --model resnet50_v1d --evaluate --resume-params FILE

GluonCV's flags and their defaults mean what they mean there: --batch-size is for each device. With
--recipe NAME the recipe's values hold where no flag is given. All flags of 'gluontricks train' are
here too.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from gluontricks.cli import evaluate, train
from gluontricks.cli.flags import typed_options, typed_recipe
from gluontricks.cli.parser import put
from gluontricks.errors import UsageError
from gluontricks.options import RunOptions
from gluontricks.processes import processes
from gluontricks.recipes.gluoncv_flags import FLAGS
from gluontricks.recipes.namespaces import notes_beside_recipe, recipe_of
from gluontricks.recipes.spec import Recipe

# What follows from these fields in GluonCV's defaults is left open where one of them is given.
LEFT_OPEN = {"lr_scaling": ("lr",), "optimizer": ("lr", "momentum")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of 'gluontricks train', those of GluonCV that it lacks, and three more."""
    train.add_arguments(parser)
    known = {word for action in parser._actions for word in action.option_strings}
    group = parser.add_argument_group("GluonCV's script")
    for name, flag in FLAGS.items():
        if known.intersection(flag.options):
            continue
        kind: Dict[str, Any] = {"type": flag.kind}
        if flag.kind is bool:
            kind = {"action": "store_true"}
        group.add_argument(
            *flag.options, dest=name, default=argparse.SUPPRESS, help=flag.meaning, **kind
        )
    more = parser.add_argument_group("beside it")
    more.add_argument(
        "--accumulate",
        type=int,
        default=1,
        metavar="N",
        help="passes of every device whose gradients one update adds up",
    )
    more.add_argument(
        "--evaluate",
        action="store_true",
        help="evaluate the parameters of --resume-params, or the run in --out, and stop",
    )


def run(args: argparse.Namespace) -> int:
    """Train, or evaluate."""
    if args.accumulate < 1:
        raise UsageError(f"--accumulate is {args.accumulate}", "it must be at least 1")
    without_idle_paths(args)
    # A run's directory names the place and the engine among the options.
    wanted = described(args)
    options = placed(args, typed_options(args))
    recipe = spread(args, wanted, options)
    if args.evaluate:
        return evaluate_only(args, recipe, options)
    if not options.quiet and not args.print_config and not args.json:
        put(sentence(recipe))
    return train.execute(args, recipe, options)


def placed(args: argparse.Namespace, options: RunOptions) -> RunOptions:
    """Return the options with the run in ``--save-dir``, where that is given."""
    folder = getattr(args, "save_dir", None)
    if not folder:
        return options
    if options.out is not None:
        raise UsageError(
            f"--save-dir {folder} and {options.out} are both given as the run's directory",
            "leave one out",
        )
    return replace(options, out=Path(folder).expanduser())


def without_idle_paths(args: argparse.Namespace) -> None:
    """Forget record files that were given as GluonCV's defaults and are not read."""
    for name in ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx"):
        usual = Path(str(FLAGS[name].default)).expanduser()
        same = Path(getattr(args, name, "")).expanduser() == usual
        if same and not getattr(args, "use_rec", False):
            delattr(args, name)


def described(args: argparse.Namespace) -> Recipe:
    """Return the recipe of a named one and the flags, or of the flags over GluonCV's defaults."""
    given = dict(vars(args))
    of_gluoncv = {k: raw(v) for k, v in given.items() if k in FLAGS and v is not None}
    if has_recipe(args):
        tell(notes_beside_recipe(of_gluoncv))
        base = Recipe(dataset="imagenet") if args.folder is None else train.recipe_in(args)
        return typed_recipe(args, base)
    found = recipe_of(of_gluoncv)
    tell(found.notes)
    own = {f.name for f in fields(Recipe)} - set(FLAGS)
    changes = {k: v for k, v in given.items() if k in own}
    for name, others in LEFT_OPEN.items():
        if name in changes:
            changes.update({k: None for k in others if k not in given})
    return replace(found.recipe, **changes)


def tell(notes: Iterable[str]) -> None:
    """Print notices where they are no part of a document."""
    for note in notes:
        sys.stderr.write(f"notice: {note}\n")


def has_recipe(args: argparse.Namespace) -> bool:
    """Return whether the flags change a recipe, and not GluonCV's defaults."""
    named = getattr(args, "recipe", None) or getattr(args, "config", None)
    return bool(named) or args.folder is not None


def raw(value: Any) -> Any:
    """Return a flag's value as GluonCV's parser would have it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, (bool, int, float)) else str(value)


def spread(args: argparse.Namespace, recipe: Recipe, options: RunOptions) -> Recipe:
    """Return the recipe with the images of an update, which all devices and passes share.

    ``--batch-size`` is for one device and one pass, a recipe's batch for all of them.
    """
    parts = device_total(options) * args.accumulate
    if "batch_size" in vars(args):
        return replace(recipe, batch_size=args.batch_size * parts, shards=parts)
    if has_recipe(args):
        return recipe if args.accumulate == 1 else replace(recipe, shards=parts)
    return replace(recipe, batch_size=FLAGS["batch_size"].default * parts, shards=parts)


def device_total(options: RunOptions) -> int:
    """Return the number of devices of all processes and machines together."""
    named = len(options.device.split(","))
    if options.engine == "torch":
        return max(processes().count, options.num_gpus, 1)
    return processes().count * max(options.num_gpus, named)


def sentence(recipe: Recipe) -> str:
    """Return the images of an update and the rate that they are trained with, in words."""
    from gluontricks.recipes.resolve import resolve

    resolved = resolve(recipe)
    each = resolved.batch_size // resolved.shards
    parts = f", in {resolved.shards} parts of {each}" if resolved.shards > 1 else ""
    return f"{resolved.batch_size} images an update{parts}; learning rate {resolved.lr:g}"


def evaluate_only(args: argparse.Namespace, recipe: Recipe, options: RunOptions) -> int:
    """Evaluate what ``--resume-params`` names, or the run in ``--out``."""
    source = options.resume_params or options.out
    if source is None:
        raise UsageError(
            "--evaluate needs parameters", "name them with --resume-params, or a run with --out"
        )
    return evaluate.report(
        source, recipe, replace(options, resume_params=None), as_json=args.json, split="test"
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Return the exit code of the script."""
    from gluontricks.cli import script

    return script(add_arguments, run, __doc__, argv)
