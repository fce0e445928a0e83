"""Tell what is installed, what this machine can do, and what is wrong, with its remedy."""

from __future__ import annotations

import argparse

from gluontricks.cli.parser import add_json, put


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--out", default="runs", help="folder of runs to try")
    parser.add_argument("--data-dir", help="folder of the data sets")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; the exit code is 1 if one is an error."""
    from gluontricks.doctor import diagnose, render_json, render_text, worst

    findings = diagnose(args.out, args.data_dir)
    put(render_json(findings).rstrip() if args.json else render_text(findings).rstrip())
    return 1 if worst(findings) == "error" else 0
