"""Jobs of MXNet's parameter server: real schedulers, servers and workers on loopback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import two_workers
from running import TINY, Done, command, environment, final_state, latest
from small_run import BATCH, IMAGES, spec_of, teacher_of
from two_processes import begun, do_updates, found_in

from gluontricks import checkpoints, processes
from gluontricks.errors import UsageError
from gluontricks.learners.mxnet.group import padded, split
from gluontricks.learners.mxnet.learner import MXNetLearner
from gluontricks.learners.mxnet.team import make_learner

SCRIPT = Path(two_workers.__file__)
CLI = (sys.executable, "-c", "import sys; from gluontricks.cli import main; sys.exit(main())")
DIST = ("--kvstore", "dist_sync", "--mixup-type", "stitch-vertical")
WORKER = (sys.executable, SCRIPT)
GOES_ON = "remedy: start the same command again: it goes on from its last checkpoint\n"
# Seconds that a job may take to end once one of its processes has died.
PATIENCE = 30


def start(*words, options=("-n", "2")):
    """Start a job of two workers, or of ``options``."""
    return subprocess.Popen(
        [*CLI, "launch", *options, "--", *map(str, words)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def family(pid):
    """A job's launcher and all that it started."""
    launcher = psutil.Process(pid)
    return [*launcher.children(recursive=True), launcher]


def end(job, seconds=240):
    """Wait for a job; none of its processes outlives it, or a test that takes too long."""
    try:
        out, err = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for process in family(job.pid):
            process.kill()
        raise
    return Done(job.returncode, out, err)


def run(*words, **options):
    """Run a job to its end; it must succeed."""
    done = end(start(*words, **options))
    assert done.code == 0, done.err
    return done


def kind_of(process):
    """What a process of a job is, as its environment says."""
    return process.environ().get("DMLC_ROLE", "launcher")


def arrays_of(folder, count):
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(count)]


def alone(shards, **changes):
    """What one process has after the updates that the script does, the shards in turn."""
    spec = spec_of(teacher=teacher_of(), shards=shards, **changes)
    learner = begun(spec, MXNetLearner(spec))
    losses = do_updates(learner)
    return found_in(learner, losses=losses, logits=learner.predict(IMAGES))


