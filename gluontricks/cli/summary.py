"""Parameters, multiply-adds and layers of a network.

gluontricks summary resnet56_v1 --classes 100
"""

from __future__ import annotations

import argparse

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError
from gluontricks.models.names import canonical_name, input_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", help="network")
    parser.add_argument("--classes", type=int, default=100, help="outputs (100)")
    parser.add_argument(
        "--input-size", type=int, help="height and width in pixels (the network's own)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Count and print."""
    name = canonical_name(args.model)
    size = input_size(name) if args.input_size is None else args.input_size
    if size < 1:
        raise UsageError(f"--input-size is {size}", "give pixels, 1 or more")
    from gluontricks.models import get_model
    from gluontricks.summary import summarize

    result = {
        "model": name,
        "classes": args.classes,
        "input_size": size,
        **summarize(get_model(name, classes=args.classes), (3, size, size)),
    }
    if args.json:
        print_json(result)
        return 0
    for layer in result["layers"]:
        shape = "x".join(str(n) for n in layer["output_shape"])
        put(
            f"{layer['name']:<44} {layer['operator']:<18} {shape:>12} "
            f"{layer['params']:>11,} {layer['macs']:>15,}"
        )
    put(
        f"{name}, {args.classes} classes, {size} x {size}: {result['params']:,} parameters, "
        f"{result['macs']:,} multiply-adds an image"
    )
    return 0
