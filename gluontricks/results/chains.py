"""Hash chains of run records in files: reading them, and finding what is not as it was added."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from gluontricks.files import sha256_bytes
from gluontricks.results.plain import canonical
from gluontricks.results.schema import OTHER_VERSION, validate

HEADS = "HEADS.json"
START = "0" * 64

Record = Dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something that verifying found: where, what, and whether records are in doubt by it."""

    file: str
    line: Optional[int]
    problem: str
    serious: bool = True


@dataclass(frozen=True)
class Chain:
    """One writer's file as read: its whole lines, and how many bytes of a torn one follow."""

    writer: str
    lines: Tuple[bytes, ...]
    torn: int

    @property
    def head(self) -> str:
        """The hash of the last line; empty if that is no record."""
        return hash_of(self.lines[-1]) if self.lines else START


def chains(runs: Path) -> Iterator[Chain]:
    """Yield every writer's chain in ``runs``, by name."""
    for path in sorted(runs.glob("*.jsonl")):
        *lines, rest = path.read_bytes().split(b"\n")
        yield Chain(path.stem, tuple(lines), len(rest))


def line_hash(entry: Record) -> str:
    """Return the hash of an entry: SHA-256 of its canonical JSON without its own hash."""
    return sha256_bytes(canonical(without(entry, "line_sha256")).encode())


def read_heads(runs: Path) -> Tuple[Dict[str, Dict[str, Any]], List[Finding]]:
    """Return writer -> length and last hash, and what is wrong with that file."""
    try:
        heads = json.loads((runs / HEADS).read_text(encoding="utf-8"))
        for head in heads.values():
            whole = type(head["length"]) is int and head["length"] >= 0
            if set(head) != {"length", "sha256"} or not whole:
                raise ValueError("a head is a length and a hash")
    except FileNotFoundError:
        gone = any(chain.lines for chain in chains(runs))
        return {}, [Finding(HEADS, None, "it is missing")] if gone else []
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        return {}, [Finding(HEADS, None, f"it cannot be read: {error}")]
    return heads, []


def verify_chain(chain: Chain) -> Iterator[Finding]:
    """Yield the lines of a chain that are not as they were added."""
    file, before = f"{chain.writer}.jsonl", START
    for number, line in enumerate(chain.lines, start=1):
        entry = parsed(line)
        if entry is None or canonical(entry).encode() != line:
            yield Finding(file, number, "it is no record, or was edited")
            continue
        if entry.get("line_sha256") != line_hash(entry):
            yield Finding(file, number, "it was edited: its hash is another")
        if entry.get("prev_sha256") != before:
            yield Finding(file, number, "it does not follow the line before")
        before = entry.get("line_sha256") or START
        # A newer version's recipe is left out of the tables, and nothing is to be restored.
        yield from (
            Finding(file, number, problem, serious=problem != OTHER_VERSION)
            for problem in validate(entry)
        )
    if chain.torn:
        problem = f"{chain.torn} bytes of a line that was never finished; they are ignored"
        yield Finding(file, len(chain.lines) + 1, problem, serious=False)


def verify_head(chain: Chain, head: Optional[Dict[str, Any]]) -> Iterator[Finding]:
    """Yield how a chain differs from the length and the hash noted for it."""
    file, length = f"{chain.writer}.jsonl", len(chain.lines)
    noted = head["length"] if head else 0
    if length < noted:
        yield Finding(file, None, f"{noted - length} of its {noted} lines are missing at the end")
        return
    if head and noted and hash_of(chain.lines[noted - 1]) != head["sha256"]:
        yield Finding(file, noted, f"its hash is not the one in {HEADS}")
    if length > noted:
        problem = f"{length - noted} lines more than {HEADS} says: the last addition was cut short"
        yield Finding(file, noted + 1, problem, serious=length - noted > 1)


def without(entry: Record, *names: str) -> Record:
    """Return ``entry`` without some fields."""
    return {k: v for k, v in entry.items() if k not in names}


def hash_of(line: bytes) -> str:
    """Return the hash of the record in a line, or nothing if it holds none."""
    entry = parsed(line)
    return "" if entry is None else line_hash(entry)


def parsed(line: bytes) -> Optional[Record]:
    """Return the record that a line holds, or None if it holds none."""
    try:
        entry = json.loads(line)
        canonical(entry)
    except (ValueError, RecursionError):
        return None
    usable = isinstance(entry, dict) and isinstance(entry.get("run_id"), str)
    return entry if usable else None
