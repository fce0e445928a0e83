"""The command line with a checkpoint after every update, and death at a chosen point of a write.

``saving_often.py PLAN WORDS...``: PLAN is JSON. ``die_at`` kills the process at that point of the
atomic writes, each of which has six: the file opened, half written, written, synced, renamed, and
the folder synced.
"""

import builtins
import json
import os
import signal
import sys

PLAN = json.loads(sys.argv[1])
points = 0


def point():
    """Count a point of a checkpoint's write; end without warning at the chosen one."""
    global points
    points += 1
    if points == PLAN.get("die_at"):
        os.kill(os.getpid(), signal.SIGKILL)


class Half:
    """A file that is written in two halves, each a point."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __enter__(self):
        point()
        return self

    def __exit__(self, *_):
        self.stream.close()

    def write(self, data):
        """Write one half, then the other."""
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.stream.write(part)
            self.stream.flush()
            point()


def then_point(function):
    """Return ``function`` with a point after it."""

    def watched(*values):
        function(*values)
        point()

    return watched


def watch_writes():
    """Make the points of atomic writes known."""
    plain_open = builtins.open

    def watched_open(path, mode="r", *rest, **named):
        stream = plain_open(path, mode, *rest, **named)
        return Half(stream) if mode == "wb" and ".tmp-" in str(path) else stream

    builtins.open, os.fsync, os.replace = watched_open, then_point(os.fsync), then_point(os.replace)


if __name__ == "__main__":
    from gluontricks import engine
    from gluontricks.cli import main

    engine.SAVE_SECONDS = -1.0
    watch_writes()
    sys.exit(main(sys.argv[2:]))
