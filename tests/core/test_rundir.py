import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import gluontricks
from gluontricks.errors import IntegrityError, LockedError, OutputError, UsageError
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import RunDirectory, read_metrics, read_run, set_aside

RECIPE = resolve(Recipe(dataset="digits", model="resnet8_v1"))
IDENTITY = {"fingerprint": "ab" * 8, "class_names": ["a", "b"], "teacher": None}

OPEN = """
import sys
from pathlib import Path
from gluontricks.errors import LockedError
from gluontricks.rundir import RunDirectory
try:
    RunDirectory(Path(sys.argv[1]))
except LockedError as error:
    print(error.cause)
    sys.exit(error.code)
"""


def open_elsewhere(path):
    """Open a run directory in another process; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(gluontricks.__file__).parents[1])},
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.fixture
def folder(tmp_path):
    with RunDirectory(tmp_path / "run") as opened:
        yield opened


def test_another_process_is_refused_with_code_75_and_told_who_holds_it(folder):
    code, text = open_elsewhere(folder.path)
    assert code == 75
    assert f"is in use by process {os.getpid()}" in text


def test_a_second_run_in_the_same_process_is_refused_too(folder):
    with pytest.raises(LockedError, match="is in use"):
        RunDirectory(folder.path)


def test_a_closed_folder_and_one_whose_holder_died_are_free(tmp_path):
    with RunDirectory(tmp_path):
        pass
    assert open_elsewhere(tmp_path)[0] == 0
    assert open_elsewhere(tmp_path)[0] == 0


def test_a_file_in_the_place_of_the_folder_is_an_output_error(tmp_path):
    (tmp_path / "run").write_bytes(b"")
    with pytest.raises(OutputError):
        RunDirectory(tmp_path / "run")


def test_the_same_recipe_may_go_on(folder):
    folder.claim(RECIPE, IDENTITY)
    content = (folder.path / "run.json").read_bytes()
    folder.claim(RECIPE, IDENTITY)
    assert (folder.path / "run.json").read_bytes() == content
    assert Recipe.from_dict(read_run(folder.path)["recipe"]) == RECIPE


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("lr", 0.2, "lr: 0.1 -> 0.2"),
        ("seed", 1, "seed: 0 -> 1"),
        ("batch_size", 64, "batch_size: 256 -> 64"),
        ("lr_decay_epoch", (3, 4), r"lr_decay_epoch: None -> \(3, 4\)"),
    ],
)
def test_a_changed_recipe_is_refused_field_by_field(folder, field, value, said):
    folder.claim(RECIPE, IDENTITY)
    with pytest.raises(UsageError, match=said) as caught:
        folder.claim(replace(RECIPE, **{field: value}), IDENTITY)
    assert "choose another --out" in caught.value.remedy


def test_all_fields_that_changed_are_named_and_no_other(folder):
    folder.claim(RECIPE, IDENTITY)
    with pytest.raises(UsageError) as caught:
        folder.claim(replace(RECIPE, wd=0.5, flip=0.5), IDENTITY)
    assert "wd: 0.0001 -> 0.5" in caught.value.cause
    assert "flip: 0.0 -> 0.5" in caught.value.cause
    assert caught.value.cause.count("->") == 2


def test_another_teacher_is_refused(folder):
    folder.claim(RECIPE, {**IDENTITY, "teacher": {"sha256": "1", "fingerprint": None}})
    with pytest.raises(UsageError, match="teacher: .*'1'.* -> .*'2'"):
        folder.claim(RECIPE, {**IDENTITY, "teacher": {"sha256": "2", "fingerprint": None}})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"{}", b'{"schema": "gluontricks.rundir/99"}', b"\xff\xfe\x80",
     b'{"schema": "gluontricks.rundir/1"}'],
)  # fmt: skip
def test_a_damaged_description_is_an_integrity_error(folder, content):
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(IntegrityError, match="is damaged"):
        folder.claim(RECIPE, IDENTITY)


def lines(folder):
    return (folder.path / "metrics.jsonl").read_bytes()


def test_metrics_are_read_as_they_were_appended(folder):
    events = [{"event": "epoch", "step": i, "loss": 0.1 + i / 3} for i in range(3)]
    assert read_metrics(folder.path) == []
    for event in events:
        folder.append_metrics(event)
    assert read_metrics(folder.path) == events
    assert lines(folder).count(b"\n") == 3


@pytest.mark.parametrize(
    "torn", [b'{"event": "epoch", "st', b"\0" * 40, b'{"step": 4, "x": "\xff\xfe', b"[1]\n", b"5"]
)
def test_a_torn_line_is_cut_and_all_before_it_stays(folder, torn):
    for step in (1, 2, 3):
        folder.append_metrics({"event": "epoch", "step": step})
    whole = lines(folder)
    (folder.path / "metrics.jsonl").write_bytes(whole + torn)
    assert [e["step"] for e in folder.cut_metrics(9)] == [1, 2, 3]
    assert lines(folder) == whole
    folder.append_metrics({"event": "epoch", "step": 4})
    assert [e["step"] for e in read_metrics(folder.path)] == [1, 2, 3, 4]


def test_metrics_after_the_checkpoint_are_cut(folder):
    for step in range(1, 6):
        folder.append_metrics({"event": "interval", "step": step})
    assert [e["step"] for e in folder.cut_metrics(3)] == [1, 2, 3]
    assert [json.loads(line)["step"] for line in lines(folder).splitlines()] == [1, 2, 3]


def test_starting_again_loses_nothing(tmp_path):
    for number in (1, 2):
        path = tmp_path / "run"
        with RunDirectory(path) as folder:
            folder.claim(RECIPE, IDENTITY)
            (path / "mark").write_text(str(number), encoding="utf-8")
        messages = []
        set_aside(path, messages.append)
        assert not path.exists()
        assert (tmp_path / f"run.old-{number}" / "mark").read_text(encoding="utf-8") == str(number)
        assert f"run.old-{number}" in messages[0]


def test_a_run_that_is_going_on_is_not_set_aside(folder):
    folder.claim(RECIPE, IDENTITY)
    with pytest.raises(LockedError):
        set_aside(folder.path, pytest.fail)
    assert folder.path.is_dir()


def test_where_no_run_is_nothing_is_set_aside(tmp_path):
    set_aside(tmp_path, pytest.fail)
    assert tmp_path.is_dir()
