"""A run killed anywhere by SIGKILL, and started again, ends bit-identical."""

import random
import time

import pytest
from running import TINY, final_state, finish, killed, need, spawn, tiny, wait_for_line

from gluontricks import checkpoints

# Points of one atomic write: see saving_often.py. Each update writes a checkpoint.
POINTS = 6
FULL = (
    "train", "--dataset", "digits", "--model", "resnet8_v1", "--batch-size", "64",
    "--num-epochs", "16", "--warmup-epochs", "1", "--log-interval", "5", "--threads", "2",
)  # fmt: skip


def kill_in_a_write(words, point):
    """Run a command until it dies at a point of its writes."""
    done = finish(spawn(*words, plan={"die_at": point}))
    assert killed(done), done
    return done


def kill_after(words, seconds):
    """Run a command and kill it so long after its training began; return whether it was."""
    process = spawn(*words)
    wait_for_line(process, "Namespace(")
    time.sleep(seconds)
    process.kill()
    return killed(finish(process))


def distilled(teacher_run):
    return ("--teacher", "resnet14_v1", "--teacher-params", teacher_run,
            "--mixup-type", "stitch-vertical")  # fmt: skip


@pytest.mark.parametrize("engine", ["mxnet", pytest.param("torch", marks=pytest.mark.slow)])
def test_three_kills_with_teacher_and_stitching_change_nothing(tmp_path, teacher_run, engine):
    need(engine)
    options = (*distilled(teacher_run), "--num-epochs", "3", "--engine", engine)
    tiny(tmp_path / "whole", *options, "--quiet")
    run = tmp_path / "run"
    words = (*TINY, *options, "--out", run)
    generator = random.Random(3)
    kill_in_a_write(words, generator.randrange(3 * POINTS, 8 * POINTS))
    assert checkpoints.listing(run)
    assert kill_after(words, generator.uniform(0, 0.2))
    kill_in_a_write(words, generator.randrange(2 * POINTS, 5 * POINTS))
    tiny(run, *options)
    assert final_state(run) == final_state(tmp_path / "whole")
    assert not list(run.glob(".tmp-*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("engine", "kind", "kills"),
    [
        ("mxnet", "nag", 20), ("mxnet", "adam", 20), ("mxnet", "teacher-and-stitch", 20),
        ("torch", "nag", 10), ("torch", "adam", 10), ("torch", "teacher-and-stitch", 10),
    ],
)  # fmt: skip
def test_random_kills_change_nothing(tmp_path, teacher_run, engine, kind, kills):
    need(engine)
    more = distilled(teacher_run) if kind == "teacher-and-stitch" else ("--optimizer", kind)
    more = (*more, "--engine", engine)
    run, generator = tmp_path / "run", random.Random(engine + kind)
    words = (*FULL, *more, "--out", run)
    whole = finish(spawn(*FULL, *more, "--out", tmp_path / "whole"))
    assert whole.code == 0, whole.err
    for number in range(kills):
        if number % 3 == 0:
            kill_in_a_write(words, generator.randrange(1, 15 * POINTS))
        else:
            assert kill_after(words, generator.uniform(0, 0.3))
    assert kills < checkpoints.step_of(checkpoints.listing(run)[-1]) < 352
    done = finish(spawn(*words))
    assert done.code == 0, done.err
    assert final_state(run) == final_state(tmp_path / "whole")
