"""Claims: one of many has it, whoever is gone loses it, and nobody takes a living one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from gluontricks.reproduce import claims
from gluontricks.reproduce.claims import VOID_SECONDS, Claim


def age(claim: Claim, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(claim.path, (then, then))


def elsewhere(claim: Claim) -> None:
    """Make a claim look as if another machine had it."""
    about = json.loads(claim.path.read_text())
    claim.path.write_text(json.dumps({**about, "system": "another machine"}))


def test_one_of_many_takes_a_claim_and_another_can_have_it_afterwards(tmp_path) -> None:
    taken = []
    barrier = threading.Barrier(16)

    def take() -> None:
        claim = Claim(tmp_path, "run")
        barrier.wait()
        taken.append(claim if claim.take() else None)

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (mine,) = [claim for claim in taken if claim is not None]
    assert not Claim(tmp_path, "run").take()
    assert Claim(tmp_path, "another").take()
    with mine:
        pass
    assert Claim(tmp_path, "run").take()


def test_a_claim_is_touched_while_it_is_held(tmp_path) -> None:
    claim = Claim(tmp_path, "run", touch_seconds=0.05)
    assert claim.take()
    age(claim, VOID_SECONDS - 1)
    with claim:
        time.sleep(0.3)
        assert time.time() - claim.path.stat().st_mtime < 5
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    ("seconds", "void"), [(VOID_SECONDS - 30, False), (VOID_SECONDS + 30, True)]
)
def test_another_machines_claim_is_void_after_ten_minutes_without_a_touch(
    tmp_path, seconds, void
) -> None:
    theirs = Claim(tmp_path, "run")
    assert theirs.take()
    elsewhere(theirs)
    age(theirs, seconds)
    assert Claim(tmp_path, "run").take() is void


def test_a_claim_of_a_process_of_this_machine_that_is_no_more_is_void_at_once(tmp_path) -> None:
    if claims.system() is None:
        pytest.skip("this system does not tell processes of another container apart")
    theirs = Claim(tmp_path, "run")
    assert theirs.take()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    about = json.loads(theirs.path.read_text())
    theirs.path.write_text(json.dumps({**about, "process": gone.pid}))
    assert Claim(tmp_path, "run").take()


def test_a_process_number_of_another_machine_says_nothing(tmp_path) -> None:
    theirs = Claim(tmp_path, "run")
    assert theirs.take()
    about = json.loads(theirs.path.read_text())
    theirs.path.write_text(json.dumps({**about, "process": 2**22 + 1, "system": "another"}))
    assert not Claim(tmp_path, "run").take()


def test_a_claim_that_was_taken_over_is_not_given_up_or_touched_by_who_had_it(tmp_path) -> None:
    first = Claim(tmp_path, "run", touch_seconds=0.05)
    assert first.take()
    elsewhere(first)
    age(first, VOID_SECONDS + 1)
    second = Claim(tmp_path, "run")
    with first:
        assert second.take()
        before = second.path.stat().st_mtime_ns
        time.sleep(0.3)
        assert second.path.stat().st_mtime_ns == before
    assert second.is_ours()


def test_a_fresh_claim_that_was_renamed_by_mistake_is_put_back(tmp_path, monkeypatch) -> None:
    """Between looking at a void claim and renaming it, another may have taken it over."""
    old, quick, slow = (Claim(tmp_path, "run") for _ in range(3))
    assert old.take()
    elsewhere(old)
    age(old, VOID_SECONDS + 1)
    look = Claim.is_void

    def look_then_lose_the_race(self, path):
        found = look(self, path)
        if self is slow and path == slow.path:
            assert quick.take()
        return found

    monkeypatch.setattr(Claim, "is_void", look_then_lose_the_race)
    assert not slow.take()
    assert quick.is_ours()
    assert [path.name for path in tmp_path.iterdir()] == ["run.claim"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": "x"}'])
def test_a_damaged_claim_is_void_when_it_is_old_and_not_before(tmp_path, content: str) -> None:
    theirs = Claim(tmp_path, "run")
    assert theirs.take()
    theirs.path.write_text(content)
    assert not Claim(tmp_path, "run").take(), "it may be being written"
    age(theirs, VOID_SECONDS + 1)
    assert Claim(tmp_path, "run").take()


def test_the_clock_is_the_disks_so_that_machines_need_not_agree(tmp_path, monkeypatch) -> None:
    theirs = Claim(tmp_path, "run")
    assert theirs.take()
    elsewhere(theirs)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 10 * VOID_SECONDS)
    assert not Claim(tmp_path, "run").take()
