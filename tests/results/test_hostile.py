"""A registry whose lines hold anything: said, left out, and nothing else breaks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from running import command

from gluontricks.figures.make import all_figures
from gluontricks.files import sha256_bytes
from gluontricks.report.make import page
from gluontricks.results import registry
from gluontricks.results.chains import START, line_hash
from gluontricks.results.make import all_tables
from gluontricks.results.plain import canonical

RESULTS = Path(__file__).resolve().parents[2] / "results"


def chained(entries):
    """Return lines as a chain whose hashes are right, whatever the entries hold."""
    lines, before = [], START
    for entry in entries:
        entry = {**entry, "prev_sha256": before}
        entry["line_sha256"] = before = line_hash(entry)
        lines.append(canonical(entry))
    return "".join(line + "\n" for line in lines)


def forged(record, **changes):
    """Return the config of a record with other fields, and the hash that these have."""
    resolved = {**record["config"]["resolved"], **changes}
    return {"resolved": resolved, "sha256": sha256_bytes(canonical(resolved).encode())}


@pytest.fixture
def odd(record, tmp_path):
    """The committed results, and a chain of records that lack fields or hold others' kinds."""
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results, ignore=shutil.ignore_patterns("*.safetensors"))
    whole = record("stitch-III-mixup", 0, 78.0)
    entries = [{"run_id": "bare"}, {**whole, "run_id": "kinds", "metrics": [1], "epochs": "x"}]
    entries += [
        {k: v for k, v in {**whole, "run_id": f"no-{name}"}.items() if k != name}
        for name in ("source", "metrics", "config", "seed", "status", "hardware", "rows")
    ]
    entries.append({**whole, "run_id": "high", "metrics": {**whole["metrics"], "top1": 1e9}})
    # Nulls where everything that reads a record takes them for texts and objects.
    entries += [
        {**whole, "run_id": "null-epoch", "epochs": [None]},
        {**whole, "run_id": "null-row", "rows": [None]},
        {**whole, "run_id": "null-word", "code": {**whole["code"], "command": [None]}},
        {**whole, "run_id": "null-seed", "seed": None},
        {**whole, "run_id": "no-name", "config": forged(whole, dataset={"a": 1})},
    ]
    (results / "runs" / "odd.jsonl").write_text(chained(entries))
    return results


def test_tables_page_and_figures_are_made_without_the_records_that_are_not_valid(odd) -> None:
    tables = all_tables(odd)
    assert "Record no-metrics is not valid and is left out." in tables["stitch-mixup-table-3.md"]
    assert "78.00" not in tables["stitch-mixup-table-3.md"]
    text = page(odd)
    assert "15 records are not valid and are left out." in text
    assert "run-no-metrics" not in text
    assert all_figures(odd)


@pytest.mark.parametrize(
    "words", [("status",), ("checklist", "stitch-mixup/III"), ("tables",), ("report",)]
)
def test_no_action_breaks_on_them(odd, words) -> None:
    done = command("results", *words, "--results", odd)
    assert done.code == 0, done.err


def test_verify_names_each_of_them(odd) -> None:
    done = command("results", "verify", "--results", odd)
    assert done.code == 81
    for number in range(1, 16):
        assert f"odd.jsonl:{number}  " in done.out


def test_a_run_of_another_version_of_a_reduced_row_is_not_joined_and_is_said(record) -> None:
    from gluontricks.recipes import ABLATIONS, published
    from gluontricks.results.rendering import render_table

    other = record("stitch-III-mixup-reduced", lr=0.1)
    other["rows"] = ["stitch-mixup/III/+ mixup/fine/reduced"]
    good = record("stitch-III-cosine-reduced", 0, 30.0)
    text = render_table(
        ABLATIONS["stitch-mixup/III"], [other, good], published("stitch-mixup", "III"),
        label="MEASURED-REDUCED",
    ).markdown  # fmt: skip
    assert f"Run {other['run_id']} is of another version of stitch-mixup/III/+ mixup/fine" in text
    assert "| + mixup | fine | not run |" in text


def test_a_registry_line_that_is_no_json_is_one_line_of_cause_and_one_of_remedy(tmp_path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "a.jsonl").write_text("not json\n")
    for action in ("status", "tables", "report"):
        done = command("results", action, "--results", tmp_path)
        assert done.code == 81
        assert done.err.splitlines()[0] == "error: line 1 of runs/a.jsonl is no record"
        assert done.err.splitlines()[1].startswith("remedy: ")


def test_a_torn_last_line_is_ignored_and_a_missing_tail_is_found(record, tmp_path) -> None:
    from gluontricks.results.records import write_record

    results = tmp_path / "results"
    for seed in range(2):
        made = record("stitch-III-mixup", seed)
        run = tmp_path / made["run_id"]
        run.mkdir()
        write_record(run / "record.json", made)
        registry.add(run, results, writer="a")
    path = results / "runs" / "a.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps(made).encode()[:50])
    assert command("results", "verify", "--results", results).code == 0
    assert "(2 runs)" in all_tables(results)["stitch-mixup-table-3.md"]
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    done = command("results", "verify", "--results", results)
    assert done.code == 81
    assert "1 of its 2 lines are missing at the end" in done.out
