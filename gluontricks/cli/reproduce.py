"""Run what a published table needs and has no record yet, and print the table as it fills.

    python scripts/reproduce.py --paper stitch-mixup --table III V --scale reduced --seeds 3
    python scripts/reproduce.py --paper stitch-mixup --table V --scale full --seeds 6 --dry-run

The plan is printed first, with the time and the disk that each run takes. The same command goes
on where it was stopped, however that was; given on several machines that share the results folder,
or with --ray on a cluster, they divide the runs among themselves.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from gluontricks.cli.parser import add_json, print_json, put
from gluontricks.errors import UsageError, WorkerError
from gluontricks.files import make_folder
from gluontricks.recipes.protocols import SCALES
from gluontricks.threads import physical_cores

if TYPE_CHECKING:
    from gluontricks.reproduce.costs import Cost
    from gluontricks.reproduce.jobs import Job, Request
    from gluontricks.reproduce.runner import Context

DAY = 86_400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--paper", required=True, help="such as stitch-mixup")
    parser.add_argument("--table", nargs="+", default=[], help="such as III V (default: all)")
    parser.add_argument("--row", nargs="+", default=[], help="only these rows")
    parser.add_argument("--labels", nargs="+", default=[], help="only these label sets")
    parser.add_argument("--scale", choices=SCALES, default="full", help="default: full")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time")
    parser.add_argument("--threads", type=int, metavar="N", help="of each run (default: its share)")
    parser.add_argument("--engine", default="mxnet", help="mxnet (default) or torch")
    parser.add_argument("--device", default="cpu", help="cpu (default), or cuda[:N]")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"),
                        help="instead of the recipes' precision; tables show it apart")  # fmt: skip
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets")
    parser.add_argument("--results", type=Path, help="results folder (default: results)")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the runs (default: RESULTS/work); "
        "smoke runs and their table are written here only (default: runs/smoke)",
    )
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS",
                        help="have workers of a Ray cluster run the jobs")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--yes", action="store_true", help="begin a plan of more than a day")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Plan, tell, run, and print the table."""
    from gluontricks.reproduce.jobs import plan
    from gluontricks.reproduce.runner import record_of

    request = request_of(args)
    jobs = plan(request)
    context = context_of(args)
    make_folder(context.work)
    left = [job for job in jobs if record_of(job, context) is None]
    costs = costs_of(left, context)
    tell_plan(args, request, jobs, left, costs, context)
    if args.dry_run:
        return 0
    check_costs(costs, least_seconds(args, costs, context), yes=args.yes)
    if not args.json:
        context.finished = lambda job: tell_rows(request, jobs, context, job)
    execute(args, jobs, left, context)
    return conclude(args, request, jobs, context)


def request_of(args: argparse.Namespace) -> Request:
    """Return what was asked for.

    Raises
    ------
    UsageError
        If a number is out of range, or an option would have no effect.
    """
    from gluontricks.learners import check_engine
    from gluontricks.reproduce.jobs import Request

    check_engine(args.engine)
    for name in ("seeds", "jobs", "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}", "it must be at least 1")
    if args.scale == "smoke" and args.results is not None:
        raise UsageError(
            "--results would have no effect with --scale smoke",
            "smoke runs are written under --out only (default: runs/smoke)",
        )
    if args.ray is not None and args.dry_run:
        raise UsageError("--ray would have no effect with --dry-run", "leave one of them out")
    return Request(
        args.paper, tuple(args.table), args.scale, args.seeds, tuple(args.labels), tuple(args.row),
        args.engine, args.device, args.dtype,
    )  # fmt: skip


