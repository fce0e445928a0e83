"""The command line: ``gluontricks COMMAND``. Each command is a module that is loaded when named."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import List, Optional

from gluontricks import __version__
from gluontricks.cli.parser import Parser
from gluontricks.errors import DiskError, GluontricksError, WorkerError, one_line, unknown
from gluontricks.processes import is_first_to_tell

COMMANDS = {
    "train": "train a recipe, or go on with a run that was stopped",
    "prepare": "write a run's directory for machines without MXNet",
    "evaluate": "accuracy of a run or of a file of parameters",
    "predict": "classify images with an exported model",
    "export": "write a trained network with its preprocessing",
    "preview": "write the exact batch a run would see as a picture",
    "summary": "parameters and multiply-adds of a network",
    "crosscheck": "run both engines in float64 and tell how far they are apart",
    "recipes": "list the recipes, or show one",
    "data": "list, fetch or verify data sets",
    "results": "add runs to the registry, verify it, write the tables",
    "reproduce": "run what a published table needs, and print the table as it fills",
    "launch": "start several processes that share every batch, by MXNet's parameter server",
    "figures": "draw a paper's figures, accuracy curves, or the gap of the logits",
    "doctor": "what is installed, what this machine can do, what is wrong",
    "demo": "the main job on embedded data: a few minutes on two cores",
}
INTERNAL = 70


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; return its exit code. Errors are one line of cause and one of remedy."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: dispatch(words), debug="--debug" in words)


def guarded(action, *, debug: bool) -> int:  # type: ignore[no-untyped-def]
    """Return the exit code of ``action()``, or of the error that it raised, which is printed."""
    try:
        code = action()
        # What fails here would fail at the interpreter's end, where nobody catches it.
        sys.stdout.flush()
        return code
    except GluontricksError as error:
        return complain(error, debug)
    except MemoryError:
        return complain(
            GluontricksError("the memory is used up", "give a smaller --batch-size"), debug
        )
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return complain(DiskError(str(error), "check the disk and the path"), debug)
    except Exception as error:
        return complain(
            GluontricksError(
                f"internal error: {type(error).__name__}: {one_line(error)}",
                "--debug shows where; please report it",
            ),
            debug,
        )


def script(  # type: ignore[no-untyped-def]
    add_arguments, run, description: Optional[str], argv: Optional[List[str]] = None
) -> int:
    """Return the exit code of a script that is one command: ``run`` of its parsed arguments."""

    def action() -> int:
        parser = Parser(description=description)
        add_arguments(parser)
        return run(parser.parse_args(argv))

    return guarded(action, debug="--debug" in (sys.argv if argv is None else argv))


def complain(error: GluontricksError, debug: bool) -> int:
    """Print an error, with its origin if asked for; return its exit code."""
    if debug:
        traceback.print_exc()
    text = f"error: {error.cause}\nremedy: {error.remedy}\n"
    if is_first_to_tell(text, follows=isinstance(error, WorkerError)):
        sys.stderr.write(text)
    return error.code


def dispatch(words: List[str]) -> int:
    """Parse the command's name, load its module and run it."""
    if words[:1] == ["--version"]:
        sys.stdout.write(f"gluontricks {__version__}\n")
        return 0
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    if words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    module = import_module(f"gluontricks.cli.{words[0]}")
    parser = Parser(prog=f"gluontricks {words[0]}", description=module.__doc__)
    module.add_arguments(parser)
    return module.run(parser.parse_args(words[1:]))


def usage() -> str:
    """Return the text of ``gluontricks --help``."""
    lines = [
        f"gluontricks {__version__}: training tricks for image classifiers",
        "",
        "usage: gluontricks COMMAND [options]",
        "",
    ]
    lines += [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    lines += [
        "",
        "gluontricks COMMAND --help tells the options of one.",
        "Every command takes --debug; most take --json.",
        "",
    ]
    return "\n".join(lines)
