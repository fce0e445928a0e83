"""Add finished runs or authors' logs to the registry, verify it, or write the tables.

gluontricks results add runs/cifar100-resnet56_v1-0123abcd-s0
gluontricks results import-log gluoncv/logs/classification
gluontricks results verify
gluontricks results tables
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from gluontricks.results.authorlogs import Imported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=tuple(ACTIONS))
    parser.add_argument(
        "runs", nargs="*", type=Path, help="run directories, with add; logs, with import-log"
    )
    parser.add_argument(
        "--origin", metavar="REPOSITORY@COMMIT", help="where the logs are from, with import-log"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    if args.origin and args.action != "import-log":
        raise UsageError(f"--origin has no effect on 'results {args.action}'", "leave it out")
    return ACTIONS[args.action](args)


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


def import_log(args: argparse.Namespace) -> int:
    """Add the records of authors' logs to their chain and tell what each log says."""
    from gluontricks.results.authorlogs import import_logs

    if not args.runs:
        raise UsageError("'results import-log' needs logs", "name files or folders of them")
    done = import_logs(args.runs, args.results, origin=args.origin)
    if args.json:
        print_json([summary(item) for item in done])
        return 0
    for item in done:
        put(in_words(summary(item)))
    put(f"{sum(item.new for item in done)} of {len(done)} logs added")
    return 0


def summary(item: Imported) -> Dict[str, Any]:
    """Return what is told about one log; the curve is in the registry."""
    log, entry = item.log, item.entry
    names = ("epoch", "top1", "top5", "map", "pixacc", "miou")
    return {
        "run_id": entry["run_id"], "added": item.new, "file": log.name,
        "recorded_as": entry["source"]["file"], "origin": entry["source"]["origin"],
        "sha256": log.sha256, "kind": log.kind, "model": log.model,
        "epochs": len(log.epochs), "planned": log.planned,
        **{which: {name: epoch[name] for name in names if epoch.get(name) is not None}
           for which, epoch in (("final", log.final), ("best", log.best))},
        "seconds_per_epoch": log.seconds_per_epoch, "restarts": log.restarts,
        "distrust": [dataclasses.asdict(doubt) for doubt in log.distrust],
    }  # fmt: skip


def in_words(told: Dict[str, Any]) -> str:
    """Return one line about a log."""
    seconds = told["seconds_per_epoch"]
    parts = [
        f"{told['file'].rsplit('/', 1)[-1]}: {told['model']}",
        f"{told['epochs']} epochs",
        f"final {result(told['final'])}",
        f"best {result(told['best'])} (epoch {told['best']['epoch']})",
        "no times" if seconds is None else f"{seconds:.1f} s/epoch",
        "1 restart" if told["restarts"] == 1 else f"{told['restarts']} restarts",
        "; ".join(f"{d['rule']}: {d['reason']}" for d in told["distrust"]) or "no marks",
    ]
    if not told["added"]:
        parts.append(f"there already, by its SHA-256, as {told['recorded_as']}")
    return "  ".join(parts)


def result(epoch: Dict[str, Any]) -> str:
    """Return top-1/top-5 of an epoch, or the values of another task by name."""
    if "top1" in epoch:
        return "/".join(f"{epoch[name]:.2f}" for name in ("top1", "top5") if name in epoch)
    names = {"map": "mAP", "pixacc": "pixAcc", "miou": "mIoU"}
    return " ".join(f"{names[name]} {epoch[name]:.2f}" for name in names if name in epoch)


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


ACTIONS: Dict[str, Callable[[argparse.Namespace], int]] = {
    "add": add, "import-log": import_log, "verify": verify, "tables": tables,
}  # fmt: skip
