"""What is told of a run: GluonCV's log lines, and a live line without numbers nobody knows."""

import io
import re

import pytest

from gluontricks.engine import UNTIMED_STEPS, Speed
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.reporting import (
    LineReporter,
    clock,
    epoch_lines,
    interval_line,
    live_parts,
    namespace_line,
)
from gluontricks.training import seconds_per_update

INTERVAL = {
    "epoch": 3, "batch": 50, "step": 200, "lr": 0.1, "loss": 1.25, "images_per_second": 250.0,
    "left": 3661.0,
}  # fmt: skip
EPOCH = {
    "epoch": 3, "loss": 1.25, "images_per_second": 250.4, "seconds": 200.0,
    "top1": 75.0, "top5": 95.5, "nll": 0.9,
}  # fmt: skip

# GluonCV's train_imagenet.py writes with these formats, %f and %d as given there.
GLUONCV = [
    r"Epoch\[\d+\] Batch \[\d+\]\tSpeed: \d+\.\d{6} samples/sec\t\S+=\d+\.\d{6}\tlr=\d+\.\d{6}",
    r"\[Epoch \d+\] training: \S+=\d+\.\d{6}",
    r"\[Epoch \d+\] speed: \d+ samples/sec\ttime cost: \d+\.\d{6}",
    r"\[Epoch \d+\] validation: err-top1=\d\.\d{6} err-top5=\d\.\d{6}",
]


def test_lines_have_gluoncvs_format():
    lines = [interval_line(INTERVAL), *epoch_lines(EPOCH)]
    for line, form in zip(lines, GLUONCV):
        assert re.fullmatch(form, line), line
    assert lines[-1].endswith("err-top1=0.250000 err-top5=0.045000")


def test_a_log_starts_with_the_recipe_as_gluoncvs_do():
    line = namespace_line(resolve(Recipe(lr=0.25, mixup_type="mixup")))
    assert re.fullmatch(r"Namespace\(name='unnamed', .*lr=0\.25, .*mixup_type='mixup', .*\)", line)


def test_a_line_is_in_the_log_before_the_next_event():
    stream = io.StringIO()
    reporter = LineReporter(stream)
    reporter.interval(INTERVAL)
    reporter.batch(INTERVAL)
    assert stream.getvalue() == interval_line(INTERVAL) + "\n"


def test_the_live_line_leaves_out_what_is_not_known():
    unknown = {**INTERVAL, "loss": None, "images_per_second": None, "left": None}
    assert live_parts(unknown) == ["lr 0.1000"]
    assert live_parts(INTERVAL) == ["loss 1.250", "lr 0.1000", "250 images/s", "1:01:01 left"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61, "1:01"), (3600, "1:00:00")])
def test_durations_read_like_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.fixture
def now(monkeypatch):
    """A clock that tests turn."""
    time = [100.0]
    monkeypatch.setattr("gluontricks.engine.time.monotonic", lambda: time[0])
    return time


def advance(speed, now, seconds, *, read=True):
    """Do an update that takes so long, and read its loss or not."""
    now[0] += seconds
    speed.steps += 1
    if read:
        speed.note()


def test_speed_leaves_out_the_first_updates_which_compile(now):
    speed = Speed()
    for _ in range(UNTIMED_STEPS):
        advance(speed, now, 30.0)
        assert speed.expected() is None
    for _ in range(4):
        advance(speed, now, 0.5)
    assert speed.seconds_per_step() == pytest.approx(0.5)
    assert speed.expected() == pytest.approx(0.5)


def test_speed_counts_no_update_that_was_only_handed_over(now):
    speed = Speed()
    for _ in range(UNTIMED_STEPS + 2):
        advance(speed, now, 0.5)
    for _ in range(10):
        advance(speed, now, 0.0, read=False)
    assert speed.seconds_per_step() == pytest.approx(0.5)


def test_until_an_epochs_speed_is_known_that_of_the_one_before_is_expected(now):
    speed = Speed(before=0.5)
    advance(speed, now, 7.0)
    assert speed.expected() == 0.5
    # An epoch of so few updates took what it took.
    assert speed.seconds_per_step() == pytest.approx(7.0)


class Queued:
    """A learner that works on while its caller goes on, until its losses are read."""

    def __init__(self, now, *, compiling):
        self.now, self.work = now, [compiling + 3.0]

    def step(self, batch):
        del batch

    def losses(self):
        self.now[0] += self.work.pop() if self.work else 3.0


@pytest.mark.parametrize("compiling", [0.0, 20.0])
def test_a_dry_run_times_updates_until_they_are_done_and_not_the_first(now, compiling):
    learner = Queued(now, compiling=compiling)
    assert seconds_per_update(learner, range(4)) == pytest.approx(3.0)
