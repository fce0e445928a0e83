"""Authors' logs: every format is read as printed, and what cannot be trusted is found by rule."""

from __future__ import annotations

import random
import re
from pathlib import Path

import log_excerpts as excerpts
import pytest

from gluontricks.errors import DataError
from gluontricks.results.authorlogs import read_log
from gluontricks.results.logformats import flags


def column(log, name: str) -> list:
    return [epoch[name] for epoch in log.epochs]


def rules(log) -> set:
    return {doubt.rule for doubt in log.distrust}


def imagenet(errors, *, train="0.010000", model="resnet50_v1", batch=128) -> str:
    """A log of pairs of errors, epoch by epoch."""
    flags = f"batch_size={batch}, model='{model}', num_epochs={len(errors)}, num_gpus=8"
    lines = [f"Namespace({flags})"]
    for epoch, (top1, top5) in enumerate(errors):
        lines.append(f"[Epoch {epoch}] training: accuracy={train}")
        lines.append(f"[Epoch {epoch}] validation: err-top1={top1:.6f} err-top5={top5:.6f}")
    return "\n".join(lines) + "\n"


def test_the_imagenet_script_of_today() -> None:
    log = read_log(excerpts.IMAGENET)
    assert (log.kind, log.model, log.planned, log.restarts) == ("imagenet", "resnet50_v1d", 2, 0)
    assert log.namespace is not None
    assert log.namespace["dtype"] == "float16"
    assert (log.namespace["lr_decay_epoch"], log.namespace["teacher"]) == ("40,60", None)
    assert log.epochs[0] == {
        "epoch": 0, "lr": 0.006331, "loss": None, "top1": 9.166, "top5": 24.388,
        "seconds": 301.25, "train": 1.05, "images_per_second": 4700.0,
    }  # fmt: skip
    assert log.train_metric == "accuracy"
    assert (log.final["top1"], log.final["top5"]) == (24.998, 49.544)
    assert log.seconds_per_epoch == 276.5
    assert log.distrust == ()


def test_the_imagenet_script_of_early_2018() -> None:
    log = read_log(excerpts.OLD_IMAGENET)
    assert (log.kind, log.train_metric) == ("imagenet", "err-top1")
    assert column(log, "seconds") == [1300.349902, 1264.0]
    assert column(log, "loss") == [3.815086, 2.815086]
    assert column(log, "train") == [80.1445, 70.1445]
    assert column(log, "lr") == column(log, "images_per_second") == [None, None]
    assert log.final["top1"] == 35.484


def test_horovod_counts_its_first_process_only_and_every_validation_once() -> None:
    log = read_log(excerpts.HOROVOD)
    assert (log.kind, log.model, log.restarts) == ("horovod", "resnest14", 0)
    assert column(log, "seconds") == [401.2, 399.0, 398.0, 397.0]
    assert column(log, "top1") == [None, 32.912, None, 47.744]
    assert (log.train_metric, column(log, "train")) == ("rmse", [0.025, 0.024, 0.023, 0.022])
    assert column(log, "images_per_second") == [3195.25, 3210.0, None, None]
    assert (log.final["epoch"], log.final["top5"], log.seconds_per_epoch) == (3, 73.67, 398.0)
    assert log.distrust == ()


def test_cifar_logs_with_accuracy_or_with_the_mixup_scripts_rmse() -> None:
    log = read_log(excerpts.CIFAR)
    assert (log.kind, log.train_metric) == ("cifar", "accuracy")
    assert column(log, "train") == [46.7608, 65.4387, 72.5621]
    assert (log.final["top1"], log.best["top1"], log.best["epoch"]) == (69.06, 73.47, 1)
    assert log.seconds_per_epoch == pytest.approx((16.356752 + 16.056174) / 2)
    mixed = read_log(excerpts.CIFAR_MIXUP)
    assert (mixed.train_metric, mixed.epochs[2]["train"]) == ("rmse", 0.186867)


def test_faster_rcnn_and_a_class_named_train() -> None:
    log = read_log(excerpts.DETECTION)
    assert (log.kind, log.model) == ("detection", "faster_rcnn_resnet50_v1b_voc")
    assert column(log, "map") == [40.2898, 59.21]
    assert column(log, "loss") == [0.861, 0.669]
    assert column(log, "images_per_second") == [12.0, 12.0]
    assert log.seconds_per_epoch == 1320.5
    assert [str(doubt) for doubt in log.distrust] == ["unfinished: it ends after 2 of 3 epochs"]


