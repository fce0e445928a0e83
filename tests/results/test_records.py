"""Run records: form, labels, and what they must not hold."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from gluontricks.errors import IntegrityError
from gluontricks.recipes import Recipe, get_recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.results.plain import anonymous, plain, without_paths
from gluontricks.results.records import (
    RunFacts,
    build_record,
    label_of,
    label_set,
    new_run_id,
    validate,
    write_record,
)


def test_a_record_round_trips_through_its_file(record, tmp_path) -> None:
    made = record("stitch-V-vertical-distill", seed=3)
    write_record(tmp_path / "record.json", made)
    read = json.loads((tmp_path / "record.json").read_text())
    assert read == made
    assert validate(read) == []
    recipe = Recipe.from_dict(read["config"]["resolved"])
    assert recipe == replace(resolve(get_recipe("stitch-V-vertical-distill")), seed=3)
    assert read["fingerprint"] == recipe.fingerprint("ab" * 32)


def test_a_record_names_the_rows_its_recipe_stands_for(record) -> None:
    rows = record("stitch-V-interp-coarse-as-run")["rows"]
    assert rows == ["stitch-mixup/III/+ mixup/coarse-as-run",
                    "stitch-mixup/V/Interp. Mixup/coarse-as-run"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "label"),
    [
        ("stitch-III-baseline", {}, "MEASURED-FULL"),
        ("stitch-III-baseline", {"dtype": "bfloat16"}, "MEASURED-FULL"),
        ("stitch-III-baseline", {"num_epochs": 119}, "MEASURED-REDUCED"),
        ("stitch-III-baseline", {"scale": "reduced"}, "MEASURED-REDUCED"),
        ("stitch-III-baseline", {"scale": "smoke"}, "SMOKE"),
        ("stitch-III-baseline", {"status": "stopped"}, "MEASURED-REDUCED"),
        ("stitch-III-baseline", {"status": "failed", "reason": "x", "top1": None}, "NOT RUN"),
        ("stitch-III-baseline", {"val_split": 5000}, "MEASURED-REDUCED"),
        ("cifar10-resnet20-5epochs", {}, "MEASURED-REDUCED"),
        ("demo-digits-plain", {}, "SMOKE"),
    ],
)
def test_only_an_unchanged_declared_recipe_run_to_its_end_is_full(
    record, name: str, changes: dict, label: str
) -> None:
    assert record(name, **changes)["label"] == label


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [("data", "n_train", 49999), ("data", "subset", "first 1000"), ("budget", "epochs", 119),
     ("data", "n_eval", None), ("budget", "epochs", None)],
)  # fmt: skip
def test_missing_images_or_epochs_make_a_run_reduced(record, group, key, value) -> None:
    made = record("stitch-III-baseline")
    made[group][key] = value
    assert label_of(made) == "MEASURED-REDUCED"


def test_another_ones_result_keeps_its_label_and_its_unknown_fields(record) -> None:
    made = record("stitch-III-baseline")
    theirs = dict.fromkeys(made)
    theirs.update(
        schema=made["schema"], run_id="weights-1", label="AUTHOR-WEIGHTS", metrics=made["metrics"],
        source={"file": "a.params", "sha256": "0" * 64, "origin": "https://example.org/a/b"},
    )  # fmt: skip
    assert validate(theirs) == []
    assert label_of(theirs) == "AUTHOR-WEIGHTS"
    theirs["label"] = "MEASURED-FULL"
    assert validate(theirs) != []
    assert label_of(theirs) == "NOT RUN"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), "gluontricks.run/2", "schema"),
        (("status",), "fine", "status"),
        (("status",), None, "status"),
        (("scale",), "huge", "scale"),
        (("run_id",), "../../etc", "run_id"),
        (("metrics", "top1"), 101.0, "percentage"),
        (("metrics", "top1"), "75", "no number"),
        (("metrics", "top1"), True, "no number"),
        (("metrics",), [], "no object"),
        (("epochs",), {}, "no list"),
        (("ended",), "2025-01-01T00:00:00Z", "before it started"),
        (("config", "resolved", "lr"), 0.2, "config.sha256"),
        (("fingerprint",), "0" * 16, "fingerprint"),
        (("model", "teacher"), {"name": "x", "sha256": "9" * 64, "fingerprint": None}, "teacher"),
        (("protocol",), "data in /home/someone/data", "absolute path"),
        (("surprise",), 1, "unknown field"),
    ],
)
def test_validate_names_what_is_wrong(record, path: tuple, value: object, words: str) -> None:
    made = record("stitch-III-baseline")
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(words in problem for problem in validate(made)), validate(made)


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"schema": {}}])
def test_what_is_no_record_is_a_problem_and_no_crash(value: object) -> None:
    assert validate(value)


def test_a_missing_field_is_named(record) -> None:
    for group, key in (("hardware", "threads"), ("metrics", "nll"), ("code", "commit")):
        made = record("stitch-III-baseline")
        del made[group][key]
        assert validate(made) == [f"'{group}.{key}' is missing"]


def test_an_invalid_record_is_never_written(record, tmp_path) -> None:
    made = record("stitch-III-baseline")
    made["status"] = "fine"
    with pytest.raises(IntegrityError, match="not valid"):
        write_record(tmp_path / "record.json", made)
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_run_is_recorded_with_null_where_a_number_is_not_finite() -> None:
    recipe = resolve(get_recipe("stitch-III-baseline"))
    run = RunFacts(new_run_id(), "diverged", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z",
                   reason="loss is nan at step 7")  # fmt: skip
    made = build_record(
        recipe, run, data={}, model={}, metrics={"loss": float("nan")},
        epochs=[{"epoch": np.int64(0), "lr": np.float32(0.5), "loss": np.float64("inf")}],
    )  # fmt: skip
    assert made["metrics"]["loss"] is None
    assert made["epochs"] == [{"epoch": 0, "lr": 0.5, "loss": None, "top1": None, "top5": None,
                               "seconds": None}]  # fmt: skip
    assert made["reason"] == "loss is nan at step 7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/someone/run/train.bin", "train.bin"),
        ("--out=/home/someone/run", "--out=run"),
        ("~/data/cifar and ~someone/x", "cifar and x"),
        (r"C:\Users\someone\run", "run"),
        (r"\\server\share\run", "run"),
        ("//server/share/run", "run"),
        ("file:///home/someone/run", "run"),
        ("PATH=/a/b:/c/d", "PATH=d"),
        ("runs/a/b", "runs/a/b"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("0.5,0.5/0.2,0.2 and 3 / 4 and a/b", "0.5,0.5/0.2,0.2 and 3 / 4 and a/b"),
    ],
)
def test_absolute_paths_are_shortened_and_nothing_else(text: str, expected: str) -> None:
    assert without_paths(text) == expected
    assert without_paths(expected) == expected


def test_a_record_names_no_user_no_machine_and_no_folder(record) -> None:
    user, host = getpass.getuser(), socket.gethostname()
    words = ("train", "--out", f"/home/{user}/runs", f"{user}@{host}", "--recipe", "x")
    made = record("stitch-III-baseline", command=words)
    assert made["code"]["command"][:3] == ["train", "--out", "runs"]
    for word in (user, host):
        assert len(word) <= 2 or word not in made["code"]["command"][3]
        assert anonymous(f"by {word}!") == f"by {word}!" or len(word) > 2
    assert validate(made) == []


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        plain({"a": {1, 2}})


def test_run_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(len(i) == 26 for i in ids)
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)


def test_label_sets_have_the_papers_names() -> None:
    names = ("stitch-III-mixup", "stitch-III-mixup-coarse", "stitch-III-mixup-coarse-as-run",
             "cifar10-resnet20-5epochs")  # fmt: skip
    for form in (get_recipe, lambda name: resolve(get_recipe(name))):
        assert [label_set(form(name)) for name in names] == [
            "fine", "coarse", "coarse-as-run", "cifar10",
        ]  # fmt: skip


def test_records_and_tables_never_import_mxnet() -> None:
    program = (
        "import sys, gluontricks.results.make, gluontricks.results.records as r; "
        "r.environment.software(); r.environment.hardware(); r.environment.code(['x']); "
        "print([m for m in ('mxnet', 'torch', 'gluoncv') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
