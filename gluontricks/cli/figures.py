"""Draw a paper's figures, accuracy curves, or the gap of the logits with and without smoothing.

    gluontricks figures bag-of-tricks
    gluontricks figures curves RUN_OR_LOG... --out DIR
    gluontricks figures gap RUN_WITHOUT RUN_WITH --out DIR

The first writes into the results folder what needs no training. A curve comes from a run's
directory, an author's log, or a run id of the registry; a gap from a run's directory or id, whose
predictions hold it for every test image. Each picture has its data beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List

from gluontricks.cli.parser import add_json, print_json, put, refuse_idle
from gluontricks.errors import UsageError

if TYPE_CHECKING:
    from gluontricks.figures.canvas import Picture

# Option -> the actions that it has an effect in, and what it is when not given.
OPTIONS = {
    "out": (("curves", "gap"), None),
    "name": (("curves", "gap"), None),
    "names": (("curves",), None),
    "published": (("curves",), []),
    "metric": (("curves",), "top1"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("bag-of-tricks", "curves", "gap"))
    parser.add_argument("sources", nargs="*", metavar="RUN_OR_LOG", help="see above")
    parser.add_argument("--out", type=Path, help="folder of the pictures, with curves and gap")
    parser.add_argument("--name", help="name of the files (curves, or gap)")
    parser.add_argument("--names", nargs="+", help="names of the curves, one each")
    parser.add_argument(
        "--published", nargs="+", default=[], metavar="ID", help="printed values beside the curves"
    )
    parser.add_argument("--metric", choices=("top1", "top5"), default="top1")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Draw what was asked."""
    refuse_idle(args, OPTIONS)
    written = {"bag-of-tricks": paper, "curves": curves, "gap": gap}[args.action](args)
    print_json(written) if args.json else put("\n".join(written) or "nothing changed")
    return 0


def paper(args: argparse.Namespace) -> List[str]:
    """Write the figures of the results folder that are stale."""
    from gluontricks.figures.make import FOLDER, write_figures

    if args.sources:
        raise UsageError("'bag-of-tricks' takes no runs", "leave them out")
    return [str(args.results / FOLDER / name) for name in write_figures(args.results)]


def curves(args: argparse.Namespace) -> List[str]:
    """Write the curves of runs and logs."""
    from gluontricks.figures.curves import curves_picture, read_published, read_series, renamed

    out = folder(args, least=1)
    series = [read_series(source, args.results) for source in args.sources]
    for one in series:
        for doubt in one.doubts:
            note(f"{one.source}: {doubt}")
    series = renamed(series, args.names) if args.names else series
    series += [read_published(key, args.metric) for key in args.published]
    picture = curves_picture(series, metric=args.metric, name=args.name or "curves")
    return written_to(out, picture)


def gap(args: argparse.Namespace) -> List[str]:
    """Write the distribution of the gap in two runs, and what it is in numbers."""
    from gluontricks.figures.gaps import gap_picture, read_gaps, summary
    from gluontricks.files import write_atomic

    out = folder(args, least=2)
    if len(args.sources) > 2:
        raise UsageError("'figures gap' compares two runs", "name one without and one with it")
    pair = [read_gaps(source, args.results) for source in args.sources]
    for one in pair:
        for doubt in one.doubts:
            note(f"{one.source}: {doubt}")
    picture = gap_picture(*pair, name=args.name or "gap")
    written = written_to(out, picture)
    numbers = out / f"{picture.name}-summary.csv"
    write_atomic(numbers, summary(pair))
    return [*written, str(numbers)]


def folder(args: argparse.Namespace, *, least: int) -> Path:
    """Return the folder to write to, if that and enough sources were given."""
    from gluontricks.files import make_folder

    if len(args.sources) < least:
        wanted = "a run without and a run with smoothing" if least == 2 else "a run or a log"
        raise UsageError(f"'figures {args.action}' needs {wanted}", "name them after the action")
    if args.out is None:
        raise UsageError(f"'figures {args.action}' needs --out", "give --out FOLDER")
    return make_folder(args.out)


def written_to(out: Path, picture: Picture) -> List[str]:
    """Write a picture and return the names of its files."""
    from gluontricks.figures.make import write_picture

    return [str(path) for path in write_picture(picture, out)]


def note(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(f"note: {text}\n")
