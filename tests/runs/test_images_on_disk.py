"""Runs on images in folders and record files, as the scripts start them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from image_folders import CLASSES, encoded, photograph, write_folder
from running import command

from gluontricks import checkpoints
from gluontricks.cli.imagenet import main
from gluontricks.data.listing import FolderListing
from gluontricks.data.records import CLASSES_FILE, pack_image
from gluontricks.rundir import read_metrics

# 6 updates of 4 images an epoch.
SMALL = (
    "--dataset", "folder", "--classes", "3", "--model", "resnet18_v1d", "--input-size", "32",
    "--batch-size", "4", "--num-epochs", "2", "--warmup-epochs", "0", "--label-smoothing",
    "--num-workers", "2", "--log-interval", "2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("images"))


def train(folder, out, *words, code=0):
    done = command("train", *SMALL, "--data-dir", folder, "--out", out, *words)
    assert done.code == code, done.err or done.out
    return done


def final(out):
    return checkpoints.listing(out)[-1].name


def write_records(folder, target):
    """Record files of a folder's images, their bytes unchanged, in the folder's order."""
    target.mkdir()
    for split in ("train", "val"):
        listing = FolderListing("folder", split, folder / split)
        starts, content = [], b""
        for i in range(len(listing)):
            starts.append(len(content))
            content += pack_image(listing.read(i), int(listing.labels[i]), i)
        (target / f"{split}.rec").write_bytes(content)
        index = "".join(f"{i}\t{start}\n" for i, start in enumerate(starts))
        (target / f"{split}.idx").write_text(index)
    (target / CLASSES_FILE).write_text("".join(f"{name}\n" for name in CLASSES))
    return target


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train(folder, out)
    return out


def test_a_run_has_a_record_and_every_image_is_evaluated_once(done):
    record = json.loads((done / "record.json").read_text())
    assert record["status"] == "completed"
    assert (record["data"]["n_train"], record["data"]["n_eval"]) == (24, 15)
    assert record["metrics"]["n"] == 15
    epochs = [e for e in read_metrics(done) if e["event"] == "epoch"]
    assert [e["n"] for e in epochs] == [15, 15]
    assert all(0 <= e["waiting"] <= 1 for e in epochs)


def test_twenty_steps_from_records_equal_twenty_from_the_folder(folder, done, tmp_path):
    rec = write_records(folder, tmp_path / "rec")
    paths = ("--use-rec", "--rec-train", rec / "train.rec", "--rec-val", rec / "val.rec")
    train(tmp_path, tmp_path / "run", *paths)
    assert final(tmp_path / "run") == final(done)


@pytest.mark.parametrize("words", [("--num-workers", "0"), ("--cache", "{}/pixels")])
def test_how_images_are_decoded_changes_no_bit(folder, done, tmp_path, words):
    train(folder, tmp_path / "run", *(word.format(tmp_path) for word in words))
    assert final(tmp_path / "run") == final(done)


def test_a_run_that_was_stopped_within_an_epoch_ends_as_one_that_was_not(folder, done, tmp_path):
    train(folder, tmp_path / "run", "--max-steps", "4")
    train(folder, tmp_path / "run", "--max-steps", "7")
    train(folder, tmp_path / "run")
    assert final(tmp_path / "run") == final(done)


def test_a_validation_set_is_held_out_of_the_training_images(folder, tmp_path):
    train(folder, tmp_path / "run", "--val-split", "6", "--num-epochs", "1")
    (event,) = [e for e in read_metrics(tmp_path / "run") if e["event"] == "epoch"]
    assert (event["split"], event["n"]) == ("validation", 6)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert (record["data"]["n_train"], record["data"]["n_eval"]) == (18, 15)


def test_evaluation_of_a_run_counts_every_image_at_any_batch_size(folder, done):
    expected = json.loads((done / "record.json").read_text())["metrics"]
    for size in ("1", "4", "15", "64"):
        found = command(
            "evaluate", done, "--data-dir", folder, "--batch-size", size, "--json"
        ).document
        assert found["n"] == 15
        assert found["top1"] == expected["top1"]
        assert found["nll"] == pytest.approx(expected["nll"], rel=1e-5)


def test_the_two_engines_agree_on_images_on_disk(folder, tmp_path):
    pytest.importorskip("torch")
    losses = []
    for engine in ("mxnet", "torch"):
        words = ("--engine", engine, "--max-steps", "2", "--lr", "1e-6", "--log-interval", "1")
        train(folder, tmp_path / engine, *words)
        losses.append([e["loss"] for e in read_metrics(tmp_path / engine)])
    assert len(losses[0]) == 2
    # The last images have one pixel a channel, which few values normalise: 1.1e-5 on an AMD EPYC.
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-4)
    assert losses[0][1] == pytest.approx(losses[1][1], rel=1e-3)


def test_a_run_of_a_lists_its_pictures_as_the_learner_gets_them(folder, tmp_path):
    done = command(
        "preview", *SMALL[:-4], "--data-dir", folder, "--out", tmp_path / "p.png", "--json"
    )
    assert done.code == 0, done.err
    assert (tmp_path / "p.png").stat().st_size > 10_000
    labels = {source["label"] for image in done.document["images"] for source in image["sources"]}
    assert labels <= set(CLASSES)


def refused(folder, out, *words):
    done = command("train", *SMALL, "--data-dir", folder, "--out", out, *words)
    assert done.code in (2, 65), (done.code, done.out)
    cause, remedy = done.err.strip().splitlines()
    assert not out.exists()
    return cause, remedy


def test_a_class_folder_that_is_missing_in_val_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "val" / "beech")
    cause, _ = refused(copy, tmp_path / "out")
    assert "beech" in cause
    assert "missing in val" in cause


def test_more_classes_than_outputs_are_refused_with_their_number(folder, tmp_path):
    cause, remedy = refused(folder, tmp_path / "out", "--classes", "2")
    assert "3 classes" in cause
    assert "--classes 3" in remedy
    _, remedy = refused(folder, tmp_path / "out", "--dataset", "imagenette", "--classes", "10")
    assert "--dataset folder --classes 3" in remedy


def test_a_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    cause, remedy = refused(tmp_path / "data", tmp_path / "out")
    assert "no class folders" in cause
    assert "a folder" in remedy


def test_an_image_that_cannot_be_decoded_stops_the_run_and_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    broken = copy / "train" / "cloud" / "cloud_3.jpg"
    broken.write_bytes(broken.read_bytes()[:400])
    done = train(copy, tmp_path / "run", code=65)
    assert "cloud_3.jpg" in done.err
    assert "data verify" in done.err
    # What was trained before is kept.
    assert checkpoints.newest(tmp_path / "run", print) is not None


def test_images_of_every_kind_train(tmp_path):
    root = write_folder(tmp_path / "data", train=4)
    place = root / "train" / "apple"
    grey = photograph(1, size=(50, 60))[..., 0]
    (place / "grey.png").write_bytes(encoded(grey, "PNG"))
    (place / "deep.png").write_bytes(encoded(grey.astype(np.uint16) * 257, "PNG"))
    (place / "one.png").write_bytes(encoded(photograph(2, size=(1, 1)), "PNG"))
    (place / "long.jpg").write_bytes(encoded(photograph(3, size=(9, 900))))
    train(root, tmp_path / "run", "--num-epochs", "1", "--batch-size", "16")


def test_a_teacher_that_cannot_take_the_students_images_is_refused(folder, done, tmp_path):
    (done.parent / "none.params").write_bytes(b"")
    given = ("--teacher-params", done.parent / "none.params")
    cause, _ = refused(folder, tmp_path / "out", "--teacher", "resnet50_v1", *given)
    assert "none.params" in cause
    exported = command("export", done, "--out", tmp_path / "model")
    assert exported.code == 0
    for more in (("--teacher-params", tmp_path / "model" / "model-0000.params"), ()):
        words = ("--teacher", "inceptionv3", *more)
        cause, remedy = refused(folder, tmp_path / "out", *words)
        assert "'inceptionv3' does not take images of 32 pixels" in cause
        assert "--input-size" in remedy


def test_a_teacher_of_other_classes_is_refused_by_name(done, tmp_path):
    other = write_folder(tmp_path / "other", train=4, val=2, classes=("ant", "beech", "cloud"))
    words = ("--teacher", "resnet18_v1d", "--teacher-params", done)
    cause, _ = refused(other, tmp_path / "out", *words)
    assert "class 0 of the teacher" in cause


NO_EFFECT = [
    ("--rec-train", "x.rec"),
    ("--resume-epoch", "1"),
]


@pytest.mark.parametrize("words", NO_EFFECT)
def test_an_option_without_effect_is_refused(folder, tmp_path, words):
    cause, _ = refused(folder, tmp_path / "out", *words)
    assert "no effect" in cause


def test_options_of_images_on_disk_are_refused_for_images_in_memory(tmp_path):
    for words in (("--use-rec",), ("--cache", tmp_path), ("--input-size", "64")):
        done = command("train", "--dataset", "digits", "--out", tmp_path / "out", *words)
        assert done.code == 2
        assert "no effect" in done.err


def test_a_cache_that_cannot_be_written_names_its_own_flag(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    done = command(
        "train", *SMALL, "--data-dir", folder, "--out", tmp_path / "out", "--cache",
        tmp_path / "file" / "x",
    )  # fmt: skip
    assert done.code == 73
    assert "--cache" in done.err
    assert not (tmp_path / "out").exists()


def test_a_run_begins_with_parameters_at_an_epoch(folder, done, tmp_path):
    train(folder, tmp_path / "first", "--num-epochs", "1", "--save-frequency", "1")
    (params,) = (tmp_path / "first" / "params").iterdir()
    assert params.name == "resnet18_v1d-0000.params"
    train(folder, tmp_path / "second", "--resume-params", params, "--resume-epoch", "1")
    events = read_metrics(tmp_path / "second")
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [1]
    whole = [e["lr"] for e in read_metrics(done) if e["event"] == "interval"]
    part = [e["lr"] for e in events if e["event"] == "interval"]
    # The schedule is a function of the step: it neither restarts nor freezes.
    assert part == whole[len(whole) - len(part) :]
    # Without --resume-params it is another run.
    again = command("train", *SMALL, "--data-dir", folder, "--out", tmp_path / "second")
    assert again.code == 2
    assert "begins_with" in again.err


def test_an_export_sees_files_as_the_evaluation_did(folder, done, tmp_path):
    exported = command("export", done, "--out", tmp_path / "model", "--json")
    assert exported.code == 0, exported.err
    assert (exported.document["input_size"], exported.document["crop_ratio"]) == (32, 0.875)
    found = command("predict", tmp_path / "model", folder / "val", "--topk", "1", "--json").document
    told = [prediction["topk"][0]["class"] for prediction in found]
    record = json.loads((done / "record.json").read_text())
    stored = np.load(done / "predictions.npz")
    assert told == [CLASSES[i] for i in stored["predicted"]]
    assert record["metrics"]["n"] == len(told)


def script(*words):
    """Run scripts/train_imagenet.py."""
    return command(*words, main=main)


FOLDER = (
    "--dataset", "folder", "--classes", "3", "--model", "resnet18_v1d", "--input-size", "32",
    "--num-epochs", "2", "-j", "0",
)  # fmt: skip


def config(*words):
    code, out, err = script(*FOLDER, "--print-config", "--json", *words)
    assert code == 0, err
    return json.loads(out)


def test_the_scripts_batch_is_for_one_device_and_one_pass():
    recipe = config("--batch-size", "8", "--accumulate", "4")
    assert (recipe["batch_size"], recipe["shards"]) == (32, 4)
    recipe = config("--batch-size", "8", "--device", "cpu:0,cpu:1", "--lr-scaling", "linear")
    assert (recipe["batch_size"], recipe["shards"]) == (16, 2)
    assert recipe["lr"] == 0.1 * 16 / 256
    assert config()["batch_size"] == 32


def test_the_scripts_run_lies_in_its_save_dir_and_its_log_where_it_is_to_be(folder, tmp_path):
    code, out, err = script(
        *FOLDER, "--data-dir", folder, "--batch-size", "4", "--max-steps", "1", "--save-dir",
        tmp_path / "params", "--logging-file", tmp_path / "own.log", "--mode", "hybrid",
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith("4 images an update; learning rate 0.1\n")
    assert (tmp_path / "params" / "run.json").exists()
    assert (tmp_path / "own.log").read_text().startswith("Namespace(")


def test_flags_of_the_script_have_gluoncvs_meaning():
    recipe = config("--mixup", "--mixup-alpha", "0.3", "--warmup-epochs", "1", "--no-wd",
                    "--lr-mode", "cosine", "--last-gamma", "--label-smoothing", "--warmup-lr",
                    "0.01")  # fmt: skip
    assert recipe["mixup_type"] == "mixup"
    assert recipe["label_smoothing"] == 0.1
    assert recipe["warmup_lr"] == 0.01
    assert (recipe["contrast"], recipe["hue"], recipe["init"]) == (0.4, 0.0, "msra")
    assert (recipe["lr_form"], recipe["crop_ratio"]) == ("gluoncv", 0.875)
    own = config("--augment", "paper", "--init", "xavier", "--label-smoothing", "0.2")
    assert (own["contrast"], own["hue"], own["init"]) == (0.0, 0.4, "xavier")
    assert own["label_smoothing"] == 0.2


def test_a_named_recipe_keeps_its_batch_and_takes_flags():
    code, out, err = script("--recipe", "gluoncv-resnet50_v1d", "--print-config", "--json")
    assert code == 0, err
    recipe = json.loads(out)
    assert (recipe["batch_size"], recipe["lr"], recipe["lr_mode"]) == (1024, 0.4, "cosine")


def test_the_script_evaluates_parameters(folder, done, tmp_path):
    expected = json.loads((done / "record.json").read_text())["metrics"]
    train(folder, tmp_path / "run", "--save-frequency", "2")
    (params,) = (tmp_path / "run" / "params").iterdir()
    code, out, err = script(
        *FOLDER, "--data-dir", folder, "--evaluate", "--resume-params", params, "--json",
        "--normalization", "imagenet",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert (found["n"], found["top1"]) == (15, expected["top1"])


@pytest.mark.parametrize(
    "words",
    [
        ("--resume-states", "x.states"),
        ("--use-pretrained",),
        ("--data-backend", "dali-gpu"),
        ("--accumulate", "0"),
        ("--lr", "0.3", "--lr-scaling", "linear"),
        ("--num-gpus", "2"),
        ("--dtype", "float16"),
    ],
)
def test_the_script_refuses_with_a_cause_and_a_remedy(folder, tmp_path, words):
    code, _, err = script(*FOLDER, "--data-dir", folder, "--out", tmp_path / "out", *words)
    assert code == 2
    assert len(err.strip().splitlines()) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--resume-states", "x.states"),
        ("--use-pretrained",),
        ("--data-backend", "dali-gpu"),
        ("--num-training-samples", "9"),
        ("--mixup",),
        ("--use-se",),
        ("--batch-norm",),
        ("--use-gn",),
        ("--rgb-mean", "1,2,3"),
    ],
)
def test_flags_that_a_recipe_has_no_field_for_are_refused_beside_one(done, words):
    for recipe in (("--recipe", "gluoncv-resnet50_v1d"), (done,)):
        code, out, err = script(*recipe, *words, "--print-config")
        assert (code, out) == (2, "")
        assert words[0] in err.replace("_", "-")
        assert len(err.strip().splitlines()) == 2


def test_a_notice_stays_out_of_the_json_document():
    code, out, err = script(
        "--model", "resnet18_v1d", "--teacher", "resnet50_v1d", "--hard-weight", "1",
        "--print-config", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["teacher"] is None
    assert err.startswith("notice: --hard-weight 1")


def test_a_notice_is_given_beside_a_recipe_too():
    code, out, err = script(
        "--recipe", "gluoncv-resnet50_v1d", "--mode", "symbolic", "--print-config", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["model"] == "resnet50_v1d"
    assert err.startswith("notice: --mode symbolic")


def test_two_directories_for_one_run_are_refused(done, tmp_path):
    for first in (("--model", "resnet18_v1d", "--out", tmp_path / "a"), (done,)):
        code, _, err = script(*first, "--save-dir", tmp_path / "b")
        assert code == 2
        cause, _ = err.strip().splitlines()
        assert "--save-dir" in cause
        assert str(first[-1]) in cause
    assert not list(tmp_path.iterdir())


def test_the_script_goes_on_with_the_run_in_a_directory(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    words = (*FOLDER, "--data-dir", folder, "--batch-size", "4", "--out", run)
    assert script(*words, "--max-steps", "1")[0] == 0
    code, out, err = script(run, "--data-dir", folder)
    assert code == 0, err
    assert "resumed after step 1" in out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert read_metrics(run)[-1]["top1"] is not None


@pytest.mark.slow
def test_twenty_steps_on_photographs_are_the_same_from_records(data_dir, tmp_path):
    rec = tmp_path / "rec"
    made = command("data", "rec", data_dir / "imagenette2-128", "--out", rec, "-j", "2")
    assert made.code == 0, made.err
    words = (
        "train", "--recipe", "imagenette-resnet18_v1d-4epochs", "--max-steps", "20",
        "--batch-size", "16", "--log-interval", "5",
    )  # fmt: skip
    paths = ("--use-rec", "--rec-train", rec / "train.rec", "--rec-val", rec / "val.rec")
    for name, more in {"folder": ("--data-dir", data_dir), "records": paths}.items():
        done = command(*words, "--out", tmp_path / name, *more)
        assert done.code == 0, done.err
    assert final(tmp_path / "folder") == final(tmp_path / "records")
    losses = [[e["loss"] for e in read_metrics(tmp_path / n)] for n in ("folder", "records")]
    assert losses[0] == losses[1]
