"""Verifying what lies beside the registry, and the commands that look runs up."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from running import command

from gluontricks.data import load_split
from gluontricks.files import sha256_bytes
from gluontricks.results import registry
from gluontricks.results.records import write_record

RESULTS = Path(__file__).resolve().parents[2] / "results"


def answers(labels, right):
    """The stored predictions of a run that has the first ``right`` images right."""
    labels = np.asarray(labels, dtype=np.uint16)
    predicted = np.where(np.arange(len(labels)) < right, labels, labels + 1)
    content = io.BytesIO()
    np.savez_compressed(content, predicted=predicted.astype(np.uint16), labels=labels)
    return content.getvalue()


@pytest.fixture
def keep(record, tmp_path, monkeypatch):
    """A function that adds a run with predictions to a registry, where no data are."""
    monkeypatch.setenv("GLUONTRICKS_DATA", str(tmp_path / "no-data"))

    def add(name, seed, right, *, labels=None, said=None):
        labels = np.arange(1000) % 100 if labels is None else labels
        content = answers(labels, right)
        made = record(name, seed, 100 * right / len(labels) if said is None else said)
        made["metrics"]["predictions_sha256"] = sha256_bytes(content)
        run = tmp_path / "runs-of-test" / made["run_id"]
        run.mkdir(parents=True)
        write_record(run / "record.json", made)
        (run / "predictions.npz").write_bytes(content)
        return registry.add(run, tmp_path / "results", writer="a")["run_id"]

    return add


def verify(tmp_path, *words):
    return command("results", "verify", "--results", tmp_path / "results", *words)


def test_verify_recomputes_the_accuracy_from_stored_predictions(keep, tmp_path) -> None:
    run = keep("stitch-III-mixup", 0, 790)
    done = verify(tmp_path)
    assert done.code == 0, done.err
    assert "predictions of 1 runs give the accuracy of their records, 0 are absent" in done.out
    other = keep("stitch-III-mixup", 1, 790, said=79.1)
    done = verify(tmp_path)
    assert done.code == 81
    assert f"predictions/{other}.npz  its top-1 is 79.0000, the record's 79.1" in done.out
    assert run not in done.out


def test_edited_predictions_are_found_and_absent_ones_are_no_failure(keep, tmp_path) -> None:
    run = keep("stitch-III-mixup", 0, 790)
    path = tmp_path / "results" / "predictions" / f"{run}.npz"
    path.write_bytes(answers(np.arange(1000) % 100, 800))
    assert "it is not the file that the record names" in verify(tmp_path).out
    assert verify(tmp_path).code == 81
    path.unlink()
    done = verify(tmp_path)
    assert done.code == 0
    assert "1 are absent" in done.out


def test_where_the_data_are_the_labels_are_compared_with_them(record, tmp_path) -> None:
    labels = load_split("digits", "test").labels
    assert len(labels) == 360
    # A toy run is no result; its data are at hand for a record that claims them.
    from gluontricks.results import artefacts

    good, bad = answers(labels, 90), answers(labels[::-1].copy(), 90)
    folder = tmp_path / "results" / "predictions"
    folder.mkdir(parents=True)
    records = []
    for name, content in (("a", good), ("b", bad)):
        (folder / f"{name}.npz").write_bytes(content)
        made = record("demo-digits-plain", 0, 25.0)
        made["run_id"] = name
        made["metrics"]["predictions_sha256"] = sha256_bytes(content)
        records.append(made)
    checked = artefacts.check(records, tmp_path / "results")
    assert (checked.whole, checked.with_data) == (1, 2)
    (finding,) = checked.findings
    assert (finding.file, finding.problem) == (
        "predictions/b.npz", "its labels are not those of the test images",
    )  # fmt: skip


def test_a_kept_teacher_whose_bytes_changed_is_found(keep, tmp_path) -> None:
    keep("stitch-III-mixup", 0, 790)
    folder = tmp_path / "results" / "teachers" / "x"
    folder.mkdir(parents=True)
    content = b"parameters"
    (folder / f"ckpt-00000000-{sha256_bytes(content)[:16]}.safetensors").write_bytes(content)
    assert verify(tmp_path).code == 0
    (folder / f"ckpt-00000000-{'0' * 16}.safetensors").write_bytes(content)
    assert "teachers/x/ckpt-00000000-0000000000000000.safetensors" in verify(tmp_path).out
    assert verify(tmp_path).code == 81


def test_what_no_record_is_of_is_told_and_in_doubt_where_there_is_no_record(keep, tmp_path) -> None:
    run = keep("stitch-III-mixup", 0, 790)
    results = tmp_path / "results"
    shutil.copy(results / "predictions" / f"{run}.npz", results / "predictions" / "other.npz")
    done = verify(tmp_path)
    assert (done.code, "predictions/other.npz  no record is of this run" in done.out) == (0, True)
    shutil.rmtree(results / "runs")
    assert verify(tmp_path).code == 81


def test_data_that_are_named_must_be_there(keep, tmp_path) -> None:
    keep("stitch-III-mixup", 0, 790)
    done = verify(tmp_path, "--data-dir", tmp_path / "nowhere")
    assert done.code == 65
    assert "there is no folder" in done.err.splitlines()[0]


def test_predictions_that_are_no_archive_are_a_finding(record, tmp_path) -> None:
    folder = tmp_path / "results" / "predictions"
    folder.mkdir(parents=True)
    made = record("stitch-III-mixup", 0, 79.0)
    (folder / f"{made['run_id']}.npz").write_bytes(b"PK\x03\x04 no archive")
    made["metrics"]["predictions_sha256"] = sha256_bytes(b"PK\x03\x04 no archive")
    run = tmp_path / "run"
    run.mkdir()
    write_record(run / "record.json", made)
    registry.add(run, tmp_path / "results", writer="a")
    done = verify(tmp_path)
    assert done.code == 81
    assert f"predictions/{made['run_id']}.npz  it holds no arrays" in done.out


def test_teachers_that_changed_places_cannot_have_taught_their_students(tmp_path) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    one, other = sorted((results / "teachers").iterdir())
    one.rename(results / "place")
    other.rename(one)
    (results / "place").rename(other)
    done = verify(tmp_path)
    assert done.code == 81
    for folder in (one, other):
        assert f"teachers/{folder.name}  its parameters taught none of its students" in done.out


def test_the_committed_results_are_whole() -> None:
    done = command("results", "verify", "--results", RESULTS)
    assert done.code == 0, done.out + done.err


def test_a_broken_chain_is_named_and_nothing_else_is_said(keep, tmp_path) -> None:
    keep("stitch-III-mixup", 0, 790)
    path = tmp_path / "results" / "runs" / "a.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"top1":79.0', b'"top1":89.0'))
    done = verify(tmp_path)
    assert done.code == 81
    assert "a.jsonl:1  it was edited" in done.out
    assert "predictions" not in done.out


def test_show_tells_a_run_by_the_end_of_its_id(keep, tmp_path) -> None:
    run = keep("stitch-III-distill", 3, 790)
    where = ("--results", tmp_path / "results")
    done = command("results", "show", run[-6:], *where)
    assert done.code == 0, done.err
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines() if len(line.split()) > 1)
    assert (facts["run"], facts["seed"], facts["top-1"]) == (run, "3", "79.00 %")
    assert facts["predictions"] == f"predictions/{run}.npz"
    assert facts["teacher"].startswith("resnext29_16x64d, parameters abab")
    told = command("results", "show", run, *where, "--json").document
    assert told["run_id"] == run
    wrong = command("results", "show", "01XXXXXX", *where)
    assert wrong.code == 2
    assert "unknown run '01XXXXXX'" in wrong.err


def test_show_tells_what_an_authors_log_knows_and_nothing_it_does_not() -> None:
    log = next(r for r in registry.load(RESULTS) if r["source"])
    done = command("results", "show", log["run_id"], "--results", RESULTS)
    assert done.code == 0, done.err
    names = {line[:18].strip() for line in done.out.splitlines()}
    assert {"run", "label", "log", "log's hash", "log's origin"} <= names
    assert not names & {"seed", "recipe", "hardware", "resumed", "code"}
    assert "None" not in done.out


def test_compare_of_two_runs_tells_fields_results_and_mcnemars_test(keep, tmp_path) -> None:
    one = keep("stitch-III-cosine", 0, 700)
    other = keep("stitch-III-smoothing", 0, 740)
    words = ("results", "compare", one, other, "--results", tmp_path / "results")
    told = command(*words, "--json").document
    assert told["mcnemar"] == {
        "images": 1000, "both": 700, "only_first": 0, "only_second": 40,
        "p": pytest.approx(2 * 0.5**40),
    }  # fmt: skip
    assert any(field.startswith("label_smoothing") for field in told["fields"])
    text = command(*words).out
    assert "McNemar on 1000 images: 700 right in both, 0 in the first alone, 40" in text


def test_compare_of_other_images_or_absent_predictions_has_no_test(keep, tmp_path) -> None:
    one = keep("stitch-III-cosine", 0, 700)
    other = keep("stitch-III-cosine", 1, 700, labels=np.arange(1000) % 20)
    words = ("results", "compare", one, other, "--results", tmp_path / "results")
    assert "the two answered other images" in command(*words).out
    (tmp_path / "results" / "predictions" / f"{other}.npz").unlink()
    assert "not in this clone" in command(*words).out


def test_compare_of_two_recipes_pairs_their_seeds_in_each_setting(keep, tmp_path) -> None:
    for seed, (a, b) in enumerate([(700, 720), (710, 715), (705, 730)]):
        keep("stitch-III-cosine", seed, a)
        keep("stitch-III-smoothing", seed, b)
    words = ("results", "compare", "stitch-III-smoothing", "stitch-III-cosine")
    where = ("--results", tmp_path / "results")
    (told,) = command(*words, *where, "--json").document
    assert told["mean"] == pytest.approx((2.0 + 0.5 + 2.5) / 3)
    assert (told["pairs"], told["sign_flip"]) == (3, 0.25)
    assert "+1.67 (95 % interval" in command(*words, *where).out
    # A run of Table III's mixup is one of Table V's first row.
    keep("stitch-III-mixup", 0, 760)
    (shared,) = command(
        "results", "compare", "stitch-V-interp", "stitch-III-cosine", *where, "--json"
    ).document
    assert (shared["pairs"], shared["mean"]) == (1, pytest.approx(6.0))
    none = command("results", "compare", "stitch-V-vertical", "stitch-III-cosine", *where)
    assert none.code == 2
    assert "no run of 'stitch-V-vertical'" in none.err
    wrong = command("results", "compare", "stitch-III-mixpu", "stitch-III-cosine", *where)
    assert "did you mean 'stitch-III-mixup'" in wrong.err


def test_the_checklist_of_a_table_is_filled_in_from_its_records(keep, tmp_path) -> None:
    for seed in range(2):
        keep("stitch-V-interp", seed, 790)
    where = ("--results", tmp_path / "results")
    told = command("results", "checklist", "stitch-mixup/V", *where, "--json").document
    items = told["stitch-mixup/V"]
    assert items["number of runs"] == "2 runs in each of 1 cells; seeds 0, 1"
    assert "50,000 training and 10,000 test images, 100 classes" in items["data"]
    assert items["runs that failed"] == "none"
    keep("stitch-V-interp", 1, 700)
    again = command("results", "checklist", "stitch-mixup/V", *where, "--json").document
    assert again["stitch-mixup/V"]["runs that failed"] == "none"
    # Epochs of 90, 31, 32 and 33 seconds, in two runs.
    assert again["stitch-mixup/V"]["time"] == "0.1 h of epochs in 2 runs"
    for name in ("selection", "statistics", "infrastructure", "what seeds vary", "command"):
        assert items[name]
    wrong = command("results", "checklist", "stitch-mixup/VI", *where)
    assert wrong.code == 2
    assert "did you mean 'stitch-mixup/V'" in wrong.err


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("show",), "needs one run"), (("compare", "a"), "needs two names"),
        (("status", "x"), "'x' would have no effect"), (("add",), "needs run directories"),
        (("status", "--data-dir", "x"), "--data-dir would have no effect"),
        (("tables", "--scale", "reduced"), "--scale would have no effect"),
    ],
)  # fmt: skip
def test_names_and_options_that_an_action_has_no_use_for_are_refused(words, cause) -> None:
    done = command("results", *words)
    assert done.code == 2
    assert cause in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("remedy: ")


def test_a_results_folder_without_anything_still_has_its_account(tmp_path) -> None:
    done = command("results", "status", "--json", "--results", tmp_path)
    assert done.document["total"] == 354
    shutil.copy(RESULTS / "complexity.json", tmp_path)
    counted = command("results", "status", "--json", "--results", tmp_path).document
    assert counted["by_status"]["exact"] > done.document["by_status"]["exact"]
    assert json.dumps(counted)


@pytest.mark.parametrize("action", ["verify", "status", "show", "tables", "checklist", "report"])
def test_a_results_folder_that_is_not_there_is_named_and_not_made(tmp_path, action) -> None:
    done = command("results", action, "--results", tmp_path / "none")
    assert done.code == 65
    assert "there is no results folder" in done.err.splitlines()[0]
    assert not (tmp_path / "none").exists()
