"""A run that was stopped and went on ends in the very state of one that was not."""

import shutil
import time

import numpy as np
import pytest
from running import TINY, command, final_state, latest, need, tiny

from gluontricks import checkpoints, engine
from gluontricks.checkpoints import read
from gluontricks.rundir import read_metrics

QUICK, OTHERS = ("nag", "adam"), ("sgd", "nadam", "adadelta", "rmsprop")
OPTIMIZERS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
ENGINES = ("mxnet", "torch")
STITCH = ("--mixup-type", "stitch-vertical", "--label-smoothing", "0.1")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_stopped_mid_epoch_ends_bit_identical(tmp_path, engine, optimizer):
    need(engine)
    words = ("--engine", engine, "--optimizer", optimizer, "--quiet", *STITCH)
    tiny(tmp_path / "whole", *words)
    tiny(tmp_path / "stopped", *words, "--max-steps", "3")
    assert latest(tmp_path / "stopped").name.startswith("ckpt-00000003-")
    tiny(tmp_path / "stopped", *words)
    assert final_state(tmp_path / "stopped") == final_state(tmp_path / "whole")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    tiny(run)
    return run


@pytest.mark.parametrize("stops", [(5,), (1, 4), (9,), (10,)])
def test_wherever_it_stops_a_run_ends_the_same(tmp_path, whole, stops):
    """After an epoch, after each of several updates, before the last, and after the last."""
    for stop in stops:
        tiny(tmp_path / "run", "--max-steps", stop)
    done = tiny(tmp_path / "run")
    already = " already" if stops == (10,) else ""
    assert f"finished{already}: top-1" in done.out
    assert final_state(tmp_path / "run") == final_state(whole)


def test_a_finished_run_says_so_at_once_and_changes_nothing(whole):
    before = {p.name: p.read_bytes() for p in whole.iterdir() if p.is_file()}
    started = time.monotonic()
    done = tiny(whole)
    assert time.monotonic() - started < 3
    assert "finished already: top-1" in done.out
    after = {p.name: p.read_bytes() for p in whole.iterdir() if p.is_file()}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {".holder"}


def test_a_finished_run_whose_metrics_are_gone_is_told(whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "metrics.jsonl").unlink()
    done = command(*TINY, "--out", run)
    assert done.code == 81
    assert "record of a finished run and no metrics" in done.err
    assert "--no-resume" in done.err


def test_checkpoints_after_every_update_change_no_result(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(engine, "SAVE_SECONDS", -1.0)
    tiny(tmp_path / "run")
    assert final_state(tmp_path / "run") == final_state(whole)
    assert [checkpoints.step_of(p) for p in checkpoints.listing(tmp_path / "run")] == [9, 10]


def test_a_run_that_died_after_the_last_update_of_an_epoch_still_evaluates_it(
    tmp_path, whole, monkeypatch
):
    monkeypatch.setattr(engine, "SAVE_SECONDS", -1.0)

    def die(*_):
        raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(engine, "finish_epoch", die)
            tiny(tmp_path / "run", code=130)
        monkeypatch.setattr(engine, "SAVE_SECONDS", 300.0)
    tiny(tmp_path / "run")
    assert final_state(tmp_path / "run") == final_state(whole)


def test_a_run_that_died_before_its_record_gets_it(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "record.json").unlink()
    tiny(run)
    assert final_state(run) == final_state(whole)
    assert '"status": "completed"' in (run / "record.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ENGINES)
def test_with_a_teacher_a_cached_run_equals_itself_stopped_and_an_uncached_one_nearly(
    tmp_path, teacher_run, engine
):
    need(engine)
    words = (
        "--engine",
        engine,
        "--teacher",
        "resnet14_v1",
        "--teacher-params",
        teacher_run,
        "--quiet",
        *STITCH,
    )
    tiny(tmp_path / "uncached" / "run", *words)
    cached = (*words, "--teacher-cache")
    tiny(tmp_path / "cached" / "run", *cached)
    tiny(tmp_path / "stopped" / "run", *cached, "--max-steps", "3")
    tiny(tmp_path / "stopped" / "run", *cached)
    tiny(tmp_path / "cached" / "again", *cached)
    expected = final_state(tmp_path / "cached" / "run")
    assert final_state(tmp_path / "stopped" / "run") == expected
    assert final_state(tmp_path / "cached" / "again") == expected
    losses = [
        [e["loss"] for e in read_metrics(tmp_path / name / "run") if e["event"] == "interval"]
        for name in ("uncached", "cached")
    ]
    # float16 has 11 bits; the loss is a mean of hundreds of such roundings.
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=2e-3)
    one, other = (read(latest(tmp_path / name / "run")).arrays for name in ("uncached", "cached"))
    assert any(not np.array_equal(one[key], other[key]) for key in one)
    gap = max(np.abs(one[k] - other[k]).max() for k in one if k.endswith("weight"))
    assert gap < 0.02 * max(np.abs(one[k]).max() for k in one if k.endswith("weight"))


def test_equal_seeds_give_equal_checkpoints_and_other_seeds_others(tmp_path, whole):
    tiny(tmp_path / "same")
    tiny(tmp_path / "other", "--seed", "1")
    assert latest(tmp_path / "same").name == latest(whole).name
    assert latest(tmp_path / "other").name != latest(whole).name


def test_the_directory_is_named_after_data_network_recipe_and_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "--dataset", "digits", "--model", "resnet8_v1", "--warmup-epochs", "0",
             "--num-epochs", "1", "--max-steps", "1", "--quiet", "--json")  # fmt: skip
    folders = [command(*words, *more).document["run"] for more in ((), ("--seed", "3"))]
    assert folders[0].startswith("runs/digits-resnet8_v1-")
    assert folders[0].endswith("-s0")
    assert folders[1] == folders[0][:-1] + "3"
