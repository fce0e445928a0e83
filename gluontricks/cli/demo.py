"""The main job on embedded data: train, tabulate, draw, export, classify.

A small ResNeXt29 teaches; resnet20_v1 learns handwritten digits plain, then with vertical
stitching and distillation. Finished parts are not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluontricks.cli.parser import add_json, print_json, put


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--out", type=Path, default=Path("results/demo"), help="folder to write")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demonstration."""
    from gluontricks.demo import run_demo

    if args.json:
        done = run_demo(args.out, lambda _: None, quiet=True)
        print_json(done)
    else:
        done = run_demo(args.out, put)
    return done["exit_code"]
