"""The record of a finished run: valid, right, and silent about the machine's names."""

import getpass
import json
import re
import socket

import numpy as np
from running import TINY, finish, spawn

from gluontricks.results.schema import validate
from gluontricks.rundir import read_metrics


def record_of(run):
    return json.loads((run / "record.json").read_text(encoding="utf-8"))


def test_a_finished_run_has_a_valid_record_with_the_right_counts(finished_run):
    record = record_of(finished_run)
    assert validate(record) == []
    assert (record["status"], record["label"]) == ("completed", "SMOKE")
    assert (record["data"]["n_train"], record["data"]["n_eval"]) == (1437, 360)
    assert record["metrics"]["n"] == 360
    # 1437 // 64 = 22 updates an epoch; the incomplete batch is dropped.
    budget = record["budget"]
    assert (budget["epochs"], budget["steps"]) == (3, 66)
    assert budget["samples_seen"] == 66 * 64
    # A stem of 3x3x3x16, three stages of 16, 32 and 64 channels, two of them with a 1x1 shortcut,
    # two numbers for each batch norm's channel, a classifier of 64x10 and its bias.
    stages = 2 * 9 * 16 * 16 + (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    stages += 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    norms = 2 * (3 * 16 + 3 * 32 + 3 * 64)
    assert 0 < budget["wall_s"] < 600
    assert budget["cpu_s"] > 0
    assert 200 < budget["peak_rss_mb"] < 8000
    assert record["model"]["params"] == 27 * 16 + stages + norms + 650
    assert record["config"]["resolved"]["lr"] == 0.1
    assert record["resumes"] == 0


def test_the_kept_predictions_give_the_records_accuracy(finished_run):
    with np.load(finished_run / "predictions.npz") as stored:
        predicted, labels, confidence = (stored[k] for k in ("predicted", "labels", "confidence"))
    assert predicted.shape == labels.shape == confidence.shape == (360,)
    metrics = record_of(finished_run)["metrics"]
    top1 = 100 * float(np.mean(predicted == labels))
    assert abs(top1 - metrics["top1"]) < 1e-5
    # Bins whose gaps have opposite signs cancel in the mean, never in the error.
    assert abs(float(confidence.mean()) - top1 / 100) <= metrics["ece15"] + 1e-6 <= 1


def test_the_curve_is_the_metrics(finished_run):
    epochs = [e for e in read_metrics(finished_run) if e["event"] == "epoch"]
    curve = record_of(finished_run)["epochs"]
    assert [(e["epoch"], e["loss"], e["top1"]) for e in curve] == [
        (e["epoch"], e["loss"], e["top1"]) for e in epochs
    ]
    assert [e["epoch"] for e in curve] == [0, 1, 2]


def texts(value):
    """Yield every text in a JSON value, keys excepted."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_a_record_names_no_host_no_user_and_no_absolute_path(tmp_path):
    """The command line of another process is in it, with absolute paths and the user's name."""
    place = tmp_path / "somebody" / "run"
    done = finish(spawn(*TINY, "--max-steps", "1", "--out", place))
    assert done.code == 0, done.err
    text = (place / "record.json").read_text(encoding="utf-8")
    assert "somebody" not in text
    assert str(tmp_path) not in text
    assert "--max-steps" in text
    values = "\n".join(texts(json.loads(text)))
    for name in (socket.gethostname(), getpass.getuser()):
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", values) is None
    assert validate(json.loads(text)) == []


def test_resumptions_are_counted(tmp_path):
    from running import tiny

    for stop in (1, 2):
        tiny(tmp_path / "run", "--max-steps", stop)
    tiny(tmp_path / "run")
    record = record_of(tmp_path / "run")
    assert record["resumes"] == 2
    assert (record["budget"]["wall_s"], record["budget"]["cpu_s"]) == (None, None)
    assert record["bitwise"] is True
    assert record["metrics"]["top1_best"] == max(e["top1"] for e in record["epochs"])
    assert record["metrics"]["n"] == 360
    assert record["data"]["n_train"] == 320
