"""One run directory is for one run: locked while it is used, refused to another recipe."""

import os
import signal

import pytest
from running import TINY, command, finish, latest, spawn, tiny, wait_for_line


def test_a_second_run_in_a_directory_is_refused_and_told_who_holds_it(tmp_path):
    process = spawn(*TINY, "--num-epochs", "400", "--out", tmp_path / "run")
    try:
        wait_for_line(process, "Epoch[0]")
        second = command(*TINY, "--num-epochs", "400", "--out", tmp_path / "run")
        assert second.code == 75
        assert f"is in use by process {process.pid}" in second.err
        assert "remedy: wait for it, or choose another --out" in second.err
    finally:
        process.send_signal(signal.SIGKILL)
        finish(process)
    assert process.pid != os.getpid()
    tiny(tmp_path / "run", "--num-epochs", "400", "--max-steps", "1")


@pytest.fixture
def begun(tmp_path):
    """A run that stopped after two updates."""
    tiny(tmp_path / "run", "--max-steps", "2", "--quiet")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lr", "0.2"), "lr: 0.1 -> 0.2"),
        (("--seed", "1"), "seed: 0 -> 1"),
        (("--num-epochs", "3"), "num_epochs: 2 -> 3"),
        (("--mixup-type", "mixup"), "mixup_type: 'none' -> 'mixup'"),
    ],
)
def test_a_changed_recipe_is_refused_and_nothing_is_touched(begun, words, said):
    before = {p.name: p.read_bytes() for p in begun.iterdir() if p.name != ".holder"}
    done = command(*TINY, "--out", begun, *words)
    assert done.code == 2
    assert said in done.err
    assert "--no-resume" in done.err
    assert before == {p.name: p.read_bytes() for p in begun.iterdir() if p.name != ".holder"}


def test_no_resume_starts_again_and_keeps_the_old_run(begun):
    old = latest(begun).name
    done = tiny(begun, "--lr", "0.2", "--no-resume", "--max-steps", "1")
    assert f"the run that was here is kept in {begun}.old-1" in done.out
    assert latest(begun.with_name("run.old-1")).name == old
    assert latest(begun).name.startswith("ckpt-00000001-")


def test_a_damaged_description_is_told_and_nothing_is_overwritten(begun):
    (begun / "run.json").write_bytes(b'{"schema"')
    done = command(*TINY, "--out", begun)
    assert done.code == 81
    assert "run.json' is damaged" in done.err
    assert (begun / "run.json").read_bytes() == b'{"schema"'
