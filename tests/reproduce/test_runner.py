"""Running a plan: order, records, failures, kills, several processes, and a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from record_maker import make_record
from running import command, environment

from gluontricks.cli.reproduce import main as script
from gluontricks.errors import IntegrityError
from gluontricks.reproduce import runner
from gluontricks.reproduce.costs import Machine
from gluontricks.reproduce.jobs import Request, plan
from gluontricks.reproduce.runner import Context, run_workers
from gluontricks.results import registry
from gluontricks.results.records import write_record

REDUCED = Request("stitch-mixup", ("V",), "reduced", seeds=2, labels=("fine",))
SMOKE = ("--paper", "stitch-mixup", "--table", "V", "--scale", "smoke", "--labels", "fine")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reproduce.py"


class Training:
    """Stands for the processes that train: notes what is run, and writes its record."""

    def __init__(self, codes=None) -> None:
        self.codes = codes or {}
        self.ran = []
        self.at_once = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, job, words, context) -> int:
        with self.lock:
            self.ran.append((job.title, words))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.02)
        code = self.codes.get(job.title, 0)
        if code in (0, 80):
            over = {} if code == 0 else {"status": "diverged", "reason": "loss is nan"}
            top1 = 30.0 if code == 0 else None
            made = make_record(job.recipe.name, job.recipe.seed, top1, **over)
            folder = context.folder(job)
            folder.mkdir(parents=True, exist_ok=True)
            write_record(folder / "record.json", made)
        with self.lock:
            self.at_once -= 1
        return code


@pytest.fixture
def training(monkeypatch):
    """Train nothing; keep no parameters."""
    made = Training()
    monkeypatch.setattr(runner, "run_process", made)
    monkeypatch.setattr(runner, "keep_teacher", lambda *_: True)
    return made


def context_in(folder, **changes) -> Context:
    lines = []
    made = Context(
        folder / "results", folder / "work", Machine(1), lines.append, writer="a", **changes
    )
    made.lines = lines
    return made


def test_every_run_is_done_once_teachers_first_and_enters_the_registry(tmp_path, training) -> None:
    jobs, context = plan(REDUCED), context_in(tmp_path, poll_seconds=0.01)
    run_workers(jobs, context, workers=3)
    titles = [title for title, _ in training.ran]
    assert sorted(titles) == sorted(job.title for job in jobs)
    assert training.most > 1
    for title, words in training.ran:
        if "distill" in title:
            assert titles.index("stitch-teacher-reduced seed 0") < titles.index(title)
            taught = words[words.index("--teacher-params") + 1]
            assert taught == str(context.folder(next(j for j in jobs if j.teaches)))
        assert words[words.index("--recipe") + 1] == title.split()[0]
        assert words[words.index("--seed") + 1] == title.split()[-1]
    assert len(registry.load(context.results)) == len(jobs)
    assert registry.verify(context.results) == []
    assert list(context.claims.iterdir()) == []


def test_the_same_command_again_does_what_is_left_and_more_seeds_what_is_new(
    tmp_path, training
) -> None:
    context = context_in(tmp_path, poll_seconds=0.01)
    run_workers(plan(REDUCED)[:4], context, workers=1)
    run_workers(plan(REDUCED), context_in(tmp_path, poll_seconds=0.01), workers=1)
    more = plan(replace(REDUCED, seeds=3))
    run_workers(more, context_in(tmp_path, poll_seconds=0.01), workers=1)
    titles = [title for title, _ in training.ran]
    assert len(titles) == len(set(titles)) == len(more)


def test_a_run_that_diverged_stays_in_the_registry_and_is_not_run_again(tmp_path, training) -> None:
    training.codes["stitch-V-horizontal-reduced seed 1"] = 80
    context = context_in(tmp_path, poll_seconds=0.01)
    run_workers(plan(REDUCED), context, workers=2)
    assert context.failed == {}
    (lost,) = [r for r in registry.load(context.results) if r["status"] == "diverged"]
    assert (lost["recipe"], lost["seed"]["root"]) == ("stitch-V-horizontal-reduced", 1)
    run_workers(plan(REDUCED), context_in(tmp_path, poll_seconds=0.01), workers=1)
    assert len(training.ran) == len(plan(REDUCED))


def test_a_teacher_that_diverged_teaches_nobody_and_its_students_say_so(tmp_path, training) -> None:
    training.codes["stitch-teacher-reduced seed 0"] = 80
    rows = ("Interp. Mixup", "Interp. Mixup w/ Distill.")
    jobs = plan(replace(REDUCED, rows=rows, seeds=1))
    for _ in range(2):
        context = context_in(tmp_path, poll_seconds=0.01)
        run_workers(jobs, context, workers=1)
        student = next(job for job in jobs if job.teacher is not None)
        assert list(context.failed) == [student.key]
        assert (
            "stitch-teacher-reduced seed 0, is diverged (loss is nan)"
            in context.failed[student.key][0]
        )
    titles = [title for title, _ in training.ran]
    assert sorted(titles) == ["stitch-V-interp-reduced seed 0", "stitch-teacher-reduced seed 0"]


def test_parameters_of_a_teacher_are_kept_before_its_record_is_added(
    tmp_path, training, monkeypatch
) -> None:
    del training
    done = []
    add = registry.add
    monkeypatch.setattr(runner, "keep_teacher", lambda *_: done.append("kept") or True)
    monkeypatch.setattr(registry, "add", lambda *a, **k: done.append("added") or add(*a, **k))
    jobs = plan(replace(REDUCED, rows=("Interp. Mixup w/ Distill.",), seeds=1))
    run_workers(jobs, context_in(tmp_path, poll_seconds=0.01), workers=1)
    assert done == ["kept", "added", "added"]


def test_how_a_process_ended_is_told_from_this_try_alone(tmp_path) -> None:
    log = tmp_path / "log"
    log.write_text("error: the disk is full\nremedy: free some\n")
    before = runner.size_of(log)
    assert runner.last_error(log, before) == f"see '{log}'"
    with log.open("a") as stream:
        stream.write("error: another cause\nremedy: another\n")
    assert runner.last_error(log, before) == "another cause"
    assert runner.ending(-signal.SIGKILL) == "was ended by SIGKILL"
    assert runner.ending(74) == "ended with code 74"


def test_a_process_that_starts_as_the_signal_comes_gets_it_too(tmp_path) -> None:
    context = context_in(tmp_path)
    context.work.mkdir()
    context.stop.set()
    context.signal = signal.SIGTERM
    began = time.monotonic()
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert runner.run_process(plan(REDUCED)[0], words, context) != 0
    assert time.monotonic() - began < 30


def test_claims_lie_with_the_records_wherever_the_runs_are(tmp_path) -> None:
    one = Context(tmp_path / "results", tmp_path / "fast", Machine(1), print)
    other = Context(tmp_path / "results", tmp_path / "disk", Machine(1), print)
    assert one.claims == other.claims == tmp_path / "results" / "work" / "claims"


def test_a_run_that_fails_is_told_the_others_go_on_and_it_is_tried_again(
    tmp_path, training
) -> None:
    training.codes = {"stitch-V-interp-reduced seed 0": 74, "stitch-teacher-reduced seed 0": 74}
    context = context_in(tmp_path, poll_seconds=0.01)
    run_workers(plan(REDUCED), context, workers=2)
    assert len(context.failed) == 2
    done = {r["recipe"] for r in registry.load(context.results)}
    assert done == {
        "stitch-V-interp-reduced",
        "stitch-V-horizontal-reduced",
        "stitch-V-vertical-reduced",
    }
    assert any("its process ended with code 74" in line for line in context.lines)
    training.codes = {}
    run_workers(plan(REDUCED), context_in(tmp_path, poll_seconds=0.01), workers=2)
    assert len(registry.load(context.results)) == len(plan(REDUCED))


def test_what_another_machine_has_claimed_is_waited_for_and_not_run_twice(
    tmp_path, training
) -> None:
    jobs = plan(replace(REDUCED, rows=("Interp. Mixup",), seeds=1))
    context = context_in(tmp_path, poll_seconds=0.01)
    theirs = runner.Claim(context.claims, jobs[0].key)
    assert theirs.take()
    theirs.path.write_text(json.dumps({"holder": "x", "process": 1, "system": "another"}))
    worker = threading.Thread(target=run_workers, args=(jobs, context, 1))
    worker.start()
    time.sleep(0.2)
    assert training.ran == []
    told = [line for line in context.lines if "another process has claimed it" in line]
    assert told == [f"{jobs[0].title}: waiting, another process has claimed it"]
    # The other machine finishes: its record comes with the shared folder.
    training(jobs[0], [], context_in(tmp_path / "other"))
    registry.add(context_in(tmp_path / "other").folder(jobs[0]), context.results, writer="b")
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert len(training.ran) == 1


def test_of_two_records_of_one_run_the_first_counts_and_the_other_is_kept(
    tmp_path, training
) -> None:
    jobs = plan(replace(REDUCED, rows=("Interp. Mixup",), seeds=1))
    for writer in ("a", "b"):
        other = context_in(tmp_path / writer)
        training(jobs[0], [], other)
        registry.add(other.folder(jobs[0]), tmp_path / "results", writer=writer)
    assert len(registry.load(tmp_path / "results")) == 2
    assert all(jobs[0].is_done_by(record) for record in registry.load(tmp_path / "results"))


@pytest.mark.usefixtures("training")
def test_a_teacher_without_its_parameters_is_trained_again(tmp_path) -> None:
    jobs = plan(replace(REDUCED, rows=("Interp. Mixup w/ Distill.",), seeds=1))
    context = context_in(tmp_path, poll_seconds=0.01)
    run_workers(jobs, context, workers=1)
    teacher = next(job for job in jobs if job.teaches)
    (context.folder(teacher) / "record.json").unlink()
    assert runner.record_of(teacher, context) is None
    assert runner.record_of(jobs[-1], context) is not None


def test_a_damaged_registry_stops_everything_and_is_named(tmp_path, training) -> None:
    context = context_in(tmp_path, poll_seconds=0.01)
    (context.results / "runs").mkdir(parents=True)
    (context.results / "runs" / "b.jsonl").write_text("torn\nlines\n")
    with pytest.raises(IntegrityError, match=r"line 1 of runs/b.jsonl"):
        run_workers(plan(REDUCED), context, workers=2)
    assert training.ran == []


@pytest.fixture(scope="session")
def trials(tmp_path_factory):
    """A folder whose throughput has been measured, so that plans need no trial."""
    folder = tmp_path_factory.mktemp("trials")
    done = command(*SMOKE, "--out", folder, "--dry-run", "--json", main=script)
    assert done.code == 0, done.err
    assert done.document["runs"] == 7
    assert all(one["seconds"] > 0 for one in done.document["plan"])
    return folder / "throughput.json"


def start(folder, *words):
    """Start the script on a folder, in a process of its own, whose output is a pipe."""
    env = {k: v for k, v in environment().items() if k != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *SMOKE, "--threads", "1", "--out", str(folder), *words],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def read_until(process, words: str) -> None:
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"the process ended without '{words}'")


@pytest.mark.parametrize("number", [signal.SIGKILL])
def test_of_two_processes_on_one_folder_one_is_killed_and_the_other_ends_the_plan(
    tmp_path, trials, number
) -> None:
    rows = ("--row", "Interp. Mixup", "Horiz. Spatial Mixup", "--seeds", "2")
    (tmp_path / "throughput.json").write_bytes(trials.read_bytes())
    first, second = start(tmp_path, *rows), start(tmp_path, *rows)
    read_until(first, "started")
    os.kill(first.pid, number)
    first.wait()
    first.stdout.close()
    out, _ = second.communicate(timeout=240)
    assert second.returncode == 0, out
    records = [json.loads(p.read_text()) for p in tmp_path.glob("*/record.json")]
    assert len(records) == 4
    assert {r["status"] for r in records} == {"completed"}
    assert len({(r["recipe"], r["seed"]["root"]) for r in records}) == 4
    assert not list((tmp_path / "claims").glob("*.claim"))


def test_ctrl_c_stops_with_a_checkpoint_and_the_same_command_goes_on(tmp_path, trials) -> None:
    rows = ("--row", "Interp. Mixup", "--seeds", "3")
    (tmp_path / "throughput.json").write_bytes(trials.read_bytes())
    process = start(tmp_path, *rows)
    read_until(process, "seed 1: started")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "the same command goes on" in out
    assert not list((tmp_path / "claims").glob("*.claim"))
    done = command(*SMOKE, *rows, "--out", tmp_path, main=script)
    assert done.code == 0, done.err
    assert "label SMOKE" in done.out
    assert len(list(tmp_path.glob("*/record.json"))) == 3


def test_smoke_runs_stay_under_their_folder_and_say_what_they_are(
    tmp_path, trials, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "throughput.json").write_bytes(trials.read_bytes())
    words = (*SMOKE, "--row", "Vert. Spatial Mixup w/ Distill.", "--out", out)
    done = command(*words, "--json", main=script)
    assert done.code == 0, done.err
    assert done.document == {"runs": 2, "done": 2, "failed": {}}
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    text = (out / "tables" / "stitch-mixup-smoke.txt").read_text()
    assert text.startswith("SMOKE: handwritten digits, no result of any paper")
    student = next(
        json.loads(p.read_text())
        for p in out.glob("*/record.json")
        if json.loads(p.read_text())["model"]["teacher"]
    )
    assert (student["label"], student["scale"]) == ("SMOKE", "smoke")
    again = command(*words, main=script)
    assert "0 of 2 runs to do" in again.out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_workers_of_a_real_ray_cluster_divide_the_runs(tmp_path, trials) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    (tmp_path / "throughput.json").write_bytes(trials.read_bytes())
    rows = ("--row", "Interp. Mixup", "Interp. Mixup w/ Distill.", "--jobs", "2", "--ray")
    process = start(tmp_path, *rows)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    records = [json.loads(path.read_text()) for path in tmp_path.glob("*/record.json")]
    assert len(records) == 3
    assert {record["status"] for record in records} == {"completed"}
    workers = {line.split("pid=")[1].split(")")[0] for line in out.splitlines() if "pid=" in line}
    assert len(workers) == 2


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (("--paper", "stitch-mixup", "--table", "VI"), 2, "unknown table 'VI'"),
        (("--paper", "stich-mixup"), 2, "unknown paper 'stich-mixup'"),
        (("--paper", "stitch-mixup", "--seeds", "0"), 2, "--seeds is 0"),
        (("--paper", "stitch-mixup", "--jobs", "0"), 2, "--jobs is 0"),
        (("--paper", "stitch-mixup", "--engine", "jax"), 2, "unknown engine 'jax'"),
        (("--paper", "stitch-mixup", "--scale", "huge"), 2, "--scale"),
        (("--paper", "stitch-mixup", "--scale", "smoke", "--results", "x"), 2, "--results"),
        (("--paper", "imagenette", "--scale", "reduced"), 2, "no row of imagenette/text"),
        (("--paper", "stitch-mixup"), 2, "there is no registry in 'results' here"),
        (("--paper", "stitch-mixup", "--dry-run", "--ray"), 2, "--ray would have no effect"),
        ((), 2, "--paper"),
    ],
)  # fmt: skip
def test_bad_requests_are_one_line_of_cause_and_one_of_remedy(
    words, code, cause, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*words, main=script)
    assert done.code == code
    assert cause in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("remedy: ")
    assert len(done.err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_plan_of_more_than_a_day_wants_a_yes(tmp_path, monkeypatch) -> None:
    from gluontricks.reproduce import costs

    slow = {"images_per_s": 100.0, "params": 861_620}
    monkeypatch.setattr(costs, "measured", lambda *_: slow)
    words = ("--paper", "stitch-mixup", "--table", "III", "--results", tmp_path, "--labels", "fine")
    done = command(*words, main=script)
    assert done.code == 2
    assert "more than a day" in done.err
    assert "--yes" in done.err
    assert command(*words, "--dry-run", main=script).code == 0
    told = command(*words, "--dry-run", "--json", main=script).document
    baseline = next(one for one in told["plan"] if one["recipe"] == "stitch-III-baseline")
    # 120 epochs of 50,000 images at 100 a second, and evaluations of 10,000 at twice that.
    assert baseline["seconds"] == pytest.approx(120 * (50_000 / 100 + 10_000 / 200))
    assert told["seconds"] > 86_400
    # More runs at a time than there are cores end no sooner.
    many = command(*words, "--jobs", "1000", "--threads", "1", main=script)
    assert (many.code, "more than a day" in many.err) == (2, True)


@pytest.mark.usefixtures("training")
def test_a_plan_of_which_a_part_is_unknown_and_the_rest_takes_days_wants_a_yes_too(
    tmp_path, monkeypatch
) -> None:
    from gluontricks.reproduce import costs

    def measured(recipe, *_):
        if recipe.model != "resnet56_v1":
            raise costs.TrialError("no memory", "a larger machine")
        return {"images_per_s": 100.0, "params": 861_620}

    monkeypatch.setattr(costs, "measured", measured)
    words = ("--paper", "stitch-mixup", "--table", "V", "--results", tmp_path, "--labels", "fine")
    done = command(*words, "--seeds", "6", main=script)
    assert done.code == 2
    assert "the plan takes at least" in done.err
    assert "in all: at least" in done.out


def test_a_plan_says_which_of_its_runs_are_there_in_another_precision(
    tmp_path, monkeypatch, finished
) -> None:
    from gluontricks.reproduce import costs

    monkeypatch.setattr(costs, "measured", lambda *_: {"images_per_s": 1000.0, "params": 273_124})
    for seed in range(2):
        folder = finished("stitch-III-baseline-reduced", seed, dtype="bfloat16")
        registry.add(folder, tmp_path / "results", writer="a")
    words = ("--paper", "stitch-mixup", "--table", "I", "--scale", "reduced", "--labels", "fine")
    words = (*words, "--seeds", "3", "--results", tmp_path / "results", "--dry-run")
    told = command(*words, main=script).out
    assert "3 of 3 runs to do" in told
    assert "2 of them are there as mxnet, cpu, bfloat16: --engine mxnet --device cpu " in told
    assert "1 of 3 runs to do" in command(*words, "--dtype", "bfloat16", main=script).out


def test_smoke_runs_are_refused_in_a_folder_with_a_registry(tmp_path, finished) -> None:
    registry.add(finished("stitch-III-mixup"), tmp_path, writer="a")
    done = command(*SMOKE, "--out", tmp_path, main=script)
    assert done.code == 2
    assert "has a registry, and smoke runs are no results" in done.err


def test_without_its_data_a_plan_names_the_cause_instead_of_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("GLUONTRICKS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ("--paper", "bag-of-tricks", "--table", "2", "--results", tmp_path / "results")
    told = command(*words, "--dry-run", "--json", main=script)
    assert told.code == 0, told.err
    (resnet, *_) = told.document["plan"]
    assert resnet["seconds"] is None
    assert "8 V100" in resnet["source"]


@pytest.mark.usefixtures("training")
def test_the_registry_is_read_again_only_after_it_has_changed(tmp_path, monkeypatch) -> None:
    jobs, context = plan(REDUCED), context_in(tmp_path, poll_seconds=0.01)
    load, loads = registry.load, []
    monkeypatch.setattr(registry, "load", lambda folder: loads.append(1) or load(folder))
    run_workers(jobs, context, workers=1)
    assert len(loads) <= len(jobs) + 1


def test_small_teachers_are_kept_with_what_is_known_of_them_and_large_ones_are_not(
    tmp_path, trials, monkeypatch
) -> None:
    from gluontricks.reproduce import kept
    from gluontricks.teachers import read_weights

    (tmp_path / "throughput.json").write_bytes(trials.read_bytes())
    words = (*SMOKE, "--row", "Interp. Mixup w/ Distill.", "--out", tmp_path)
    assert command(*words, main=script).code == 0
    teacher = next(
        p.parent
        for p in tmp_path.glob("*/record.json")
        if not json.loads(p.read_text())["model"]["teacher"]
    )
    assert kept.keep_teacher(teacher, tmp_path / "results", "run")
    found = read_weights(kept.kept_teacher(tmp_path / "results", "run"))
    assert found.sha256 == read_weights(teacher).sha256
    assert found.model == "resnet20_v1"
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    assert not kept.keep_teacher(teacher, tmp_path / "results", "large")
    assert kept.kept_teacher(tmp_path / "results", "large") is None


def test_a_plan_of_which_no_run_can_begin_ends_before_the_first_with_its_cause_and_remedy(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("GLUONTRICKS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ("--paper", "stitch-mixup", "--table", "V", "--scale", "reduced", "--seeds", "3")
    done = command(*words, "--results", tmp_path / "results", main=script)
    assert done.code == 65
    assert "the train images of 'cifar100'" in done.err.splitlines()[0]
    assert "data fetch cifar100" in done.err.splitlines()[1]
    assert len(done.err.splitlines()) == 2
    assert "started" not in done.out
    assert done.out.count("cannot begin here:") == 2, "once for each label set"
    assert not list(tmp_path.glob("results/work/*-s0-*"))


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_planned(tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = command(*SMOKE, "--out", tmp_path / "file", main=script)
    assert done.code == 73
    assert "cannot be written" in done.err.splitlines()[0]
    assert "started" not in done.out


@pytest.mark.usefixtures("training")
def test_runs_that_can_begin_are_not_held_up_by_one_that_cannot(tmp_path, monkeypatch) -> None:
    from gluontricks.reproduce import costs

    def measured(recipe, *_):
        if recipe.model == "resnet56_v1":
            raise costs.TrialError("no memory", "a larger machine")
        return {"images_per_s": 1000.0, "params": 273_124}

    monkeypatch.setattr(costs, "measured", measured)
    words = ("--paper", "stitch-mixup", "--table", "V", "--scale", "reduced", "--labels", "fine")
    done = command(*words, "--results", tmp_path, main=script)
    assert done.code == 0, done.err
    assert "cannot begin here: no memory" in done.out
