"""Accuracy of a run, or of a file of parameters, on a data set; every image counts once.

    gluontricks evaluate runs/cifar100-resnet56_v1-0123abcd-s0
    gluontricks evaluate --model cifar_resnet20_v1 --params FILE.params --dataset cifar10

Without a run the normalisation is the data set's own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from gluontricks.cli.flags import DATA_OPTIONS, add_option_flags, typed_options
from gluontricks.cli.parser import add_engine, add_json, print_json, put
from gluontricks.errors import DataError, UsageError
from gluontricks.learners import installed_engine
from gluontricks.options import RunOptions
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", nargs="?", type=Path, help="a run's directory")
    parser.add_argument("--model", help="network, with --params")
    parser.add_argument("--params", type=Path, help=".params, .safetensors or a run's directory")
    parser.add_argument("--dataset", help="data set (default: the run's)")
    parser.add_argument("--classes", type=int, help="outputs of the network")
    parser.add_argument("--normalization", help="dataset, imagenet, none, or R,G,B/R,G,B")
    parser.add_argument("--input-size", type=int, help="pixels, for images on disk")
    parser.add_argument("--crop-ratio", type=float, help="part that is cropped of images on disk")
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--batch-size", type=int, default=256)
    add_option_flags(parser, DATA_OPTIONS)
    add_engine(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from gluontricks.teachers import head, read_weights

    source = args.run or args.params
    if source is None or (args.run and args.params):
        raise UsageError(
            "one of a run's directory and --params FILE is needed",
            "'gluontricks evaluate --help' shows both",
        )
    weights = read_weights(source)
    known = known_of(source)
    model = args.model or weights.model
    dataset = args.dataset or known.get("dataset")
    if model is None or dataset is None:
        raise UsageError(
            f"'{source}' does not say its network and data set", "give --model and --dataset"
        )
    if args.batch_size < 1:
        raise UsageError(f"--batch-size is {args.batch_size}", "it must be at least 1")
    classes = int(head(weights.parameters).shape[0])
    if args.classes not in (None, classes):
        raise DataError(
            f"'{source}' has {classes} classes, the network {args.classes}",
            "leave --classes out",
        )
    recipe = recipe_for(args, known, model=model, dataset=dataset, classes=classes)
    options = replace(
        typed_options(args), engine=args.engine or installed_engine(), device=args.device
    )
    return report(source, recipe, options, as_json=args.json, split=args.split)


def report(source: Path, recipe: Recipe, options: RunOptions, *, as_json: bool, split: str) -> int:
    """Evaluate parameters on the images of a recipe, as it sees them, and print.

    A normalisation that comes with the parameters is theirs, but where the recipe names another.
    """
    from gluontricks.builders import load_images
    from gluontricks.data.augment import parse_normalization
    from gluontricks.graphs import read_graphs
    from gluontricks.inference import evaluate
    from gluontricks.learners import NetworkSpec
    from gluontricks.teachers import read_weights

    recipe, weights = resolve(recipe), read_weights(source)
    normalization = weights.normalization
    if normalization is None or recipe.normalization != Recipe.normalization:
        normalization = parse_normalization(recipe.normalization, recipe.dataset)
    network = NetworkSpec(
        model=recipe.model,
        classes=recipe.classes or 0,
        parameters=weights.parameters,
        name=weights.source,
        device=options.device,
        graphs=read_graphs(folder_of(source)),
    )
    result = evaluate(
        network,
        load_images(recipe, options, split),
        normalization=normalization,
        batch_size=recipe.batch_size,
        engine=options.engine,
    )
    print_json(result) if as_json else put(sentence(result, split, recipe.dataset))
    return 0


def sentence(result: Dict[str, Any], split: str, dataset: str) -> str:
    """Return the results of an evaluation in words."""
    return (
        f"top-1 {result['top1']:.2f} %, top-5 {result['top5']:.2f} %, "
        f"nll {result['nll']:.4f} on {result['n']} {split} images of {dataset}"
    )


def recipe_for(args: argparse.Namespace, known: Dict[str, Any], **found: Any) -> Recipe:
    """Return a recipe that says which images, and how the network sees them."""
    views = ("input_size", "crop_ratio")
    same = known.get("dataset") == found["dataset"]
    changes: Dict[str, Any] = {name: known.get(name) for name in views if same}
    typed = (*views, "normalization")
    changes.update({k: getattr(args, k) for k in typed if getattr(args, k) is not None})
    return Recipe(**found, **changes, batch_size=args.batch_size)


def known_of(source: Path) -> Dict[str, Any]:
    """Return the recipe of the run that a path belongs to, {} where it is none."""
    from gluontricks.rundir import read_run

    about = read_run(folder_of(source))
    return about["recipe"] if about else {}


def folder_of(source: Path) -> Path:
    """Return the directory of the run that a path belongs to, if it belongs to one."""
    return source if source.is_dir() else source.parent
