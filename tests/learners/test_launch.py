"""``--num-gpus``: a process for each GPU on PyTorch, several devices on MXNet."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import two_processes
from running import TINY, Done, command, environment, final_state, latest

from gluontricks import builders, checkpoints, launch, machine, processes
from gluontricks.errors import UsageError
from gluontricks.learners import ENGINES, engine_module
from gluontricks.learners.mxnet import graphs
from gluontricks.machine import Gpu
from gluontricks.mxnet_shim import mx
from gluontricks.options import RunOptions
from gluontricks.processes import TOLD, Processes, is_first_to_tell
from gluontricks.recipes import DEFAULT
from gluontricks.training import train

SCRIPT = Path(two_processes.__file__)
TRAIN = SCRIPT.parents[2] / "scripts" / "train_cifar.py"
STARTED = (
    "import sys; from gluontricks.learners.torch import launch; sys.exit(launch({}, sys.argv[1:]))"
)
H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 81559)
V100 = Gpu("Tesla V100-SXM2-16GB", (7, 0), 16160)


def need(engine):
    if engine == "torch":
        pytest.importorskip("torch")


@pytest.fixture
def two_gpus(monkeypatch):
    """Have both engines believe in two GPUs."""
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    monkeypatch.setattr(machine, "gpus", lambda: [V100, V100])
    if "torch" in ENGINES:
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_more_gpus_than_there_are_is_two_lines_and_nothing_is_started(tmp_path, engine):
    need(engine)
    if engine_module(engine).gpu_count() > 1:
        pytest.skip("here are two GPUs")
    done = command(*TINY, "--engine", engine, "--num-gpus", "2", "--out", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    cause, remedy = done.err.splitlines()
    name = {"mxnet": "MXNet", "torch": "PyTorch"}[engine]
    assert cause.startswith(f"error: {name} finds ")
    assert "GPUs here, and --num-gpus is 2" in cause
    assert remedy == "remedy: 'gluontricks doctor' tells why; use --num-gpus 0"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "cause", "remedy"),
    [
        ({"num_gpus": -1}, "--num-gpus is -1", "0 or more"),
        ({"num_gpus": 3}, "MXNet finds 2 GPUs here, and --num-gpus is 3", "doctor"),
        ({"num_gpus": 2, "device": "cuda:1"}, "--num-gpus 2 and --device cuda:1 are both", "one"),
        ({"num_gpus": 3, "engine": "torch"}, "PyTorch finds 2 GPUs here, and --num-gpus is 3",
         "doctor"),
        ({"num_gpus": 1, "engine": "tensor"}, "unknown engine 'tensor'", "mxnet"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("two_gpus")
def test_what_cannot_be_meant_is_refused_before_anything_is_started(options, cause, remedy):
    for start in (lambda o: launch.launched(o, ["train.py"]), launch.placed):
        with pytest.raises(UsageError, match=cause) as caught:
            start(RunOptions(**options))
        assert remedy in caught.value.remedy


@pytest.mark.parametrize("how", ["--device cuda", "--num-gpus 1"])
def test_a_gpu_that_this_mxnet_has_no_code_for_is_named(tmp_path, monkeypatch, two_gpus, how):
    del two_gpus
    monkeypatch.setattr(machine, "gpus", lambda: [H100, H100])
    done = command(*TINY, *how.split(), "--out", tmp_path / "run")
    cause, remedy = done.err.splitlines()
    assert done.code == 2
    assert "no code for NVIDIA H100 80GB HBM3 (compute capability 9.0), only for 5.0" in cause
    assert remedy == "remedy: use --engine torch"


def test_mxnet_takes_a_gpu_that_it_has_code_for(two_gpus):
    del two_gpus
    assert graphs.context_of("cuda:1") == mx.gpu(1)


@pytest.mark.usefixtures("two_gpus")
def test_on_mxnet_several_gpus_are_devices_of_one_process():
    options = RunOptions(num_gpus=2)
    assert launch.launched(options, ["train.py"]) is None
    assert launch.placed(options).device == "cuda:0,cuda:1"
    assert launch.placed(replace(options, num_gpus=1)).device == "cuda:0"
    assert launch.placed(RunOptions()) == RunOptions()


@pytest.mark.usefixtures("two_gpus")
def test_on_pytorch_each_gpu_has_a_process_of_the_same_command(monkeypatch):
    started = []
    module = engine_module("torch")
    monkeypatch.setattr(module, "launch", lambda *given: started.append(given) or 3)
    words = ["scripts/train_cifar.py", "--num-gpus", "2"]
    options = RunOptions(engine="torch", num_gpus=2)
    assert launch.launched(options, words) == 3
    assert started == [(2, words)]
    assert launch.launched(replace(options, num_gpus=1), words) is None
    assert launch.placed(replace(options, num_gpus=1)).device == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launch.launched(options, words) is None
    assert launch.placed(options).device == "cuda"
    assert len(started) == 1


@pytest.mark.usefixtures("two_gpus")
def test_gpus_without_a_process_each_are_refused():
    with pytest.raises(UsageError, match="this machine has 1 of the processes") as caught:
        train(DEFAULT, RunOptions(engine="torch", num_gpus=2))
    assert "without torchrun" in caught.value.remedy


def test_torchrun_is_told_to_stay_on_this_machine():
    pytest.importorskip("torch")
    from torch.distributed.run import parse_args

    from gluontricks.learners.torch.launcher import arguments

    told = parse_args(arguments(4, ["a.py", "--standalone", "--num-gpus", "4"]))
    assert (told.standalone, told.nproc_per_node) == (True, "4")
    assert told.training_script == "a.py"
    assert told.training_script_args == ["--standalone", "--num-gpus", "4"]


@pytest.mark.parametrize(("ended", "code"), [(2, 2), (76, 76), (-9, 137), (-15, 143)])
def test_the_exit_code_is_that_of_the_process_that_ended_first(monkeypatch, ended, code):
    pytest.importorskip("torch")
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    from gluontricks.learners.torch.launcher import launch as start

    def fail(_):
        failure = ProcessFailure(local_rank=1, pid=1, exitcode=ended, error_file="none")
        raise ChildFailedError("train.py", {1: failure})

    monkeypatch.setattr(torchrun, "run", fail)
    assert start(2, ["train.py"]) == code


def test_processes_that_were_started_together_tell_an_end_once(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.1)
    gone, cause = "another has ended", "the disk is full"
    assert [is_first_to_tell(cause, follows=False) for _ in range(2)] == [True, True]
    monkeypatch.setenv(TOLD, str(tmp_path / "one"))
    told = [is_first_to_tell(gone, follows=True) for _ in range(3)]
    assert told == [True, False, False]
    # A cause is never lost, even if those that follow were faster.
    assert is_first_to_tell(cause, follows=False)
    monkeypatch.setenv(TOLD, str(tmp_path / "two"))
    told = [is_first_to_tell(cause, follows=False) for _ in range(3)]
    assert told == [True, False, False]
    assert not is_first_to_tell(gone, follows=True)
    monkeypatch.setenv(TOLD, str(tmp_path / "nowhere" / "three"))
    assert is_first_to_tell(gone, follows=True)


@pytest.mark.parametrize(
    ("shards", "devices", "expected"),
    [(1, 1, 1), (4, 1, 4), (4, 2, 4), (4, 4, 4), (1, 2, 2), (1, 8, 8)],
)
def test_a_batch_has_the_recipes_shards_or_one_for_each_device(shards, devices, expected):
    assert builders.shard_count(replace(DEFAULT, shards=shards), devices) == expected


@pytest.mark.parametrize(("shards", "devices"), [(2, 4), (3, 2), (4, 3)])
def test_shards_that_devices_cannot_share_are_refused(shards, devices):
    recipe = replace(DEFAULT, shards=shards)
    with pytest.raises(UsageError, match=f"--shards {shards} .* over {devices} devices") as caught:
        builders.shard_count(recipe, devices)
    assert "multiple" in caught.value.remedy


def test_devices_are_those_that_are_named_or_the_processes(monkeypatch):
    several = RunOptions(device="cpu:0,cpu:1")
    assert (builders.device_count(RunOptions()), builders.device_count(several)) == (1, 2)
    monkeypatch.setattr(builders, "processes", lambda: Processes(1, 4))
    assert builders.device_count(RunOptions(engine="torch", device="cuda")) == 4


def test_a_run_on_two_devices_has_the_bits_of_one_with_two_shards(tmp_path):
    first = command(*TINY, "--shards", "2", "--ema", "0.9", "--out", tmp_path / "one")
    other = command(*TINY, "--shards", "2", "--ema", "0.9", "--device", "cpu:0,cpu:1",
                    "--out", tmp_path / "two")  # fmt: skip
    assert (first.code, other.code) == (0, 0), first.err + other.err
    assert final_state(tmp_path / "one") == final_state(tmp_path / "two")
    for name in ("one", "two"):
        record = json.loads((tmp_path / name / "record.json").read_text(encoding="utf-8"))
        assert (record["checks"]["shard_size"], record["device"]) == (32, "cpu")


def start(count, *words):
    """Start the launcher in a process of its own."""
    pytest.importorskip("torch")
    return subprocess.Popen(
        [sys.executable, "-c", STARTED.format(count), *map(str, words)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(job):
    out, err = job.communicate(timeout=240)
    return Done(job.returncode, out, err)


@pytest.mark.slow
def test_the_launcher_trains_in_two_processes_of_which_one_speaks(tmp_path):
    done = end(start(2, TRAIN, *TINY[1:], "--engine", "torch", "--out", tmp_path / "run"))
    assert (done.code, done.err) == (0, "")
    assert done.out.count("Namespace(") == done.out.count("finished: top-1") == 1
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert (record["status"], record["checks"]["shard_size"]) == ("completed", 32)


@pytest.mark.slow
def test_an_error_of_all_is_told_once_with_its_exit_code_and_nothing_else(tmp_path):
    words = (TRAIN, *TINY[1:], "--engine", "torch", "--batch-size", "63", "--out", tmp_path / "run")
    done = end(start(2, *words))
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: --batch-size 63 cannot be shared by 2 processes\n"
        "remedy: give a multiple of their number\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("killed", 137, "error: another process of this run has ended; see its own message\n"),
        ("failed", 70, "error: the memory is used up\n"),
    ],
)
def test_the_end_of_one_process_is_told_once_by_three(tmp_path, how, code, said):
    plan = json.dumps({"how": how, "rank": 1, "step": 3})
    words = ("--engine", "torch", "--batch-size", "63", "--out", tmp_path / "run")
    done = end(start(3, SCRIPT, "train", plan, *TINY, *words))
    assert done.code == code, done.err
    assert done.err.startswith(said)
    assert done.err.count("\n") == 2
    assert checkpoints.step_of(latest(tmp_path / "run")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_no_process_behind(tmp_path, number):
    words = ("--engine", "torch", "--num-epochs", "400", "--out", tmp_path / "run")
    job = start(2, TRAIN, *TINY[1:], *words)
    for line in job.stdout:
        if line.startswith("Epoch[0]"):
            break
    family = psutil.Process(job.pid).children(recursive=True)
    assert len(family) >= 2
    job.send_signal(number)
    done = end(job)
    assert done.code == 128 + number
    assert "the same command goes on" in done.out
    assert done.err == ""
    assert not any(one.is_running() and one.status() != "zombie" for one in family)
    assert '"status": "stopped"' in (tmp_path / "run" / "record.json").read_text(encoding="utf-8")
