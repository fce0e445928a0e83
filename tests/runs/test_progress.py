"""What a user sees of a run: a live line on a terminal, plain lines in a pipe."""

import os
import re
import subprocess
import sys

import pytest
from running import TINY, environment, finish, spawn, tiny

from gluontricks.rundir import LOG_FILE

COMMAND = "import sys; from gluontricks.cli import main; sys.exit(main())"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(*words):
    """Run a command on a pseudo-terminal; return what it wrote there."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        stdout=theirs, stderr=theirs, env={**environment(), "COLUMNS": "100", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, written
    return written.decode()


def test_a_terminal_has_a_live_line_with_loss_rate_speed_and_time_left(tmp_path):
    text = on_a_terminal(*TINY, "--num-epochs", "2", "--out", tmp_path / "run")
    plain = CONTROL.sub("", text)
    assert re.search(
        r"epoch 1/2 .* loss \d\.\d{3}  lr 0\.\d{4}  \d+ images/s  \d+:\d\d left", plain
    )
    assert "nan" not in plain
    assert "None" not in plain
    # What one core can do of this, with a wide margin.
    assert max(int(speed) for speed in re.findall(r"(\d+) images/s", plain)) < 100_000
    assert len(re.findall(r"epoch \d  loss \d\.\d{3}  top-1 \d+\.\d\d %", plain)) >= 2
    assert "Namespace(" in (tmp_path / "run" / LOG_FILE).read_text(encoding="utf-8")


def test_a_pipe_and_the_log_have_the_same_plain_lines(tmp_path):
    done = finish(spawn(*TINY, "--log-interval", "1", "--out", tmp_path / "run"))
    assert done.code == 0, done.err
    log = (tmp_path / "run" / LOG_FILE).read_text(encoding="utf-8")
    assert done.out.startswith(log)
    assert not CONTROL.search(done.out)
    assert "\r" not in done.out
    assert "Epoch[0] Batch [1]\tSpeed: " in log


def test_tensorboard_gets_the_scalars_of_the_metrics(tmp_path):
    pytest.importorskip("tensorboardX")
    tiny(tmp_path / "run", "--tensorboard", "--log-interval", "2", "--num-epochs", "1", "--quiet")
    (events,) = (tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")
    content = events.read_bytes()
    for tag in (b"train/loss", b"train/lr", b"validation/top1", b"validation/nll"):
        assert tag in content, tag
