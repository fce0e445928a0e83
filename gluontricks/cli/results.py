"""The registry and what is made of it: records, tables, the account, the report.

gluontricks results add runs/cifar100-resnet56_v1-0123abcd-s0    a finished run joins
gluontricks results import-log gluoncv/logs/classification       authors' logs join
gluontricks results verify             chains, predictions, and accuracies from predictions
gluontricks results tables             write the tables anew
gluontricks results status             what became of each of the 354 published values
gluontricks results show RUN           one run; the end of its id will do
gluontricks results compare A B        two runs (McNemar), or two recipes (paired by seed)
gluontricks results checklist stitch-mixup/V     the reproducibility checklist of a table
gluontricks results report             write the page results/index.html
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List

from gluontricks.cli.parser import add_json, print_json, put, refuse_idle
from gluontricks.errors import DataError, IntegrityError, UsageError
from gluontricks.recipes.protocols import SCALES

if TYPE_CHECKING:
    from gluontricks.results.authorlogs import Imported


TESTS = (("sign-flip", "sign_flip"), ("Welch", "welch"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=tuple(ACTIONS))
    parser.add_argument(
        "names", nargs="*", help="run directories, logs, runs, recipes or tables: see above"
    )
    parser.add_argument(
        "--origin", metavar="REPOSITORY@COMMIT", help="where the logs are from, with import-log"
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets, with verify")
    parser.add_argument("--scale", choices=SCALES[:2], default="full", help="with checklist")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    refuse_idle(
        args,
        {
            "origin": (("import-log",), None),
            "data_dir": (("verify",), None),
            "scale": (("checklist",), "full"),
        },
    )
    taking = {"add": "run directories", "import-log": "logs", "show": "a run",
              "compare": "two runs or two recipes", "checklist": "tables"}  # fmt: skip
    if args.names and args.action not in taking:
        raise UsageError(
            f"'{args.names[0]}' would have no effect on 'results {args.action}'", "leave it out"
        )
    if args.action not in ("add", "import-log") and not args.results.is_dir():
        raise DataError(
            f"there is no results folder '{args.results}'",
            "name it with --results, or give the command beside it",
        )
    return ACTIONS[args.action](args)


def add(args: argparse.Namespace) -> int:
    """Append the records of runs to this checkout's chain."""
    from gluontricks.results import registry

    if not args.names:
        raise UsageError("'results add' needs run directories", "name one or more")
    added = [registry.add(name, args.results) for name in args.names]
    if args.json:
        print_json([record["run_id"] for record in added])
        return 0
    for record in added:
        put(f"{record['run_id']}  {record['recipe']}  {record['status']}  {record['label']}")
    return 0


def import_log(args: argparse.Namespace) -> int:
    """Add the records of authors' logs to their chain and tell what each log says."""
    from gluontricks.results.authorlogs import import_logs

    if not args.names:
        raise UsageError("'results import-log' needs logs", "name files or folders of them")
    paths = [Path(name) for name in args.names]
    done = import_logs(paths, args.results, origin=args.origin)
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
    """Check every chain and what lies beside them; serious findings are an error."""
    from gluontricks.reproduce.kept import check_teachers
    from gluontricks.results import artefacts, registry

    findings = registry.verify(args.results)
    broken = [finding for finding in findings if finding.serious]
    checked = artefacts.Checked((), 0, 0, 0)
    if not broken:
        records = registry.load(args.results)
        checked = artefacts.check(records, args.results, args.data_dir)
        findings += [*checked.findings, *check_teachers(records, args.results)]
    if args.json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for f in findings:
            put(f"{f.file}{'' if f.line is None else f':{f.line}'}  {f.problem}")
    serious = [finding for finding in findings if finding.serious]
    if serious:
        raise IntegrityError(
            f"{len(serious)} entries of the registry are not what was written",
            f"restore '{args.results}' from git",
        )
    if not args.json:
        put(f"{len(registry.load(args.results))} records, all chains whole")
        put(
            f"predictions of {checked.whole} runs give the accuracy of their records, "
            f"{checked.absent} are absent; the labels of {checked.with_data} were compared "
            "with the data"
        )
    return 0


def tables(args: argparse.Namespace) -> int:
    """Write the tables."""
    from gluontricks.results.make import write_tables

    written = write_tables(args.results)
    print_json(written) if args.json else put("\n".join(written) or "nothing changed")
    return 0


def status(args: argparse.Namespace) -> int:
    """Tell what became of each published value."""
    from gluontricks.results import complexity, registry
    from gluontricks.results.account import account, by_status, by_table
    from gluontricks.results.account import in_words as of_statuses
    from gluontricks.results.tables import title

    entries = account(registry.load(args.results), complexity.load(args.results))
    totals = by_status(entries)
    if args.json:
        print_json({
            "total": len(entries),
            "by_status": totals,
            "by_table": {"/".join(key): counts for key, counts in by_table(entries).items()},
            "values": [entry.as_dict() for entry in entries],
        })  # fmt: skip
        return 0
    papers = len({entry.value.paper for entry in entries})
    put(f"{len(entries)} values of {papers} papers: {of_statuses(totals)}")
    put("")
    for (paper, table), counts in by_table(entries).items():
        name = f"{paper}, {title(table)}"
        put(f"{name:<26} {sum(counts.values()):>3}: {of_statuses(counts)}")
    put("")
    put("--json tells the status of each value, with its reason and all other evidence")
    return 0


