"""``--json``: one document on standard output and nothing else."""

import json
from pathlib import Path

import pytest
from running import TINY, command

RESULTS = str(Path(__file__).resolve().parents[2] / "results")
COMMANDS = [
    ("recipes", "--json"),
    ("recipes", "show", "demo-digits-plain", "--json"),
    ("data", "list", "--json"),
    ("data", "verify", "digits", "--json"),
    ("summary", "resnet8_v1", "--classes", "10", "--json"),
    ("preview", "--dataset", "digits", "--batch-size", "8", "--json"),
    ("results", "verify", "--results", RESULTS, "--json"),
    ("results", "status", "--results", RESULTS, "--json"),
    ("results", "checklist", "stitch-mixup/V", "--results", RESULTS, "--json"),
    ("doctor", "--json"),
    (*TINY, "--max-steps", "1", "--json"),
    (*TINY, "--dry-run", "--json"),
    (*TINY, "--print-config", "--json"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words[:2]) + words[-2])
def test_json_is_one_document_and_nothing_else(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = command(*words)
    assert done.code in ((0, 1) if words[0] == "doctor" else (0,)), done.err
    assert isinstance(json.loads(done.out), (dict, list))


def test_a_run_and_all_that_is_done_with_it_answer_in_json(tmp_path):
    run, model = tmp_path / "run", tmp_path / "model"
    trained = command(*TINY, "--out", run, "--json").document
    assert (trained["status"], trained["step"]) == ("completed", 10)
    assert trained["metrics"]["n"] == 1117
    assert command("evaluate", run, "--json").document["n"] == 360
    assert command("export", run, "--out", model, "--json").document["classes"] == 10
    added = command("results", "add", run, "--results", tmp_path / "results", "--json")
    assert (added.code, added.out) == (2, "")
    assert "is a smoke run" in added.err


def test_an_error_leaves_standard_output_empty(tmp_path):
    done = command("evaluate", tmp_path, "--json")
    assert (done.code, done.out) == (65, "")
    assert done.err.startswith("error: ")


def test_summary_counts_resnet56_as_published():
    found = command("summary", "cifar_resnet56_v1", "--classes", "100", "--json").document
    assert (found["model"], found["params"]) == ("resnet56_v1", 861620)
