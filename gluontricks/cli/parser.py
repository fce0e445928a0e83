"""An argument parser whose errors offer the nearest name, and JSON output."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any, List, Mapping, NoReturn, Optional, Sequence, Tuple

from gluontricks.errors import UsageError, nearest


class Parser(argparse.ArgumentParser):
    """``argparse`` without abbreviations, with ``--debug``, that raises instead of exiting."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)
        self.add_argument("--debug", action="store_true", help="show where an error came from")

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse found."""
        bad = re.search(r"unrecognized arguments: (\S+)", message)
        if bad:
            name = bad[1].split("=")[0]
            raise UsageError(f"unknown option '{name}'", self.close_to(name))
        raise UsageError(message, f"'{self.prog} --help' tells the options")

    def close_to(self, name: str) -> str:
        """Return a hint for an unknown option."""
        hint = nearest(name, self.flags())
        return hint.split("?")[0] + "?" if "?" in hint else f"'{self.prog} --help' tells them"

    def flags(self) -> List[str]:
        """Return every option's long name."""
        return [s for action in self._actions for s in action.option_strings if s[:2] == "--"]

    def parse_args(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, namespace: Any = None
    ) -> argparse.Namespace:
        """Return the parsed arguments."""
        return super().parse_args(args, namespace)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine`` and ``--device`` for work that either engine does alike."""
    parser.add_argument(
        "--engine", metavar="{mxnet,torch}", help="default: mxnet, or torch where it is missing"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), or cuda[:N]")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document on stdout and nothing else"
    )


def refuse_idle(args: argparse.Namespace, options: Mapping[str, Tuple[Sequence[str], Any]]) -> None:
    """Raise UsageError for an option that the action of a command does not look at.

    Parameters
    ----------
    args : Namespace
        With ``action``.
    options : mapping
        Option -> the actions that look at it, and its value when not given.
    """
    for name, (actions, default) in options.items():
        if args.action not in actions and getattr(args, name) != default:
            raise UsageError(
                f"--{name.replace('_', '-')} would have no effect with {args.action}",
                f"leave it out; it is for {', '.join(actions)}",
            )


def print_json(content: Any) -> None:
    """Print one JSON document."""
    put(json.dumps(content, indent=1))


def put(text: str) -> None:
    """Print a line at once, so that a file or a pipe has it while the command goes on."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
