"""Ctrl-C and SIGTERM save and stop; a second one ends at once."""

import signal
import time

import pytest
from running import TINY, final_state, finish, spawn, tiny, wait_for_line

from gluontricks import checkpoints

LONG = (*TINY[:-6], "--num-epochs", "400", "--warmup-epochs", "0", "--log-interval", "2")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_saves_and_stops_and_the_run_goes_on_bit_identical(tmp_path, name, code):
    run, epochs = tmp_path / "run", ("--num-epochs", "4")
    process = spawn(*TINY, *epochs, "--out", run)
    wait_for_line(process, "Epoch[0]")
    process.send_signal(getattr(signal, name))
    sent = time.monotonic()
    done = finish(process)
    assert time.monotonic() - sent < 10
    assert done.code == code, done
    assert done.err == ""
    assert "the same command goes on" in done.out
    assert 0 < checkpoints.step_of(checkpoints.listing(run)[-1]) < 20
    assert '"status": "stopped"' in (run / "record.json").read_text(encoding="utf-8")
    tiny(run, *epochs)
    tiny(tmp_path / "whole", *epochs)
    assert final_state(run) == final_state(tmp_path / "whole")


def test_a_second_ctrl_c_ends_the_process_at_once(tmp_path):
    process = spawn(*LONG, "--out", tmp_path / "run")
    wait_for_line(process, "Epoch[0]")
    # The loop must not see the first one before the second comes: both arrive while it waits.
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    done = finish(process)
    assert done.code in (130, 143)
    assert "the same command goes on" not in done.out
    assert checkpoints.listing(tmp_path / "run")


def test_max_steps_stops_with_a_checkpoint_and_says_how_to_go_on(tmp_path):
    done = tiny(tmp_path / "run", "--max-steps", "3")
    assert "stopped after update 3" in done.out
    assert "the same command without --max-steps goes on" in done.out
    assert checkpoints.step_of(checkpoints.listing(tmp_path / "run")[-1]) == 3
    assert "finished" in tiny(tmp_path / "run").out
