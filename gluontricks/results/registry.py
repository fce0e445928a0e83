"""The registry: finished runs, one hash chain per writer, to which lines are only added.

``runs/<writer>.jsonl`` holds a record per line, with the hash of the line before and its own.
``runs/HEADS.json`` holds the length and last hash of every chain, so that a missing tail is found.
A writer is one checkout; nobody adds to another's chain, so that two machines never conflict.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

from filelock import FileLock, Timeout

from gluontricks.errors import DataError, IntegrityError, LockedError, UsageError
from gluontricks.files import (
    make_folder,
    sha256_file,
    sync_folder,
    write_atomic,
    write_error,
)
from gluontricks.results.chains import (
    HEADS,
    Chain,
    Finding,
    Record,
    chains,
    line_hash,
    parsed,
    read_heads,
    verify_chain,
    verify_head,
    without,
)
from gluontricks.results.environment import git
from gluontricks.results.plain import canonical
from gluontricks.results.records import label_of
from gluontricks.results.schema import CHAIN, validate

RECORD = "record.json"
PREDICTIONS = "predictions.npz"
WRITER = "gluontricks-writer"
FINAL = ("completed", "failed", "diverged")
WAIT_SECONDS = 120


def add(
    run_dir: Union[str, Path], results_dir: Union[str, Path], *, writer: Optional[str] = None
) -> Record:
    """Add the finished run in ``run_dir`` to the registry and return its entry.

    Its predictions, if there are any, are kept as ``predictions/<run id>.npz``. Adding the same
    run again changes nothing.

    Raises
    ------
    DataError
        If there is no record, or no valid one.
    UsageError
        If the run is not over, is a smoke run, or another run has its id.
    IntegrityError
        If the writer's chain lost lines, or the predictions are not those of the record.
    LockedError
        If another process holds the registry for long.
    """
    run_dir, results_dir = Path(run_dir), Path(results_dir)
    record = read_record(run_dir)
    runs = make_folder(results_dir / "runs")
    with _locked(runs):
        for entry in entries(results_dir):
            if entry["run_id"] == record["run_id"]:
                return _same(entry, record)
        _keep_predictions(run_dir, results_dir, record)
        return _append(runs, writer or writer_id(results_dir), record)


def add_foreign(
    records: Sequence[Record], results_dir: Union[str, Path], *, writer: str
) -> List[Tuple[Record, bool]]:
    """Add valid records of others' runs; return for each its entry, and whether that is new.

    A record is known by the SHA-256 of its source. One of the same file that says something else
    is added under a new id and supersedes the old one.

    Raises
    ------
    IntegrityError
        If the writer's chain lost lines.
    LockedError
        If another process holds the registry for long.
    """
    results_dir = Path(results_dir)
    runs = make_folder(results_dir / "runs")
    done: List[Tuple[Record, bool]] = []
    with _locked(runs):
        known: Dict[str, List[Record]] = {}
        for entry in entries(results_dir):
            if entry.get("source"):
                known.setdefault(entry["source"]["sha256"], []).append(entry)
        for record in records:
            before = known.setdefault(record["source"]["sha256"], [])
            if before and not _says_else(before[-1], record):
                done.append((before[-1], False))
                continue
            if before:
                name = f"{record['run_id']}-{len(before) + 1}"
                record = {**record, "run_id": name, "supersedes": before[-1]["run_id"]}
            before.append(_append(runs, writer, record))
            done.append((before[-1], True))
    return done


def _says_else(entry: Record, record: Record) -> bool:
    """Return whether a record of the very file of ``entry`` has another content."""
    one, other = (
        {**without(each, "run_id", "supersedes", *CHAIN),
         "source": without(each["source"], "origin")}
        for each in (entry, record)
    )  # fmt: skip
    same_file = entry["source"]["file"] == record["source"]["file"]
    return same_file and canonical(one) != canonical(other)


def read_record(run_dir: Path) -> Record:
    """Return the record of a run directory, fit for the registry.

    Raises
    ------
    DataError
        If there is no valid record.
    UsageError
        If the run is not over, or a smoke run.
    """
    record = run_record(run_dir)
    if record["status"] not in FINAL:
        raise UsageError(
            f"run '{record['run_id']}' is {record['status']}, not over",
            "give the same training command again: it goes on to its end",
        )
    if record["label"] == "SMOKE":
        raise UsageError(
            f"run '{record['run_id']}' is a smoke run or one on toy data",
            "the registry holds results only; its record stays in its own folder",
        )
    return record


def run_record(run_dir: Path) -> Record:
    """Return the record of a run directory, whatever became of the run.

    Raises
    ------
    DataError
        If there is no valid record.
    """
    path = run_dir / RECORD
    try:
        record = parsed(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"there is no {RECORD} in '{run_dir.name}'", "name the folder of a run"
        ) from None
    if record is None:
        raise DataError(f"'{path.name}' of '{run_dir.name}' is no record", "run it again")
    problems = validate(record)
    if problems:
        raise DataError(f"'{path.name}' is not valid: {'; '.join(problems[:3])}", "run it again")
    record["label"] = label_of(record)
    return record


def load(results_dir: Union[str, Path]) -> List[Record]:
    """Return all records of the registry, by writer and then in the order they were added.

    Superseded records are left out, and so is an unfinished last line. This reads; whether the
    chains are unbroken is for :func:`verify`.

    Raises
    ------
    IntegrityError
        If a line in a chain is no record.
    """
    records = entries(Path(results_dir))
    replaced = replacements(records)
    return [entry for entry in records if entry["run_id"] not in replaced]


def replacements(records: Sequence[Record]) -> Dict[str, Record]:
    """Return run id -> the valid record that supersedes it; none supersedes itself."""
    return {
        str(entry["supersedes"]): entry
        for entry in records
        if entry.get("supersedes")
        and entry["supersedes"] != entry["run_id"]
        and not validate(entry)
    }


def wrong_replacements(records: Sequence[Record]) -> List[Finding]:
    """Return what is wrong with the runs that records say they supersede."""
    by_id = {entry["run_id"]: entry for entry in records}
    found: List[Finding] = []
    for entry in records:
        old = by_id.get(str(entry.get("supersedes")))
        if not entry.get("supersedes"):
            continue
        problem = ""
        if old is None:
            problem = "is not there"
        elif old is entry or old.get("supersedes") == entry["run_id"]:
            problem = "supersedes it in turn"
        elif any(old.get(name) != entry.get(name) for name in ("fingerprint", "seed")):
            problem = "is of another recipe or seed"
        if problem:
            text = f"run '{entry['run_id']}' supersedes '{entry['supersedes']}', which {problem}"
            found.append(Finding("runs", None, text))
    return found


def entries(results_dir: Path) -> List[Record]:
    """Return what :func:`load` does, superseded records included."""
    records: List[Record] = []
    for chain in chains(results_dir / "runs"):
        for number, line in enumerate(chain.lines, start=1):
            entry = parsed(line)
            if entry is None:
                raise IntegrityError(
                    f"line {number} of runs/{chain.writer}.jsonl is no record",
                    "restore the file from git; `gluontricks results verify` lists what differs",
                )
            records.append(entry)
    return records


def verify(results_dir: Union[str, Path]) -> List[Finding]:
    """Return everything that is not as it was added; an empty list if all is.

    Each line must be what its hash says and follow the line before, and each chain must be as
    long as ``HEADS.json`` says. A torn last line is reported and not serious: it was never added.
    """
    runs = Path(results_dir) / "runs"
    heads, findings = read_heads(runs)
    found = {chain.writer: chain for chain in chains(runs)}
    for chain in found.values():
        findings += verify_chain(chain)
    for writer in sorted({*heads, *found}):
        chain = found.get(writer, Chain(writer, (), 0))
        findings += verify_head(chain, heads.get(writer))
    records = [entry for chain in found.values() for entry in map(parsed, chain.lines)
               if entry is not None]  # fmt: skip
    findings += wrong_replacements(records)
    ids = [entry["run_id"] for entry in records]
    twice = sorted({run_id for run_id in ids if ids.count(run_id) > 1})
    return findings + [Finding("runs", None, f"run '{i}' was added twice") for i in twice]


def writer_id(results_dir: Path) -> str:
    """Return the random id of this checkout, made the first time and kept beside git's own files.

    Without git it is kept in ``.gluontricks-writer`` in the results folder.
    """
    folder = git(results_dir, "rev-parse", "--absolute-git-dir")
    place = Path(folder.strip()) / WRITER if folder else results_dir / f".{WRITER}"
    try:
        known = place.read_text(encoding="ascii").strip()
        if re.fullmatch(r"[0-9a-f]{12}", known):
            return known
    except (OSError, UnicodeDecodeError):
        pass
    new = uuid.uuid4().hex[:12]
    write_atomic(place, new + "\n")
    return new


@contextmanager
def _locked(runs: Path) -> Iterator[None]:
    """Hold the lock of the registry."""
    try:
        with FileLock(str(runs / ".lock"), timeout=WAIT_SECONDS):
            yield
    except Timeout:
        raise LockedError(
            f"another process has held the registry for {WAIT_SECONDS} s",
            "wait for it to end, then give the same command again",
        ) from None


def _same(entry: Record, record: Record) -> Record:
    """Return ``entry`` if it is ``record`` as added before; raise if only their ids agree."""
    if canonical(without(entry, *CHAIN)) != canonical(record):
        raise UsageError(
            f"the registry holds another run '{record['run_id']}'",
            "a correction is a new record with its own run_id, and the old one in 'supersedes'",
        )
    return entry


def _keep_predictions(run_dir: Path, results_dir: Path, record: Record) -> None:
    """Copy the predictions of a run into the results, if it has any."""
    source = run_dir / PREDICTIONS
    if not source.is_file():
        return
    expected = record["metrics"]["predictions_sha256"]
    if expected is not None and sha256_file(source) != expected:
        raise IntegrityError(
            f"{PREDICTIONS} of run '{record['run_id']}' is not the file its record names",
            "evaluate the run again",
        )
    folder = make_folder(results_dir / "predictions")
    write_atomic(folder / f"{record['run_id']}.npz", source.read_bytes())


def _append(runs: Path, writer: str, record: Record) -> Record:
    """Add one line to a writer's chain and note its new head. The lock is held."""
    if not re.fullmatch(r"[\w-]{1,64}", writer):
        raise UsageError(f"'{writer}' is no writer's name", "use letters, digits, - and _")
    heads, problems = read_heads(runs)
    path = runs / f"{writer}.jsonl"
    chain = next((c for c in chains(runs) if c.writer == writer), Chain(writer, (), 0))
    problems += [f for f in verify_head(chain, heads.get(writer)) if f.serious]
    if problems:
        raise IntegrityError(
            f"runs/{problems[0].file} cannot go on: {problems[0].problem}",
            "restore the folder results/runs from git",
        )
    entry = {**record, "prev_sha256": chain.head}
    entry["line_sha256"] = line_hash(entry)
    line = canonical(entry).encode() + b"\n"
    try:
        with open(path, "ab") as stream:
            stream.truncate(stream.seek(0, os.SEEK_END) - chain.torn)
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(runs)
    except OSError as error:
        raise write_error(error, path, len(line)) from error
    heads[writer] = {"length": len(chain.lines) + 1, "sha256": entry["line_sha256"]}
    write_atomic(runs / HEADS, json.dumps(heads, indent=1, sort_keys=True) + "\n")
    return entry
