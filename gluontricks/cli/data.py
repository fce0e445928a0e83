"""List the data sets and where they are found, fetch one, or verify one.

gluontricks data list
gluontricks data fetch cifar100
gluontricks data verify cifar100
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument("name", nargs="?", help="data set, with fetch and verify")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    from gluontricks.data import fetch

    if args.action == "list":
        rows = fetch.listing(args.data_dir)
        if args.json:
            print_json(rows)
            return 0
        for row in rows:
            put(
                f"{row['name']:<16} {row['classes']:>4} classes  {row['train']:>6} train  "
                f"{row['test']:>6} test  {row['found'] or 'not found'}"
            )
        return 0
    if args.name is None:
        raise UsageError(f"'data {args.action}' needs a name", "'gluontricks data list' tells them")
    if args.action == "fetch":
        path = fetch.fetch(args.name, args.data_dir)
        print_json({"name": args.name, "path": str(path)}) if args.json else put(str(path))
        return 0
    found = fetch.verify(args.name, args.data_dir)
    if args.json:
        print_json(found)
    else:
        put(f"{args.name}: all of it reads and is consistent")
    return 0
