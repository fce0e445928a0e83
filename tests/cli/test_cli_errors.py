"""Errors of the command line: one line of cause, one of remedy, an exit code, no traceback."""

import pytest
from running import command

from gluontricks import cli, machine
from gluontricks.cli import COMMANDS
from gluontricks.cli import recipes as recipes_command

SMALL = ("train", "--dataset", "digits", "--model", "resnet8_v1")


def assert_told(done, code, *said):
    assert done.code == code, done
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[-2].startswith("error: ")
    assert lines[-1].startswith("remedy: ")
    assert "Traceback" not in done.err
    for part in said:
        assert part in done.err, done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian",), "did you mean 'train'"),
        (("evalute", "x"), "did you mean 'evaluate'"),
        (("train", "--mixup-typ", "none"), "did you mean '--mixup-type'"),
        (("train", "--labelsmoothing"), "did you mean '--label-smoothing'"),
        (("train", "--xyzzy"), "--help' tells them"),
        (("train", "--optimizer", "nadem"), "did you mean 'nadam'"),
        (("train", "--lr-mode", "cosin"), "did you mean 'cosine'"),
        (("train", "--recipe", "stitch-III-baselin"), "did you mean 'stitch-III-baseline"),
        (("train", "--model", "resnet65_v1"), "did you mean 'resnet56_v1'"),
        (("train", "--teacher", "resnext29_16x64"), "did you mean 'resnext29_16x64d'"),
        (("train", "--dataset", "cifar1000"), "did you mean 'cifar100'"),
        (("train", "--mixup-type", "stich-vertical"), "did you mean 'stitch-vertical'"),
        (("train", "--mixup-type", "mixup+cutmx"), "did you mean 'cutmix'"),
        ((*SMALL, "--engine", "mxnett"), "did you mean 'mxnet'"),
        (("summary", "resnet2_v1"), "did you mean"),
        (("recipes", "show", "demo-digits-plan"), "did you mean 'demo-digits-plain'"),
        (("recipes", "sho"), "invalid choice"),
        (("data", "verify", "cifar11"), "did you mean 'cifar1"),
        (("preview", "--dataset", "digit"), "did you mean 'digits'"),
        (("evaluate", "--params", "x", "--models", "y"), "did you mean '--model'"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(words, said):
    assert_told(command(*words), 2, said)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_every_command_answers_an_unknown_option(name):
    assert_told(command(name, *(["x"] * 2), "--jsonn"), 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch-size", "many"), "--batch-size"),
        (("--batch-size", "0"), "--batch-size is 0"),
        (("--lr", "nan"), "--lr is nan"),
        (("--lr", "-1"), "--lr is -1.0"),
        (("--wd", "inf"), "--wd is inf"),
        (("--label-smoothing", "1"), "--label-smoothing is 1.0"),
        (("--lr-decay-epoch", "30;60"), "no list like 30,60,90"),
        (("--no-wd", "maybe"), "neither true nor false"),
        (("--max-steps", "0"), "--max-steps is 0"),
        (("--threads", "0"), "--threads is 0"),
        (("--log-interval", "-1"), "--log-interval is -1"),
        (("--normalization", "1,2/3"), "normalization"),
        (("--num-epochs", "0"), "--num-epochs is 0"),
        (("--classes", "3"), "--classes 3 is less than the 10 of digits"),
        (("--num-epochs", "5", "--warmup-epochs", "5"), "leaves nothing"),
        (("--mixup-type", "mixup", "--batch-size", "1"), "needs partners"),
        (("--batch-size", "1438"), "more than the 1437 training images"),
        (("--val-split", "1437"), "1437"),
        (("--val-split", "5", "--select", "test"), "both given"),
        (("--mixup-alpha", "1"), "no effect"),
        (("--momentum", "0.9", "--optimizer", "adam"), "no effect"),
        (("--lr-scaling", "linear", "--lr", "3"), "both given"),
        (("--device", "cuda"), "GPU"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--dtype", "float16"), "float16 needs a GPU"),
        (("--num-gpus", "1"), "GPUs here, and --num-gpus is 1"),
        (("--temperature", "2"), "no effect"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    assert_told(command(*SMALL, "--warmup-epochs", "0", *words), 2, said)
    assert list(tmp_path.iterdir()) == []


def test_more_memory_than_there_is_names_the_batch_that_fits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "free_memory", lambda: 900 * 2**20)
    done = command("train", "--dataset", "digits", "--model", "resnet56_v1", "--batch-size", "1024")
    assert_told(done, 2, "--batch-size 1024 needs about", "or less")
    assert list(tmp_path.iterdir()) == []


def test_gluoncvs_flags_without_a_meaning_are_accepted_with_a_notice(tmp_path):
    done = command(*SMALL, "--warmup-epochs", "0", "--num-epochs", "1", "--max-steps", "1",
                   "--mode", "hybrid", "-j", "4", "--num-gpus", "0",
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0
    assert done.err.startswith("notice: --mode hybrid is accepted and changes nothing")
    assert "notice: --num-workers 4 changes nothing" in done.out


def fail(error):
    def run(_):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RuntimeError("deep\nand more"), 70, "internal error: RuntimeError: deep"),
        (
            RuntimeError("Traceback (most recent call last):\n  File x\nCheck failed: y\n"),
            70,
            "internal error: RuntimeError: Check failed: y",
        ),
        (MemoryError(), 70, "the memory is used up"),
        (OSError(5, "Input/output error"), 74, "Input/output error"),
    ],
)
def test_an_unforeseen_error_is_two_lines_and_with_debug_a_traceback(
    monkeypatch, error, code, said
):
    monkeypatch.setattr(recipes_command, "run", fail(error))
    done = command("recipes")
    assert_told(done, code, said)
    assert len(done.err.splitlines()) == 2
    assert "Traceback" in command("recipes", "--debug").err


def test_interruptions_end_quietly(monkeypatch):
    monkeypatch.setattr(recipes_command, "run", fail(KeyboardInterrupt()))
    assert command("recipes") == (130, "", "")


def test_without_words_the_commands_are_listed():
    done = command()
    assert done.code == 0
    assert all(name in done.out for name in COMMANDS)
    assert command("--version").out.split()[1] == cli.__version__
