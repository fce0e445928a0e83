"""Teachers of real runs: how to get one, how one is found, and what does not fit."""

import json
import shlex
import shutil

import pytest
from running import TINY, command, final_state, tiny

from gluontricks.params_file import dump_params
from gluontricks.rundir import read_run
from gluontricks.teachers import read_weights


def the_commands_words(done):
    """Return the words of the command that an error names."""
    words = shlex.split(done.err.partition("`")[2].partition("`")[0])
    assert words[:2] == ["gluontricks", "train"]
    return words[1:]


SHRUNK = ("--num-epochs", "1", "--warmup-epochs", "0", "--val-split", "1117", "--quiet")


def follow_the_error(student, folder):
    """Run a student without a teacher; do what the error says, but shorter; run it again."""
    done = command(*student, "--out", folder / "student")
    assert done.code == 65
    assert " on this machine's" in done.err
    assert not (folder / "student").exists()
    trained = command(*the_commands_words(done), *SHRUNK)
    assert trained.code == 0, trained.err
    again = command(*student, "--out", folder / "student")
    assert again.code == 0, again.err
    kept, teacher = read_run(folder / "student")["teacher"], read_weights(folder / "teacher")
    assert (kept["sha256"], kept["fingerprint"]) == (teacher.sha256, teacher.fingerprint)
    return done.err


def test_without_a_teacher_the_error_holds_the_command_that_trains_one(tmp_path):
    error = follow_the_error((*TINY, "--teacher", "resnet14_v1", "--max-steps", "1"), tmp_path)
    assert "no finished run of teacher 'resnet14_v1' on digits" in error


@pytest.mark.slow
def test_the_demonstrations_teacher_is_named_by_its_recipe(tmp_path):
    student = ("train", "--recipe", "demo-digits-stitch", "--model", "resnet8_v1",
               "--max-steps", "1", "--quiet")  # fmt: skip
    assert "--recipe demo-digits-teacher" in follow_the_error(student, tmp_path)


@pytest.fixture
def beside(tmp_path, teacher_run):
    """A folder of runs with one finished teacher."""
    shutil.copytree(teacher_run, tmp_path / "teacher")
    return tmp_path


DISTILLED = ("--teacher", "resnet14_v1")


def test_the_finished_run_beside_the_output_is_found_and_kept_in_the_record(beside):
    tiny(beside / "run", *DISTILLED, "--quiet")
    record = json.loads((beside / "run" / "record.json").read_text(encoding="utf-8"))
    sha256 = read_weights(beside / "teacher").sha256
    assert record["model"]["teacher"]["name"] == "resnet14_v1"
    assert record["model"]["teacher"]["sha256"] == sha256
    assert read_run(beside / "run")["teacher"]["sha256"] == sha256


def test_an_unfinished_run_is_no_teacher(beside):
    path = beside / "teacher" / "record.json"
    path.write_text(path.read_text().replace('"completed"', '"stopped"'), encoding="utf-8")
    done = command(*TINY, *DISTILLED, "--out", beside / "run")
    assert done.code == 65
    assert "no finished run" in done.err


@pytest.fixture
def two(beside):
    """A folder of runs with two finished teachers that differ."""
    tiny(beside / "second", "--model", "resnet14_v1", "--num-epochs", "1", "--seed", "9", "--quiet")
    return beside


def test_two_teachers_that_differ_are_listed_and_one_is_asked_for(two):
    done = command(*TINY, *DISTILLED, "--out", two / "run")
    assert done.code == 65
    assert str(two / "teacher") in done.err
    assert str(two / "second") in done.err
    assert "--teacher-params" in done.err
    tiny(two / "run", *DISTILLED, "--teacher-params", two / "second", "--max-steps", "1")


def test_a_run_goes_on_with_its_teacher_when_a_second_one_has_finished(beside):
    tiny(beside / "run", *DISTILLED, "--max-steps", "2", "--quiet")
    tiny(beside / "second", "--model", "resnet14_v1", "--num-epochs", "1", "--seed", "9", "--quiet")
    tiny(beside / "run", *DISTILLED, "--quiet")
    assert read_run(beside / "run")["teacher"]["sha256"] == read_weights(beside / "teacher").sha256


def test_parameters_from_any_kind_of_file_are_the_same_teacher(tmp_path, teacher_run):
    weights = read_weights(teacher_run)
    (tmp_path / "bare.params").write_bytes(dump_params(weights.parameters))
    checkpoint = sorted(teacher_run.glob("ckpt-*.safetensors"))[-1]
    states = []
    for number, source in enumerate((teacher_run, checkpoint, tmp_path / "bare.params")):
        run = tmp_path / f"run{number}"
        words = (*DISTILLED, "--teacher-params", source, "--normalization", "imagenet")
        done = tiny(run, *words, "--max-steps", "2")
        assert read_run(run)["teacher"]["sha256"] == weights.sha256
        assert ("names no classes: only their number was compared" in done.out) == (number == 2)
        states.append(final_state(run)[0])
    # A bare file says no normalisation: the data set's own is taken.
    assert states[0] == states[1]


def test_a_teacher_of_another_class_count_is_refused(tmp_path, teacher_run):
    done = command(*TINY, *DISTILLED, "--teacher-params", teacher_run, "--classes", "12",
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 65
    assert "has 10 classes, the student 12" in done.err
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_network_is_refused(tmp_path, teacher_run):
    done = command(*TINY, "--teacher", "resnet20_v1", "--teacher-params", teacher_run,
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 2
    assert "holds 'resnet14_v1', not 'resnet20_v1'" in done.err
    bare = tmp_path / "bare.params"
    bare.write_bytes(dump_params(read_weights(teacher_run).parameters))
    done = command(*TINY, "--teacher", "resnet20_v1", "--teacher-params", bare,
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 65
    assert "error: 'bare.params' holds the parameters of another network" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "run").exists()


def test_a_run_refuses_to_go_on_with_another_teacher(two):
    tiny(two / "run", *DISTILLED, "--teacher-params", two / "teacher", "--max-steps", "2")
    done = command(*TINY, *DISTILLED, "--teacher-params", two / "second", "--out", two / "run")
    assert done.code in (2, 81)
    assert "teacher" in done.err


def test_a_damaged_teacher_is_refused(tmp_path, teacher_run):
    bad = shutil.copytree(teacher_run, tmp_path / "bad")
    path = sorted(bad.glob("ckpt-*"))[-1]
    path.write_bytes(path.read_bytes()[:-1])
    done = command(*TINY, *DISTILLED, "--teacher-params", bad, "--out", tmp_path / "run")
    assert done.code == 81
    (tmp_path / "cut.params").write_bytes(b"\x12\x01" + bytes(30))
    done = command(*TINY, *DISTILLED, "--teacher-params", tmp_path / "cut.params",
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 65
    assert not (tmp_path / "run").exists()


def test_teacher_options_without_a_teacher_are_refused(tmp_path):
    for words in (("--teacher-cache",), ("--teacher-params", "x"), ("--temperature", "4")):
        done = command(*TINY, *words, "--out", tmp_path / "run")
        assert done.code == 2
        assert "no effect" in done.err