def context_of(args: argparse.Namespace) -> Context:
    """Return the folders and the machine."""
    from gluontricks.reproduce.costs import Machine
    from gluontricks.reproduce.runner import Context

    if args.scale == "smoke":
        results = work = args.out or Path("runs/smoke")
        if (results / "runs").is_dir():
            raise UsageError(
                f"'{results}' has a registry, and smoke runs are no results", "give another --out"
            )
    else:
        results = args.results or Path("results")
        if args.results is None and not (results / "runs").is_dir():
            raise UsageError(
                "there is no registry in 'results' here, so every run would be done anew",
                "give the command in the checkout, or name a folder with --results: it is made",
            )
        work = args.out or results / "work"
    threads = args.threads or max(1, physical_cores() // args.jobs)
    report = (lambda _: None) if args.json else put_or_go_on
    return Context(results.resolve(), work.resolve(), Machine(threads, args.data_dir), report)


def costs_of(left: Sequence[Job], context: Context) -> List[Cost]:
    """Return what each run that is left takes."""
    from gluontricks.reproduce.costs import Costs

    costs = Costs(context.work, context.machine)
    return [costs.of(job) for job in left]


def least_seconds(args: argparse.Namespace, costs: Sequence[Cost], context: Context) -> float:
    """Return what a plan takes at least: no more runs go at a time than there are cores for."""
    from gluontricks.reproduce.costs import total

    at_once = args.jobs
    if args.ray is None and args.device.partition(":")[0] == "cpu":
        at_once = min(at_once, max(1, physical_cores() // context.machine.threads))
    return total(costs, at_once)


def check_costs(costs: Sequence[Cost], seconds: float, *, yes: bool) -> None:
    """Raise for a plan of which no run can begin, and for one of more than a day without ``yes``.

    Runs that cannot begin beside others that can are told when it is their turn.
    """
    from gluontricks.reproduce.costs import all_known

    troubles = [cost.trouble for cost in costs if cost.trouble is not None]
    if troubles and len(troubles) == len(costs):
        raise troubles[0]
    if seconds > DAY and not yes:
        least = "" if all_known(costs) else "at least "
        raise UsageError(
            f"the plan takes {least}{hours(seconds)}, more than a day",
            "give --yes to begin it, fewer --seeds or --row, or --scale reduced",
        )


def tell_plan(
    args: argparse.Namespace,
    request: Request,
    jobs: Sequence[Job],
    left: Sequence[Job],
    costs: Sequence[Cost],
    context: Context,
) -> None:
    """Print the plan with the cost of each run."""
    from gluontricks.reproduce.costs import all_known

    known = all_known(costs)
    seconds, disk = least_seconds(args, costs, context), sum(cost.disk for cost in costs)
    if args.json:
        if args.dry_run:
            print_json({
                "paper": request.paper, "tables": request.tables, "scale": request.scale,
                "runs": len(jobs), "done": len(jobs) - len(left),
                "seconds": seconds if known else None,
                "disk_bytes": disk, "plan": [planned(*pair) for pair in zip(left, costs)],
            })  # fmt: skip
        return
    for line in (*heading(request, len(jobs), len(left)), *elsewhere(left, context)):
        put(line)
    for job, cost in zip(left, costs):
        time = cost.source if cost.seconds is None else hours(cost.seconds)
        put(f"  {job.title:<58} {time:>12}  {cost.disk / 1e6:8.1f} MB")
    for cause in dict.fromkeys(cost.trouble.cause for cost in costs if cost.trouble):
        put(f"cannot begin here: {cause}")
    if left:
        at_once = f"{args.jobs} at a time, " if args.jobs > 1 else ""
        threads = context.machine.threads
        many = "1 thread" if threads == 1 else f"{threads} threads"
        least = "" if known else "at least "
        time = f"{least}{hours(seconds)}" if known or seconds else "not known"
        put(f"in all: {time} ({at_once}{many} each), {disk / 1e6:.1f} MB in '{context.work}'")


def elsewhere(left: Sequence[Job], context: Context) -> List[str]:
    """Return which of the runs to do there are on another engine, device or precision."""
    from gluontricks.reproduce.runner import run_elsewhere

    counts = Counter(s for job in left for s in run_elsewhere(job, context))
    return [
        f"{count} of them {'is' if count == 1 else 'are'} there as {', '.join(setting)}: "
        f"--engine {setting[0]} --device {setting[1]} --dtype {setting[2]} counts them"
        for setting, count in sorted(counts.items())
    ]


def heading(request: Request, runs: int, left: int) -> List[str]:
    """Return what a plan is, and its protocol if it has one."""
    from gluontricks.results.declared import protocol_of

    tables = " ".join(request.tables) or "all"
    lines = [f"{request.paper}, tables {tables}, {request.scale}: {left} of {runs} runs to do"]
    protocol = protocol_of(request.paper, request.scale)
    return [*lines, f"protocol: {protocol}"] if protocol else lines


def planned(job: Job, cost: Cost) -> Dict[str, Any]:
    """Return one run of a plan as JSON values."""
    return {
        "recipe": job.recipe.name, "seed": job.recipe.seed, "fingerprint": job.recipe.fingerprint(),
        "rows": list(job.rows), "teacher": job.teacher and job.teacher.title,
        "seconds": cost.seconds, "disk_bytes": cost.disk, "source": cost.source,
    }  # fmt: skip


def tell_rows(request: Request, jobs: Sequence[Job], context: Context, done: Job) -> None:
    """Print the rows of the table that a run has filled."""
    from gluontricks.reproduce.progress import filled_lines

    if done.rows:
        for line in filled_lines(request, jobs, context, done):
            put_or_go_on(line)


def execute(
    args: argparse.Namespace, jobs: Sequence[Job], left: Sequence[Job], context: Context
) -> None:
    """Run what is left, here or on a cluster."""
    from gluontricks.reproduce.runner import run_workers

    if not left:
        return
    if args.ray is not None:
        from gluontricks.reproduce.ray_workers import run_on_ray

        run_on_ray(jobs, context, args.jobs, address=args.ray)
        return
    run_workers(jobs, context, args.jobs)


def conclude(
    args: argparse.Namespace, request: Request, jobs: Sequence[Job], context: Context
) -> int:
    """Print the table; return 0, or 128 + the number of the signal that stopped the runs.

    Raises
    ------
    WorkerError
        If runs failed, or wait for one that failed.
    """
    from gluontricks.reproduce.progress import table_lines, write_smoke
    from gluontricks.reproduce.runner import record_of

    missing = [job for job in jobs if record_of(job, context) is None]
    if request.scale == "smoke":
        write_smoke(request, jobs, context)
    if args.json:
        done = len(jobs) - len(missing)
        failed = {key: {"cause": c, "remedy": r} for key, (c, r) in context.failed.items()}
        print_json({"runs": len(jobs), "done": done, "failed": failed})
    else:
        for line in table_lines(request, jobs, context):
            put_or_go_on(line)
    if context.signal:
        context.report(f"stopped; the same command goes on with the {len(missing)} runs left")
        return 128 + context.signal
    if missing:
        failed = [context.failed[job.key] for job in missing if job.key in context.failed]
        cause, remedy = failed[0] if failed else ("their workers ended", "give the command again")
        raise WorkerError(f"{len(missing)} of {len(jobs)} runs are not done: {cause}", remedy)
    return 0


def put_or_go_on(line: str) -> None:
    """Print a line; where whoever read the output has gone, say so once and go on in silence."""
    try:
        put(line)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("nobody reads the output any more; the runs go on\n")


def hours(seconds: float) -> str:
    """Return a duration in hours and minutes."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def main(argv: Optional[List[str]] = None) -> int:
    """Return the exit code of ``scripts/reproduce.py``."""
    from gluontricks.cli import script

    return script(add_arguments, run, __doc__, argv)
