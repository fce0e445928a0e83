"""Add finished runs to the registry, verify it, or write the tables.

gluontricks results add runs/cifar100-resnet56_v1-0123abcd-s0
gluontricks results verify
gluontricks results tables
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import IntegrityError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("add", "verify", "tables"))
    parser.add_argument("runs", nargs="*", type=Path, help="run directories, with add")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    return {"add": add, "verify": verify, "tables": tables}[args.action](args)


def add(args: argparse.Namespace) -> int:
    """Append the records of runs to this checkout's chain."""
    from gluontricks.results import registry

    if not args.runs:
        raise UsageError("'results add' needs run directories", "name one or more")
    added = [registry.add(run, args.results) for run in args.runs]
    if args.json:
        print_json([record["run_id"] for record in added])
        return 0
    for record in added:
        put(f"{record['run_id']}  {record['recipe']}  {record['status']}  {record['label']}")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check every chain; serious findings are an error."""
    from gluontricks.results import registry

    findings = registry.verify(args.results)
    if args.json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for f in findings:
            put(f"{f.file}:{f.line}  {f.problem}")
    serious = [finding for finding in findings if finding.serious]
    if serious:
        raise IntegrityError(
            f"{len(serious)} entries of the registry are not what was written",
            "restore results/runs from git",
        )
    if not args.json:
        put(f"{len(registry.load(args.results))} records, all chains whole")
    return 0


def tables(args: argparse.Namespace) -> int:
    """Write the tables."""
    from gluontricks.results.make import write_tables

    written = write_tables(args.results)
    print_json(written) if args.json else put("\n".join(written) or "nothing changed")
    return 0