def assert_workers_equal_shards(folder, count, options, exact, **changes):
    run(*WORKER, "steps", folder, json.dumps(changes), options=("-n", str(count), *options))
    leader, *others = arrays_of(folder, count)
    expected = alone(**{"shards": count, **changes})
    assert leader.keys() == expected.keys()
    for key, value in expected.items():
        if exact:
            np.testing.assert_array_equal(leader[key], value, err_msg=key)
        else:
            np.testing.assert_allclose(leader[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    for other in others:
        for key, value in other.items():
            np.testing.assert_array_equal(leader[key], value, err_msg=key)


def test_two_workers_equal_one_process_with_two_shards_bit_for_bit(tmp_path):
    """With a teacher, partners from the other half, and a state that is loaded on the way.

    The second worker starts from other weights: the leader's are everyone's.
    """
    assert_workers_equal_shards(tmp_path, 2, (), exact=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "options", "exact", "changes"),
    [
        *[(2, ("-s", "1"), True, {"optimizer": "nag"})] * 5,
        (2, ("-s", "2"), True, {"optimizer": "adam"}),
        (2, (), True, {"ema": 0.9}),
        (2, (), False, {"shards": 4}),
        (4, ("-s", "2"), False, {}),
    ],
)
def test_so_do_others_every_time(tmp_path, count, options, exact, changes):
    assert_workers_equal_shards(tmp_path, count, options, exact, **changes)


@pytest.mark.slow
def test_sums_of_which_none_is_waited_for_are_never_those_of_another_round(tmp_path, monkeypatch):
    """Also of arrays that MXNet divides among its servers."""
    monkeypatch.setenv("MXNET_KVSTORE_BIGARRAY_BOUND", "10000")
    run(*WORKER, "exchange", tmp_path, options=("-n", "2", "-s", "2"))
    values = [[np.float32(rank + 1 + i) for i in range(len(two_workers.SHAPES))] for rank in (0, 1)]
    for _ in range(two_workers.ROUNDS):
        sums = [sum(pair) for pair in zip(*values)]
        values = [[two_workers.mixed(v, s) for v, s in zip(own, sums)] for own in values]
    for found, expected in zip(arrays_of(tmp_path, 2), values):
        for i, shape in enumerate(two_workers.SHAPES):
            np.testing.assert_array_equal(found[f"arr_{i}"], np.full(shape, expected[i]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of two workers, and what it said."""
    folder = tmp_path_factory.mktemp("job") / "whole"
    return folder, run(*CLI, *TINY, *DIST, "--out", folder)


def test_a_job_trains_its_leader_speaks_and_its_run_is_that_of_two_shards(tmp_path, whole):
    folder, done = whole
    assert done.err == ""
    assert done.out.count("Namespace(") == done.out.count("finished: top-1") == 1
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert (record["engine"], record["status"]) == ("mxnet", "completed")
    assert (record["bitwise"], record["checks"]["shard_size"]) == (True, 32)
    (begin,) = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert begin["setting"]["processes"] == 2
    one = command(*TINY, *DIST[2:], "--shards", "2", "--out", tmp_path / "one")
    assert one.code == 0, one.err
    assert final_state(tmp_path / "one") == final_state(folder)


def ended(out, how, rank, step=6):
    """How a job ended, one of whose workers ended in an update, and the seconds it took."""
    plan = {"how": how, "rank": rank, "step": step}
    began = time.monotonic()
    done = end(start(*WORKER, "train", json.dumps(plan), *TINY, *DIST, "--out", out), 60)
    assert checkpoints.step_of(latest(out)) == step
    return done, time.monotonic() - began


def assert_goes_on(out, whole):
    run(*WORKER, "train", "{}", *TINY, *DIST, "--out", out)
    assert final_state(out) == final_state(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_ends_the_job_which_goes_on_as_if_nothing_had_been(tmp_path, whole, rank):
    done, seconds = ended(tmp_path / "run", "killed", rank)
    assert done.code == 128 + signal.SIGKILL
    pattern = r"error: worker [01] of the job \(process \d+\) was killed by SIGKILL\n"
    assert re.fullmatch(pattern + GOES_ON, done.err)
    assert seconds < PATIENCE
    assert_goes_on(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_fails_tells_why_and_ends_the_job(tmp_path, whole, rank):
    done, seconds = ended(tmp_path / "run", "failed", rank)
    assert done.code == 70
    assert done.err == "error: the memory is used up\nremedy: give a smaller --batch-size\n"
    assert seconds < PATIENCE
    assert_goes_on(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_stopped_job_goes_on_bit_for_bit(tmp_path, whole):
    words = (*CLI, *TINY, *DIST, "--out", tmp_path / "run")
    assert run(*words, "--max-steps", "3").out.count("stopped after update 3") == 1
    assert run(*words).out.count("resumed after step 3") == 1
    assert final_state(tmp_path / "run") == final_state(whole[0])
    assert run(*words).out.count("finished already") == 1


def begun_job(out):
    """Start a long job; return it after its first epoch, and its processes."""
    job = start(*CLI, *TINY, *DIST, "--num-epochs", "4000", "--out", out)
    for line in job.stdout:
        if line.startswith("[Epoch 0] validation"):
            break
    return job, family(job.pid)


def assert_gone(processes, seconds=PATIENCE):
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        process.kill()
    assert alive == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scheduler", "server"])
def test_a_killed_scheduler_or_server_ends_the_job(tmp_path, kind):
    job, members = begun_job(tmp_path / "run")
    next(process for process in members if kind_of(process) == kind).kill()
    assert_gone(members[:-1])
    done = end(job, PATIENCE)
    assert done.code == 128 + signal.SIGKILL
    assert re.match(rf"error: (the )?{kind}( 0)? of the job .* was killed by SIGKILL", done.err)


@pytest.mark.slow
def test_nothing_outlives_a_killed_launcher(tmp_path):
    job, members = begun_job(tmp_path / "run")
    kinds = sorted(map(kind_of, members))
    assert kinds == ["launcher", "scheduler", "server", "worker", "worker"]
    job.kill()
    assert_gone(members[:-1])
    end(job, PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launcher_saves_and_stops(tmp_path, number):
    job, members = begun_job(tmp_path / "run")
    job.send_signal(number)
    done = end(job, PATIENCE)
    assert_gone(members)
    assert (done.code, done.err) == (128 + number, "")
    assert "the same command goes on" in done.out
    assert '"status": "stopped"' in (tmp_path / "run" / "record.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_one_worker_refuses_is_told_once_and_ends_all(tmp_path):
    done = end(start(*CLI, *TINY, *DIST, "--batch-size", "63", "--out", tmp_path / "run"))
    assert done.code == 2
    assert done.err == (
        "error: --batch-size 63 cannot be shared by 2 workers\n"
        "remedy: give a multiple of their number\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_command_to_the_server_is_refused_and_never_unpickled():
    """MXNet's own server unpickles what a Trainer sends, from whoever reaches its port."""
    sender = (
        "from gluontricks.mxnet_shim import mx; kv = mx.kv.create('dist_sync'); "
        "kv.set_optimizer(mx.optimizer.create('sgd'))"
    )
    done = end(start(sys.executable, "-c", sender, options=("-n", "1")), 60)
    assert done.code == 2
    assert "error: a worker has sent the server the command 0 of" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ssh", "slurm"])
def test_the_printed_script_runs_a_job(tmp_path, whole, form):
    """With an ssh and an srun that stay on this machine."""
    tools = {
        "ssh": '#!/bin/bash\n[ "$1 $2" = "-tt localhost" ] && exec bash -c "$3"\n',
        "srun": '#!/bin/bash\n[ "$1" = --kill-on-bad-exit=1 ] && shift; "$@" & "$@"; wait\n',
        "hostname": "#!/bin/bash\necho localhost\n",
        "python": f'#!/bin/bash\nexec {sys.executable} "$@"\n',
    }
    for name, text in tools.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    hosts = ("--hosts", "localhost") if form == "ssh" else ()
    port = ("--port", str(free_port()))
    out = tmp_path / "a run"
    words = ("launch", "-n", 2, *port, "--print", form, *hosts, "--", *CLI, *TINY, *DIST)
    script = command(*words, "--out", out).out
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", script], env={**environment(), "PATH": path}, check=True, timeout=120,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert final_state(out) == final_state(whole[0])


def free_port():
    from gluontricks.job import free_port

    return free_port()


def printed(*words):
    done = command("launch", *words)
    assert done.code == 0, done.err
    return done.out


def test_the_script_for_ssh_has_environment_and_command_of_every_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    common = "DMLC_PS_ROOT_URI=one DMLC_PS_ROOT_PORT=9091 DMLC_NUM_SERVER=1 DMLC_NUM_WORKER=2"
    words = "gluontricks train --kvstore dist_sync"

    def line(host, role, text):
        inner = f"cd {tmp_path} && exec env DMLC_ROLE={role} {common} {text}"
        return f"ssh -tt {host} '{inner}' </dev/null &"

    text = printed("-n", 2, "--print", "ssh", "--hosts", "one,two", "--", *words.split())
    assert text.splitlines() == [
        "#!/bin/bash",
        "# 4 processes; when one of them dies all others are ended.",
        "trap 'kill $(jobs -p) 2>/dev/null' EXIT",
        line("one", "scheduler", "python -m gluontricks.server"),
        line("one", "server", "python -m gluontricks.server"),
        line("one", "worker", words),
        line("two", "worker", words),
        "for _ in $(seq 4); do wait -n || exit; done",
    ]


def test_the_script_for_slurm_makes_the_workers_its_tasks():
    text = printed("-n", 8, "-s", 2, "--print", "slurm", "--", "gluontricks", "train")
    common = "DMLC_PS_ROOT_PORT=9091 DMLC_NUM_SERVER=2 DMLC_NUM_WORKER=8"
    serve = f"{common} python -m gluontricks.server &"
    assert text.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --ntasks=8",
        "export DMLC_PS_ROOT_URI=$(hostname)",
        "# 4 processes; when one of them dies all others are ended.",
        "trap 'kill $(jobs -p) 2>/dev/null' EXIT",
        f"env DMLC_ROLE=scheduler {serve}",
        f"env DMLC_ROLE=server {serve}",
        f"env DMLC_ROLE=server {serve}",
        f"srun --kill-on-bad-exit=1 env DMLC_ROLE=worker {common} gluontricks train &",
        "for _ in $(seq 4); do wait -n || exit; done",
    ]


@pytest.mark.parametrize(
    ("words", "cause", "remedy"),
    [
        (("-n", "0", "--", "x"), "-n is 0", "at least 1"),
        (("-n", "2", "-s", "0", "--", "x"), "-s is 0", "at least 1"),
        (("-n", "2"), "there is no command to start", "after --"),
        (("-n", "2", "--", "no such"), "'no such' cannot be started", "after --"),
        (("-n", "2", "--hosts", "one", "--", "x"), "--print ssh and --hosts", "both"),
        (("-n", "2", "--print", "ssh", "--", "x"), "--print ssh and --hosts", "both"),
    ],
)
def test_a_job_that_cannot_be_is_one_line_of_cause_and_remedy(words, cause, remedy):
    assert_refused(command("launch", *words), cause, remedy)


def assert_refused(done, cause, remedy):
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith(f"error: {cause}")
    assert remedy in second


@pytest.mark.parametrize(
    ("kvstore", "variables", "more", "cause", "remedy"),
    [
        ("dist_sync", {}, (), "--kvstore dist_sync, and DMLC_ROLE does", "gluontricks launch"),
        ("dist_async", {}, (), "--kvstore dist_async is not here", "--kvstore dist_sync"),
        ("dist_device_sync", {}, (), "--kvstore dist_device_sync is not", "--kvstore dist_sync"),
        ("horovod", {}, (), "unknown kvstore 'horovod'", "dist_sync"),
        ("device", {"DMLC_ROLE": "worker"}, (), "DMLC_ROLE is 'worker', so", "unset DMLC_ROLE"),
        (None, {"DMLC_ROLE": "server"}, (), "DMLC_ROLE is 'server', so", "unset DMLC_ROLE"),
        ("dist_sync", {"DMLC_ROLE": "worker"}, (), "DMLC_ROLE is 'worker', and", "launch"),
        (
            "dist_sync", {"DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "2"}, (),
            "the job's scheduler is said to be at ':'", "launch",
        ),
        (
            "dist_sync", {"DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "2"}, ("--engine", "torch"),
            "--kvstore dist_sync would have no effect on PyTorch", "torchrun",
        ),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_is_one_line_of_cause_and_remedy(
    tmp_path, monkeypatch, kvstore, variables, more, cause, remedy
):
    if more:
        pytest.importorskip("torch")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    words = () if kvstore is None else ("--kvstore", kvstore)
    done = command(*TINY, *words, *more, "--out", tmp_path / "run")
    assert_refused(done, cause, remedy)
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_that_does_not_answer_is_told_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("gluontricks.learners.mxnet.group.PATIENCE", 0.0)
    for name, value in {
        "DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "2",
        "DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": str(free_port()),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    done = command(*TINY, "--kvstore", "dist_sync", "--out", tmp_path / "run")
    assert_refused(done, "the job's scheduler at 127.0.0.1:", "gluontricks launch")


def test_a_store_on_one_machine_is_how_gluoncv_names_what_happens_anyway():
    for kvstore in (None, "device", "local"):
        assert processes.checked_kvstore(kvstore) is None


@pytest.mark.parametrize(
    ("count", "changes", "cause", "remedy"),
    [
        (3, {"shards": 3}, f"--batch-size {BATCH} cannot be shared by 3 workers", "multiple"),
        (2, {"shards": 2, "dtype": "float16"}, "a constant loss scale only", "--loss-scale"),
    ],
)
def test_what_workers_cannot_share_is_refused(monkeypatch, count, changes, cause, remedy):
    monkeypatch.setenv("DMLC_ROLE", "worker")
    monkeypatch.setenv("DMLC_NUM_WORKER", str(count))
    with pytest.raises(UsageError, match=cause) as caught:
        make_learner(spec_of(**changes))
    assert remedy in caught.value.remedy


def test_the_server_says_what_it_needs():
    for variables, cause in (
        ({}, "DMLC_ROLE is 'None'"),
        ({"DMLC_ROLE": "worker"}, "DMLC_ROLE is 'worker'"),
        ({"DMLC_ROLE": "server"}, "DMLC_PS_ROOT_URI is not set"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "gluontricks.server"], env={**environment(), **variables},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert_refused(Done(done.returncode, done.stdout, done.stderr), cause, "gluontricks launch")


def test_a_state_travels_in_pieces_and_comes_back_in_its_shapes():
    like = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((), np.float32), "c": np.zeros(4)}
    flat = np.arange(11, dtype=np.float32)
    parts = split(flat, like)
    assert [part.shape for part in parts.values()] == [(2, 3), (), (4,)]
    np.testing.assert_array_equal(np.concatenate([p.ravel() for p in parts.values()]), flat)
    np.testing.assert_array_equal(padded(flat[:2], 4), [0, 1, 0, 0])