def show(args: argparse.Namespace) -> int:
    """Tell what a run's record says."""
    from gluontricks.results import lookup, registry

    if len(args.names) != 1:
        raise UsageError("'results show' needs one run", "give its id, or the end of it")
    record = lookup.find_run(registry.load(args.results), args.names[0])
    if args.json:
        print_json(record)
        return 0
    for line in lookup.in_words(record, args.results):
        put(line)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Compare two runs, or the runs of two recipes."""
    from gluontricks.recipes import get_recipe
    from gluontricks.results import lookup, registry

    if len(args.names) != 2:
        raise UsageError("'results compare' needs two names", "give two runs, or two recipes")
    records = registry.load(args.results)
    ids = {str(record["run_id"]) for record in records}
    if not all(any(run.endswith(name) for run in ids) for name in args.names):
        for name in args.names:
            if any(run.endswith(name) for run in ids):
                other = next(n for n in args.names if n != name)
                raise UsageError(f"'{name}' is a run and '{other}' is none", "give two of a kind")
            get_recipe(name)
        first, second = args.names
        found = lookup.compare_recipes(first, second, records)
        print_json(found) if args.json else put("\n".join(of_recipes(args.names, found)))
        return 0
    one, other = (lookup.find_run(records, name) for name in args.names)
    told = lookup.compare_runs(one, other, args.results)
    print_json(told) if args.json else put("\n".join(of_runs(told)))
    return 0


def of_recipes(names: List[str], found: List[Dict[str, Any]]) -> List[str]:
    """Return the comparison of two recipes in words."""
    lines = [f"{names[0]} - {names[1]}, top-1 in points, paired by seed"]
    for result in found:
        where = ", ".join(result["setting"])
        if result["interval"] is None:
            lines.append(f"{where}: {result['mean']:+.2f} (1 pair: no interval)")
            continue
        low, high = result["interval"]
        tests = [f"{kind} p {result[name]:.3f}" for kind, name in TESTS if result[name] is not None]
        lines.append(
            f"{where}: {result['mean']:+.2f} (95 % interval {low:+.2f} to {high:+.2f}, "
            f"{result['pairs']} pairs){'; ' if tests else ''}{', '.join(tests)}"
        )
    return lines


def of_runs(told: Dict[str, Any]) -> List[str]:
    """Return the comparison of two runs in words."""
    lines = [f"{'':<12} {told['runs'][0]:<28} {told['runs'][1]}"]
    lines.append(f"{'recipe':<12} {told['recipes'][0]!s:<28} {told['recipes'][1]}")
    lines.append("{:<12} {:<28} {}".format("setting", *(", ".join(s) for s in told["settings"])))
    for name, (one, other) in told["metrics"].items():
        lines.append(f"{name:<12} {one:<28.4f} {other:.4f}  ({other - one:+.4f})")
    lines += [f"differs: {field}" for field in told["fields"]]
    test = told["mcnemar"]
    if test is None:
        return [*lines, "McNemar: the predictions of one are not in this clone"]
    if isinstance(test, str):
        return [*lines, "McNemar: the two answered other images"]
    return [
        *lines,
        f"McNemar on {test['images']} images: {test['both']} right in both, "
        f"{test['only_first']} in the first alone, {test['only_second']} in the second alone; "
        f"exact p {test['p']:.2g}",
    ]


def checklist(args: argparse.Namespace) -> int:
    """Print the reproducibility checklist of tables."""
    from gluontricks.recipes import ABLATIONS, get_ablation
    from gluontricks.results import registry
    from gluontricks.results.cells import FULL, REDUCED
    from gluontricks.results.checklist import checklist as filled_in

    records = registry.load(args.results)
    label = REDUCED if args.scale == "reduced" else FULL
    found = {
        name: filled_in(get_ablation(name), records, label=label)
        for name in args.names or ABLATIONS
    }
    if args.json:
        print_json({name: dict(items) for name, items in found.items()})
        return 0
    for items in found.values():
        for item, answer in items:
            put(f"{item:<18} {answer}")
        put("")
    return 0


def report(args: argparse.Namespace) -> int:
    """Write the page."""
    from gluontricks.report.make import write_report

    path = write_report(args.results)
    print_json({"page": str(path)}) if args.json else put(f"wrote {path}")
    return 0


ACTIONS: Dict[str, Callable[[argparse.Namespace], int]] = {
    "add": add, "import-log": import_log, "verify": verify, "tables": tables, "status": status,
    "show": show, "compare": compare, "checklist": checklist, "report": report,
}  # fmt: skip
