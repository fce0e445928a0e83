"""Classify image files, or folders of them, with an exported model.

gluontricks predict exported/ photo.jpg folder/ --topk 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluontricks.cli.parser import add_engine, add_json, print_json, put
from gluontricks.errors import DataError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, help="folder that 'gluontricks export' wrote")
    parser.add_argument("images", nargs="+", type=Path, help="image files or folders")
    parser.add_argument("--topk", type=int, default=5, help="classes to name")
    parser.add_argument("--batch-size", type=int, default=64)
    add_engine(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Predict; files that cannot be read are told at the end, with exit code 65."""
    from gluontricks.inference import image_files, load_inference, predict_files

    for name in ("topk", "batch_size"):
        if getattr(args, name) < 1:
            raise UsageError(
                f"--{name.replace('_', '-')} is {getattr(args, name)}", "it must be at least 1"
            )
    model = load_inference(args.model, engine=args.engine, device=args.device)
    results = predict_files(
        model, image_files(args.images), topk=args.topk, batch_size=args.batch_size
    )
    if args.json:
        print_json(
            [
                {"path": r.path, "error": r.error}
                if r.error
                else {
                    "path": r.path,
                    "topk": [
                        {"class": c, "probability": p} for c, p in zip(r.classes, r.probabilities)
                    ],
                }
                for r in results
            ]
        )
    else:
        for r in results:
            scores = "  ".join(f"{c} {100 * p:.1f} %" for c, p in zip(r.classes, r.probabilities))
            put(f"{r.path}  {scores or 'not read'}")
    bad = [r for r in results if r.error]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(results)} files could not be read: {bad[0].error}",
            "leave them out, or copy them again",
        )
    return 0