def test_fcn_progress_bars_count_when_full_and_the_last_evaluation_is_no_epoch() -> None:
    log = read_log(excerpts.SEGMENTATION, name="fcn_resnet50_voc.log")
    assert (log.kind, log.model, log.planned) == ("segmentation", "fcn_resnet50_voc", 2)
    assert column(log, "miou") == [48.8, 53.2]
    assert column(log, "pixacc") == [84.1, 85.5]
    assert column(log, "seconds") == [3921, 303]
    assert log.distrust == ()


def test_a_second_run_in_an_fcn_log_replaces_the_first() -> None:
    log = read_log(excerpts.SEGMENTATION + excerpts.SEGMENTATION.replace("0.855", "0.755"))
    assert (log.restarts, len(log.epochs), log.final["pixacc"]) == (1, 2, 75.5)


def test_the_table_of_a_log_says_that_it_is_none() -> None:
    log = read_log(excerpts.TABLE, name="fcn_resnet101_voc.extracted.csv")
    assert (log.model, log.final["miou"], log.final["loss"]) == ("fcn_resnet101_voc", 84.3, 0.222)
    assert rules(log) == {"extract"}


def test_after_a_restart_the_last_flags_count_and_epochs_run_again_are_replaced() -> None:
    first = excerpts.IMAGENET.replace("num_epochs=2", "num_epochs=3")
    again = excerpts.NAMESPACE.format(epochs=3, resume=1)
    rest = excerpts.IMAGENET.split("Epoch[1]", 1)[1].replace("[Epoch 1]", "[Epoch 2]")
    log = read_log(
        first + again + "[Epoch 1] validation: err-top1=0.5 err-top5=0.25\nEpoch[2]" + rest
    )
    assert (log.restarts, column(log, "epoch")) == (1, [0, 1, 2])
    assert column(log, "top1") == [9.166, 50.0, 24.998]
    assert log.namespace is not None
    assert log.namespace["resume_epoch"] == 1
    assert log.distrust == ()
    other = first + again.replace("lr=0.4", "lr=0.2") + rest.replace("\tlr", "\nlr")
    assert [doubt.reason for doubt in read_log(other).distrust] == [
        "from epoch 0 on with other values of lr"
    ]


def test_a_restart_from_the_beginning_leaves_nothing_of_what_was_before() -> None:
    before = excerpts.IMAGENET.replace("lr=0.4", "lr=9.9").replace("0.908340", "0.999000")
    log = read_log(before + excerpts.NAMESPACE.format(epochs=2, resume=0) + excerpts.IMAGENET)
    alone = read_log(excerpts.IMAGENET)
    assert log.restarts == 2
    assert (log.namespace, log.epochs, log.distrust) == (alone.namespace, alone.epochs, ())


def test_a_start_that_ended_no_epoch_takes_nothing_away() -> None:
    started = excerpts.NAMESPACE.format(epochs=2, resume=0) + excerpts.IMAGENET.splitlines()[1]
    log = read_log(excerpts.IMAGENET + started + "\n")
    assert (len(log.epochs), log.final["top1"], log.restarts) == (2, 24.998, 1)


def test_a_log_cut_anywhere_says_what_its_whole_lines_say() -> None:
    text, whole = excerpts.IMAGENET, read_log(excerpts.IMAGENET)
    validated = text.index("\n", text.index("[Epoch 0] validation")) + 1
    for end in range(text.index("\n") + 1, len(text), 5):
        if end < validated:
            with pytest.raises(DataError, match="no validated epoch"):
                read_log(text[:end])
            continue
        log = read_log(text[:end])
        for epoch, full in zip(log.epochs, whole.epochs):
            assert all(epoch[name] in (None, value) for name, value in full.items())
        assert rules(log) == {"unfinished"}


def test_flags_are_literals_and_nothing_is_evaluated() -> None:
    assert flags("Namespace(a=1, b=-0.5, c='x, y=(2)', d=None, e=[1, (2,)], f=True)") == {
        "a": 1, "b": -0.5, "c": "x, y=(2)", "d": None, "e": [1, (2,)], "f": True,
    }  # fmt: skip
    assert flags("Namespace(a=__import__('os').getcwd(), ctx=[gpu(0)])") == {
        "a": "__import__('os').getcwd()", "ctx": "[gpu(0)]",
    }  # fmt: skip
    for text in ("Namespace(", "Namespace(1)", "Namespace(**x)", "Namespace(a=<f at 0x1>)",
                 "Other(a=1)", "Namespace(a=" + "(" * 3000, "Namespace(a='" + "x" * 70000 + "')",
                 "Namespace(a=1); import os"):  # fmt: skip
        assert flags(text) is None, text[:40]
    damaged = excerpts.IMAGENET.replace("teacher=None", "teacher=<object>")
    assert rules(read_log(damaged)) == {"unread-flags"}


