"""List the data sets, fetch or verify one, make record files, unpack ImageNet.

gluontricks data list
gluontricks data fetch cifar100
gluontricks data verify cifar100
gluontricks data verify FOLDER_OR_REC
gluontricks data rec FOLDER --out RECORDS
gluontricks data prepare imagenet --archives DIR --out FOLDER
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Callable, Dict

from gluontricks.cli.parser import add_json, print_json, put, refuse_idle
from gluontricks.errors import DataError, UsageError, nearest

# Option -> the actions that look at it, and the value of one that was not given.
FOR: Dict[str, Any] = {
    "data_dir": (("list", "fetch", "verify"), None),
    "out": (("rec", "prepare"), None),
    "split": (("rec",), None),
    "archives": (("prepare",), None),
    "no_checksums": (("prepare",), False),
    "jobs": (("verify", "rec", "prepare"), None),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=tuple(ACTIONS))
    parser.add_argument("name", nargs="?", help="data set; a folder or a record file")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets")
    parser.add_argument("--out", type=Path, help="rec, prepare: folder for what is made")
    parser.add_argument("--split", choices=("train", "val"), help="rec: this part alone")
    parser.add_argument("--archives", type=Path, help="prepare: folder of the official archives")
    parser.add_argument(
        "--no-checksums",
        action="store_true",
        help="prepare: check neither the archives' MD5 nor the numbers of images",
    )
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="verify, rec, prepare: processes (all cores)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    refuse_idle(args, FOR)
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"-j is {args.jobs}", "give the number of processes, 1 or more")
    if args.name is None and args.action != "list":
        what = {"rec": "folder", "prepare": "data set"}.get(args.action, "name")
        raise UsageError(
            f"'data {args.action}' needs a {what}", "'gluontricks data --help' shows examples"
        )
    return ACTIONS[args.action](args)


def show_list(args: argparse.Namespace) -> int:
    """Print the data sets and where they are found."""
    from gluontricks.data import fetch

    rows = fetch.listing(args.data_dir)
    if args.json:
        print_json(rows)
        return 0
    for row in rows:
        classes, train, test = (row[key] or "-" for key in ("classes", "train", "test"))
        put(
            f"{row['name']:<16} {classes:>4} classes  {train:>7} train  {test:>6} test  "
            f"{row['found'] or 'not found'}"
        )
    return 0


def fetch_one(args: argparse.Namespace) -> int:
    """Download a data set."""
    from gluontricks.data import fetch

    path = fetch.fetch(args.name, args.data_dir)
    print_json({"name": args.name, "path": str(path)}) if args.json else put(str(path))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Read all of a data set and print what is wrong with it."""
    from gluontricks.data import DATASETS, fetch
    from gluontricks.data.verify import verify_known, verify_path

    if args.name in DATASETS and not DATASETS[args.name].on_disk:
        found: Dict[str, Any] = {**fetch.verify(args.name, args.data_dir), "problems": []}
    elif args.name in DATASETS:
        found = verify_known(args.name, args.data_dir, jobs_of(args))
    elif Path(args.name).exists():
        if args.data_dir is not None:
            raise UsageError("--data-dir has no effect with a path", "leave it out")
        found = verify_path(Path(args.name), jobs_of(args))
    else:
        raise UsageError(
            f"'{args.name}' is neither a data set nor a folder or a record file",
            nearest(args.name, DATASETS),
        )
    problems = found["problems"]
    if args.json:
        print_json(found)
    else:
        for problem in problems:
            put(f"{problem['kind']}: {problem['reason']}")
        put(
            f"{args.name}: {len(problems)} problem{'s' * (len(problems) > 1)}"
            if problems
            else f"{args.name}: all of it reads and is consistent"
        )
    return DataError.code if problems else 0


def make_rec(args: argparse.Namespace) -> int:
    """Make record files of a folder of images."""
    from gluontricks.data.consistency import check_labels, check_pair
    from gluontricks.data.listing import find_listing
    from gluontricks.data.make_records import make_records

    splits = [args.split] if args.split else ["train", "val"]
    listings = [find_listing("folder", split, args.name) for split in splits]
    check_labels(*listings) if args.split else check_pair(*listings)
    out, report = out_of(args), teller(args)
    made = [make_records(each, out, jobs=jobs_of(args), report=report) for each in listings]
    if args.json:
        rows = [
            {"path": str(path), "images": len(each), "sha256": each.sha256}
            for path, each in zip(made, listings)
        ]
        print_json(rows)
        return 0
    for path, each in zip(made, listings):
        put(f"{path}: {len(each):,} images of {len(each.class_names)} classes")
    return 0


def prepare(args: argparse.Namespace) -> int:
    """Unpack the official archives of ImageNet."""
    from gluontricks.data.prepare_imagenet import prepare_imagenet

    if args.name != "imagenet":
        raise UsageError(f"'{args.name}' cannot be prepared", "there is: imagenet")
    if args.archives is None:
        raise UsageError("'data prepare' needs --archives", "name the folder of the archives")
    out = out_of(args)
    if args.no_checksums:
        sys.stderr.write(
            "notice: neither the archives' MD5 nor the numbers of images are checked\n"
        )
    found = prepare_imagenet(
        args.archives,
        out,
        jobs=jobs_of(args),
        report=teller(args),
        official=not args.no_checksums,
    )
    if args.json:
        print_json(found)
        return 0
    for split in ("train", "val"):
        put(f"{out / split}: {found[split]['images']:,} images")
    return 0


def jobs_of(args: argparse.Namespace) -> int:
    """Return the number of processes."""
    from gluontricks.threads import physical_cores

    return args.jobs or physical_cores()


def out_of(args: argparse.Namespace) -> Path:
    """Return the folder for what is made."""
    if args.out is None:
        raise UsageError(f"'data {args.action}' needs --out", "name a folder for what is made")
    return args.out.expanduser()


def teller(args: argparse.Namespace) -> Callable[[str], None]:
    """Return what tells the progress: nothing with --json."""
    return (lambda _: None) if args.json else put


ACTIONS: Dict[str, Callable[[argparse.Namespace], int]] = {
    "list": show_list,
    "fetch": fetch_one,
    "verify": verify,
    "rec": make_rec,
    "prepare": prepare,
}
