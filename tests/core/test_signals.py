import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import gluontricks
from gluontricks.signals import Interruption

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_is_a_wish_and_not_an_exception(number, code):
    with Interruption() as interruption:
        assert interruption.exit_code is None
        os.kill(os.getpid(), number)
        assert interruption.exit_code == code


def test_the_handlers_that_were_there_come_back():
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number, _ in SIGNALS] != before
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


def test_in_another_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def run():
        with Interruption() as interruption:
            seen.append((signal.getsignal(signal.SIGINT), interruption.exit_code))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(before, None)]


TWICE = """
import os, signal, sys
from gluontricks.signals import Interruption
first, second = int(sys.argv[1]), int(sys.argv[2])
with Interruption():
    os.kill(os.getpid(), first)
    print("goes on", flush=True)
    os.kill(os.getpid(), second)
    print("never", flush=True)
"""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_second_signal_ends_the_process_at_once(number, code):
    done = subprocess.run(
        [sys.executable, "-c", TWICE, str(int(signal.SIGINT)), str(int(number))],
        env={**os.environ, "PYTHONPATH": str(Path(gluontricks.__file__).parents[1])},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout == b"goes on\n"
