"""Running the command line in tests: in this process, or in one of its own that can be killed."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

import gluontricks
from gluontricks import checkpoints
from gluontricks.cli import main
from gluontricks.rundir import read_metrics

# A run of 5 updates an epoch that takes about a second: 320 digits, the others held out.
TINY = (
    "train", "--dataset", "digits", "--model", "resnet8_v1", "--batch-size", "64",
    "--val-split", "1117", "--num-epochs", "2", "--warmup-epochs", "0", "--log-interval", "2",
)  # fmt: skip
OFTEN = Path(__file__).parent / "runs" / "saving_often.py"
TIMES = ("images_per_second", "seconds", "waiting")


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on its standard output."""
        return json.loads(self.out)


def command(*words, main=main):
    """Run a command, or a script's ``main``, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    return Done(code, out.getvalue(), err.getvalue())


def tiny(out, *words, code=0):
    """Train the tiny recipe in this process; the run must end with ``code``."""
    done = command(*TINY, "--out", out, *words)
    assert done.code == code, done.err or done.out
    return done


def environment():
    """Return the environment of another process that is to find this package."""
    return {**os.environ, "PYTHONPATH": str(Path(gluontricks.__file__).parents[1])}


def need(engine):
    """Skip the test where what an engine computes with is not installed."""
    if engine == "torch":
        pytest.importorskip("torch")


def spawn(*words, plan=None):
    """Start a command in a process of its own, saving after every update; see saving_often.py."""
    return subprocess.Popen(
        [sys.executable, str(OFTEN), json.dumps(plan or {}), *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_line(process, start=""):
    """Read a process's output up to the first line that begins so."""
    for line in process.stdout:
        if line.startswith(start):
            return line
    raise AssertionError(f"it ended without a line '{start}': {process.stderr.read()}")


def finish(process):
    """Wait for a process; return how it ended."""
    out, err = process.communicate(timeout=300)
    return Done(process.returncode, out, err)


def killed(done):
    """Return whether a process ended by SIGKILL."""
    return done.code == -signal.SIGKILL


def final_state(run):
    """Return what must be equal for runs that are the same: checkpoint names, metrics, best."""
    events = [{k: v for k, v in e.items() if k not in TIMES} for e in read_metrics(run)]
    best = sorted(path.name for path in run.glob("best-*"))
    return checkpoints.listing(run)[-1].name, events, best


def latest(run):
    """Return the path of a run's newest checkpoint."""
    return checkpoints.listing(run)[-1]
