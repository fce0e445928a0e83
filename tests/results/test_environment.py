"""What is recorded of the machine and of the code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gluontricks.results import environment, registry
from gluontricks.results.schema import FIELDS

ROOT = Path(__file__).resolve().parents[2]


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_groups_have_the_fields_of_the_form() -> None:
    assert set(environment.hardware()) == set(FIELDS["hardware"])
    assert set(environment.code()) == set(FIELDS["code"])
    assert set(FIELDS["software"]) <= set(environment.software())


def test_threads_are_the_ones_given_else_the_variables(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment.hardware()["threads"] == 3
    assert environment.hardware(threads=2)["threads"] == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert environment.hardware()["threads"] is None


def test_a_graphics_card_is_read_from_its_driver(tmp_path: Path) -> None:
    assert environment.graphics_card(tmp_path) is None
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    assert environment.graphics_card(tmp_path) == "NVIDIA H200"


def test_a_revision_is_dirty_when_tracked_files_or_the_package_changed(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("1\n")
    git(tmp_path, "init", "-q")
    assert environment.revision(package) == (None, True)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit, dirty = environment.revision(package)
    assert commit is not None
    assert (len(commit), dirty) == (40, False)
    (tmp_path / "notes.txt").write_text("beside the package\n")
    assert environment.revision(package) == (commit, False)
    (package / "b.py").write_text("2\n")
    assert environment.revision(package) == (commit, True)


def test_a_copy_inside_another_checkout_has_no_revision(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    package = tmp_path / "venv" / "site-packages" / "package"
    package.mkdir(parents=True)
    assert environment.revision(package) == (None, None)


def test_committed_records_still_mean_what_they_meant() -> None:
    assert [finding for finding in registry.verify(ROOT / "results") if finding.serious] == []


def test_a_run_that_joined_the_results_makes_no_code_dirty(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    for folder, name in ((package, "a.py"), (tmp_path / "results", "HEADS.json")):
        folder.mkdir()
        (folder / name).write_text("1\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "results" / "HEADS.json").write_text("2\n")
    (tmp_path / "results" / "new.jsonl").write_text("3\n")
    assert environment.revision(package)[1] is False
    (package / "a.py").write_text("2\n")
    assert environment.revision(package)[1] is True