def test_training_that_is_right_while_validation_is_wrong_is_not_trusted() -> None:
    errors = [(0.94, 0.8), (0.9, 0.7)]
    log = read_log(imagenet(errors, train="0.751200"))
    assert rules(log) == {"training-accuracy"}
    assert not log.trusts("train")
    assert log.trusts("top1")
    assert rules(read_log(imagenet(errors, train="0.030000"))) == set()
    assert rules(read_log(imagenet([(0.6, 0.4), (0.5, 0.3)], train="0.751200"))) == set()


@pytest.mark.parametrize(
    ("cycle", "batch", "marked"),
    [
        ((50176,), 128, True),
        ((50176, 50176, 50176, 50176, 50176, 49152), 128, True),
        ((50176, 49920), 32, True),
        ((51200,), 256, True),
        ((51200,), 128, False),
        ((50000,), 128, False),
        ((50000, 50176), 128, False),
        ((49999,), 128, False),
    ],
)
def test_errors_over_a_padded_number_of_images_are_found(cycle, batch, marked) -> None:
    pick = random.Random(0)
    counts = [cycle[epoch % len(cycle)] for epoch in range(24)]
    errors = [(pick.randrange(n // 4, n) / n, pick.randrange(n // 4) / n) for n in counts]
    log = read_log(imagenet(errors, batch=batch))
    assert rules(log) == ({"padded-validation"} if marked else set())
    if marked:
        told = [int(n) for n in re.findall(r"1/(\d+)", log.distrust[0].reason)]
        assert sorted(told[:-1]) == sorted(set(cycle))
        assert not log.trusts("top1")


def test_random_errors_are_taken_for_padded_ones_at_no_seed() -> None:
    for seed in range(200):
        pick = random.Random(seed)
        errors = [(pick.random(), pick.random()) for _ in range(3)]
        assert rules(read_log(imagenet(errors))) == set(), seed


def test_a_validation_computed_from_the_epoch_is_not_a_result() -> None:
    log = read_log(imagenet([(1 - e / 120, 1 - e / 120) for e in range(120)]))
    assert rules(log) == {"linear-validation"}
    assert not log.trusts("top1")
    assert not log.trusts("final")
    assert rules(read_log(imagenet([(0.999, 0.995)] * 120))) == set()


@pytest.mark.parametrize(
    ("model", "name", "differs"),
    [
        ("cifar_resnet20_v1", "cifar_resnet20_v2_mixup.log", True),
        ("resnet50_v1", "resnet50_v1d.log", True),
        ("resnet50_v1d", "gluoncv/logs/classification/imagenet/resnet50_v1d-mixup.log", False),
        ("resnet50_v1b", "resnet50_v1b_gn.log", False),
        ("mobilenet1.0", "mobilenet1.0.log", False),
        ("resnet50_v1", "", False),
    ],
)
def test_flags_of_another_model_than_the_files(model, name, differs) -> None:
    log = read_log(imagenet([(0.9, 0.8)], model=model), name=name)
    assert rules(log) == ({"other-model"} if differs else set())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        (b"\x00\x01PK\x03\x04 Epoch", "is no text"),
        (b"some words\nand more\n", "no validated epoch"),
        (excerpts.NAMESPACE.format(epochs=2, resume=0).encode(), "no validated epoch"),
        (b"[Epoch 0] validation: err-top1=0.5 err-top5=0.2", "no validated epoch"),
        (b"mAP=0.5\n", "no validated epoch"),
        (b"[Epoch 0] validation: err-top1=3.5 err-top5=0.2\n", "top1 -250 %"),
        (b"[Epoch 0] validation: err-top1=nan err-top5=0.2\n", "no validated epoch"),
        ((excerpts.CIFAR + excerpts.IMAGENET).encode(), "mixes logs of cifar and imagenet"),
    ],
)
def test_what_is_no_log_is_refused_with_a_remedy(tmp_path: Path, content, words) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_log(path)
    assert "some.log" in caught.value.cause
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_far_too_large_is_not_read(tmp_path: Path) -> None:
    for missing in (tmp_path / "absent.log", tmp_path):
        with pytest.raises(DataError, match="there is no log"):
            read_log(missing)
    huge = tmp_path / "huge.log"
    with open(huge, "wb") as stream:
        stream.truncate(100_000_000)
    with pytest.raises(DataError, match="has 100 MB, logs have at most 50"):
        read_log(huge)
