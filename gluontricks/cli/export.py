"""Write a trained network with its preprocessing: uint8 images in, probabilities out.

    gluontricks export runs/digits-resnet20_v1-0123abcd-s0 --out exported/

The last epoch is exported; --best takes the best one where the run kept it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", type=Path, help="a run's directory")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--best", action="store_true", help="the best epoch, not the last")
    parser.add_argument(
        "--engine", metavar="{mxnet,torch}", help="default: mxnet, or torch where it is missing"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Export and prove it."""
    from gluontricks.export import export_inference
    from gluontricks.graphs import read_graphs
    from gluontricks.learners import NetworkSpec
    from gluontricks.rundir import read_run
    from gluontricks.teachers import read_weights

    about = read_run(args.run)
    if about is None:
        raise DataError(f"'{args.run}' is no run's directory", "give one that a run wrote")
    source = args.run
    if args.best:
        found = sorted(args.run.glob("best-*.safetensors"))
        if not found:
            raise DataError(
                f"'{args.run}' kept no best epoch",
                "train with --val-split, or export the last epoch",
            )
        source = found[-1]
    weights = read_weights(source)
    assert weights.model is not None
    assert weights.normalization is not None
    names = weights.class_names or ()
    network = NetworkSpec(
        weights.model,
        len(names),
        weights.parameters,
        graphs=read_graphs(args.run),
        image_size=about["recipe"].get("input_size"),
        crop_ratio=about["recipe"].get("crop_ratio"),
    )
    config = export_inference(
        network,
        args.out,
        class_names=names,
        normalization=weights.normalization,
        about={
            "dataset": about["recipe"]["dataset"],
            "recipe": about["recipe"]["name"],
            "fingerprint": about["fingerprint"],
            "parameters_sha256": weights.sha256,
        },
        engine=args.engine,
    )
    if args.json:
        print_json({"out": str(args.out), **config})
    else:
        put(
            f"{args.out}: {config['model']}, {config['classes']} classes; read back equal "
            f"(largest difference {max(config['check'].values()):.1g})"
        )
    return 0
