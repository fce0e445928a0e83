"""The processes of one run on this machine, started as torchrun does."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import List, Sequence

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from gluontricks.processes import TOLD
from gluontricks.threads import VARIABLE, physical_cores


def launch(count: int, command: Sequence[str]) -> int:
    """Start ``count`` processes of a command and wait for them.

    Their output is this process's. Ctrl-C and SIGTERM are passed on to them.

    Parameters
    ----------
    count : int
    command : sequence of str
        A Python script and its arguments.

    Returns
    -------
    int
        0, or the exit code of the process that ended first otherwise; 128 + the number of the
        signal that ended it, or all of them.
    """
    # Every process has its share of the cores, unless the user says otherwise.
    os.environ.setdefault(VARIABLE, str(max(1, physical_cores() // count)))
    # The processes tell what is wrong; torchrun would add where in its own code it noticed.
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[TOLD] = str(Path(folder) / "told")
            torchrun.run(torchrun.parse_args(arguments(count, command)))
    except ChildFailedError as error:
        code = min(error.failures.values(), key=lambda failure: failure.timestamp).exitcode
        return 128 - code if code < 0 else code
    except SignalException as error:
        return 128 + int(error.sigval)
    finally:
        logging.disable(logging.NOTSET)
        del os.environ[TOLD]
    return 0


def arguments(count: int, command: Sequence[str]) -> List[str]:
    """Return the arguments of torchrun for processes on this machine alone."""
    return ["--standalone", "--nproc-per-node", str(count), *command]
