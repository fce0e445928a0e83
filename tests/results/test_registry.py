"""The registry finds every edit and every loss, and loses nothing to concurrent writers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from gluontricks.errors import DataError, IntegrityError, UsageError
from gluontricks.files import sha256_bytes
from gluontricks.results import registry
from gluontricks.results.chains import HEADS, line_hash
from gluontricks.results.plain import canonical
from gluontricks.results.schema import OTHER_VERSION

BASELINE = "stitch-III-baseline"


def test_missing_heads_are_named_as_such(finished, tmp_path: Path) -> None:
    for seed in range(2):
        registry.add(finished(BASELINE, seed), tmp_path, writer="a")
    (tmp_path / "runs" / HEADS).unlink()
    assert (HEADS, "it is missing") in [(f.file, f.problem) for f in registry.verify(tmp_path)]


@pytest.mark.parametrize(
    "text", ['{"a": {"length": 5.0, "sha256": "x"}}', "[" * 200_000, '{"a": {}}']
)
def test_heads_that_are_none_are_a_finding_and_no_crash(filled: Path, text: str) -> None:
    (filled / "runs" / HEADS).write_text(text)
    assert any(f.problem.startswith("it cannot be read") for f in serious(filled))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"supersedes": "nobody"}, "which is not there"),
        ({"supersedes": "new"}, "which supersedes it in turn"),
        ({"supersedes": "old", "seed": 7}, "which is of another recipe or seed"),
        ({"supersedes": "old"}, ""),
    ],
)
def test_only_a_record_of_the_same_run_supersedes_another(
    record, tmp_path: Path, changes, problem
) -> None:
    from gluontricks.results.records import write_record

    for name in ("old", "new"):
        seed = changes.get("seed", 0) if name == "new" else 0
        made = record(BASELINE, seed, run_id=name)
        made["supersedes"] = changes["supersedes"] if name == "new" else None
        (tmp_path / name).mkdir()
        write_record(tmp_path / name / "record.json", made)
        registry.add(tmp_path / name, tmp_path / "results", writer="a")
    found = [finding.problem for finding in serious(tmp_path / "results")]
    assert [text for text in found if problem in text] if problem else found == []
    loaded = [entry["run_id"] for entry in registry.load(tmp_path / "results")]
    assert "new" in loaded


def test_a_recipe_of_another_version_is_told_and_nothing_is_to_be_restored(
    record, tmp_path: Path
) -> None:
    made = record(BASELINE, 0)
    made["config"]["resolved"]["field_of_tomorrow"] = 1
    made["config"]["sha256"] = sha256_bytes(canonical(made["config"]["resolved"]).encode())
    entry = {**made, "prev_sha256": "0" * 64}
    entry["line_sha256"] = line_hash(entry)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "a.jsonl").write_text(canonical(entry) + "\n")
    heads = {"a": {"length": 1, "sha256": entry["line_sha256"]}}
    (runs / HEADS).write_text(json.dumps(heads))
    (finding,) = registry.verify(tmp_path)
    assert (finding.problem, finding.serious) == (OTHER_VERSION, False)


def test_a_record_that_is_not_valid_supersedes_nothing(filled: Path) -> None:
    first = registry.load(filled)[0]["run_id"]
    line = registry.canonical({"run_id": "x", "supersedes": first}) + "\n"
    (filled / "runs" / "c.jsonl").write_text(line)
    assert first in [entry["run_id"] for entry in registry.load(filled)]


@pytest.fixture
def filled(finished, tmp_path: Path) -> Path:
    """A registry of three runs by one writer and one by another."""
    for seed, writer in ((0, "a"), (1, "a"), (2, "b"), (3, "a")):
        registry.add(finished(BASELINE, seed), tmp_path / "results", writer=writer)
    return tmp_path / "results"


def serious(results: Path) -> list:
    return [finding for finding in registry.verify(results) if finding.serious]


def test_what_was_added_is_loaded_and_verifies(filled: Path) -> None:
    assert [r["seed"]["root"] for r in registry.load(filled)] == [0, 1, 3, 2]
    assert registry.verify(filled) == []
    heads = json.loads((filled / "runs" / HEADS).read_text())
    assert {writer: head["length"] for writer, head in heads.items()} == {"a": 3, "b": 1}


def test_any_edit_of_one_byte_is_found(filled: Path) -> None:
    pick = random.Random(0)
    for name in ("a.jsonl", "b.jsonl", HEADS):
        path = filled / "runs" / name
        whole = path.read_bytes()
        for place in {0, len(whole) - 2, *pick.sample(range(len(whole) - 1), 80)}:
            new = whole[place] ^ pick.choice([1, 2, 4, 16, 32, 128])
            if name == HEADS and bytes([whole[place]]).isspace() and bytes([new]).isspace():
                continue
            path.write_bytes(whole[:place] + bytes([new]) + whole[place + 1 :])
            assert serious(filled), f"byte {place} of {name}: {whole[place]} -> {new}"
        path.write_bytes(whole)
    assert registry.verify(filled) == []


def test_a_line_with_recomputed_hashes_breaks_the_chain_after_it(filled: Path) -> None:
    path = filled / "runs" / "a.jsonl"
    lines = path.read_bytes().splitlines()
    entry = json.loads(lines[0])
    entry["metrics"]["top1"] = 99.0
    entry["line_sha256"] = registry.line_hash(entry)
    forged = registry.canonical(entry).encode()
    path.write_bytes(b"\n".join([forged, *lines[1:]]) + b"\n")
    assert [finding.line for finding in serious(filled)] == [2]


def test_a_torn_last_line_is_reported_ignored_and_written_over(filled: Path, finished) -> None:
    path = filled / "runs" / "a.jsonl"
    whole = path.read_bytes()
    for cut in (1, 50, 2000):
        path.write_bytes(whole + whole[:cut])
        findings = registry.verify(filled)
        assert [(f.line, f.serious) for f in findings] == [(4, False)]
        assert len(registry.load(filled)) == 4
    registry.add(finished(BASELINE, 4), filled, writer="a")
    assert registry.verify(filled) == []
    assert len(registry.load(filled)) == 5


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_missing_tail_is_found_and_nothing_is_added_to_it(
    filled: Path, finished, kept: int
) -> None:
    path = filled / "runs" / "a.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    assert [f.problem for f in serious(filled)] == [
        f"{3 - kept} of its 3 lines are missing at the end"
    ]
    with pytest.raises(IntegrityError, match="missing at the end"):
        registry.add(finished(BASELINE, 5), filled, writer="a")


def test_a_missing_file_and_a_removed_line_are_found(filled: Path) -> None:
    path = filled / "runs" / "a.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    assert serious(filled)
    path.unlink()
    assert [f.file for f in serious(filled)] == ["a.jsonl"]


def test_an_addition_cut_short_before_its_head_was_noted_goes_on(filled: Path, finished) -> None:
    heads = (filled / "runs" / HEADS).read_bytes()
    registry.add(finished(BASELINE, 6), filled, writer="a")
    (filled / "runs" / HEADS).write_bytes(heads)
    assert [f.serious for f in registry.verify(filled)] == [False]
    registry.add(finished(BASELINE, 7), filled, writer="a")
    assert registry.verify(filled) == []


def test_adding_a_run_twice_changes_nothing(filled: Path, finished) -> None:
    run = finished(BASELINE, 8)
    registry.add(run, filled, writer="a")
    before = (filled / "runs" / "a.jsonl").read_bytes()
    registry.add(run, filled, writer="b")
    assert (filled / "runs" / "a.jsonl").read_bytes() == before
    record = json.loads((run / "record.json").read_text())
    record["resumes"] = 5
    (run / "record.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="another run"):
        registry.add(run, filled, writer="a")


def test_a_superseded_record_is_kept_and_not_loaded(filled: Path, finished) -> None:
    wrong = registry.load(filled)[0]["run_id"]
    registry.add(finished(BASELINE, 0, supersedes=wrong), filled, writer="b")
    assert wrong not in [r["run_id"] for r in registry.load(filled)]
    assert wrong in (filled / "runs" / "a.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "changes", "error", "words"),
    [
        (BASELINE, {"status": "stopped"}, UsageError, "stopped, not over"),
        (BASELINE, {"scale": "smoke"}, UsageError, "smoke run"),
        ("demo-digits-plain", {}, UsageError, "toy data"),
    ],
)
def test_only_results_that_are_over_enter(finished, tmp_path, name, changes, error, words) -> None:
    with pytest.raises(error, match=words):
        registry.add(finished(name, **changes), tmp_path / "results", writer="a")
    assert registry.load(tmp_path / "results") == []


def test_failed_and_diverged_runs_enter_with_their_reason(finished, tmp_path) -> None:
    for seed, status in enumerate(("failed", "diverged")):
        run = finished(BASELINE, seed, status=status, reason="loss is nan", top1=None)
        registry.add(run, tmp_path / "results", writer="a")
    assert [r["reason"] for r in registry.load(tmp_path / "results")] == ["loss is nan"] * 2


def test_a_folder_without_a_valid_record_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"no record\.json"):
        registry.add(tmp_path, tmp_path / "results")
    for text in ("{", "[]", '{"schema": 1}', "[" * 100000):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(DataError, match="record.json"):
            registry.add(tmp_path, tmp_path / "results")


def test_predictions_are_kept_by_run_and_must_be_the_records(finished, tmp_path) -> None:
    run = finished(BASELINE)
    (run / "predictions.npz").write_bytes(b"predictions")
    entry = registry.add(run, tmp_path / "results", writer="a")
    kept = tmp_path / "results" / "predictions" / f"{entry['run_id']}.npz"
    assert kept.read_bytes() == b"predictions"
    other = finished(BASELINE, 1)
    record = json.loads((other / "record.json").read_text())
    record["metrics"]["predictions_sha256"] = "0" * 64
    (other / "record.json").write_text(json.dumps(record))
    (other / "predictions.npz").write_bytes(b"predictions")
    with pytest.raises(IntegrityError, match="not the file"):
        registry.add(other, tmp_path / "results", writer="a")


def test_hostile_lines_are_findings_and_no_crash(filled: Path) -> None:
    path = filled / "runs" / "a.jsonl"
    whole = path.read_bytes()
    for line in (b"[]", b"NaN", b'{"run_id": NaN}', b'{"run_id":"x","a":1e999}', b"\xff\xfe",
                 b"[" * 100000, b'{"run_id":"x","supersedes":[1]}', b""):  # fmt: skip
        path.write_bytes(whole + line + b"\n")
        assert serious(filled), line[:40]
    path.write_bytes(whole)
    for text in ("[]", '{"a": 1}', '{"a": {"length": -1, "sha256": ""}}', "{", '"x"'):
        (filled / "runs" / HEADS).write_text(text)
        assert serious(filled), text


def test_a_checkout_keeps_one_writer_id_outside_its_tree(tmp_path) -> None:
    plain = tmp_path / "plain" / "results"
    plain.mkdir(parents=True)
    if registry.git(plain, "rev-parse", "--git-dir") is None:
        assert registry.writer_id(plain) == registry.writer_id(plain)
        assert (plain / ".gluontricks-writer").is_file()
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    (checkout / "results").mkdir()
    first = registry.writer_id(checkout / "results")
    assert first == registry.writer_id(checkout / "results")
    assert (checkout / ".git" / "gluontricks-writer").read_text().strip() == first
    assert list((checkout / "results").iterdir()) == []


@pytest.mark.parametrize("writers", [["w0", "w1", "w2", "w3"], ["one"] * 4])
def test_four_processes_adding_twenty_runs_each_lose_none(
    finished, tmp_path, writers: list
) -> None:
    results = tmp_path / "results"
    program = (
        "import sys; from gluontricks.results import registry\n"
        "for run in sys.argv[3:]: registry.add(run, sys.argv[1], writer=sys.argv[2])\n"
    )
    runs = [[finished(BASELINE, 20 * i + k) for k in range(20)] for i in range(4)]
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(results), writer, *map(str, mine)])
        for writer, mine in zip(writers, runs)
    ]
    assert [child.wait(timeout=120) for child in children] == [0, 0, 0, 0]
    assert registry.verify(results) == []
    loaded = registry.load(results)
    assert sorted(r["seed"]["root"] for r in loaded) == list(range(80))
    assert sorted(p.stem for p in (results / "runs").glob("*.jsonl")) == sorted(set(writers))
