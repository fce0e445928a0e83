"""A run's directory: who holds it, what it is for, and the metrics it has so far."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from gluontricks.errors import IntegrityError, LockedError, UsageError
from gluontricks.files import make_folder, write_atomic, write_error
from gluontricks.recipes.spec import Recipe, difference

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
RECORD_FILE = "record.json"
LOG_FILE = "train.log"
SCHEMA = "gluontricks.rundir/1"


class RunDirectory:
    """The folder of one run, locked while this object is open.

    Parameters
    ----------
    path : Path

    Raises
    ------
    LockedError
        If another process holds it.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        self.path = make_folder(path)
        self.lock = FileLock(str(self.path / ".lock"))
        try:
            self.lock.acquire(timeout=0)
        except Timeout as error:
            holder = read_text(self.path / ".holder") or "another process"
            raise LockedError(
                f"'{path}' is in use by {holder}", "wait for it, or choose another --out"
            ) from error
        try:
            (self.path / ".holder").write_text(f"process {os.getpid()}", encoding="utf-8")
        except OSError as error:
            self.close()
            raise write_error(error, self.path) from error

    def close(self) -> None:
        """Let the next process have the folder."""
        self.lock.release()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def claim(self, recipe: Recipe, identity: Dict[str, Any]) -> None:
        """Note what the folder is for, or prove that it is for this.

        Parameters
        ----------
        recipe : Recipe
            Resolved.
        identity : dict
            What else decides the result or is needed to use it: the teacher's hash, class names.

        Raises
        ------
        UsageError
            If it holds a run of another recipe or with another teacher.
        """
        content = {"schema": SCHEMA, "recipe": recipe.as_dict(), **identity}
        found = read_run(self.path)
        if found is None:
            write_atomic(self.path / RUN_FILE, json.dumps(content, indent=1) + "\n")
            return
        changes = difference(Recipe.from_dict(found["recipe"]), recipe)
        changes += [
            f"{key}: {found.get(key)!r} -> {value!r}"
            for key, value in identity.items()
            if found.get(key) != value
        ]
        if changes:
            raise UsageError(
                f"'{self.path}' holds a run of another recipe ({'; '.join(changes)})",
                "choose another --out, or --no-resume to keep that one aside and start again",
            )

    def cut_metrics(self, step: int) -> List[Dict[str, Any]]:
        """Drop metrics after ``step`` and torn lines; return those that stay."""
        path = self.path / METRICS_FILE
        kept = [event for event in read_metrics(self.path) if event["step"] <= step]
        if path.exists():
            write_atomic(path, "".join(json.dumps(event) + "\n" for event in kept))
        return kept

    def append_metrics(self, event: Dict[str, Any]) -> None:
        """Append one line to the metrics."""
        path = self.path / METRICS_FILE
        try:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(event) + "\n")
        except OSError as error:
            raise write_error(error, path) from error


def read_text(path: Path) -> Optional[str]:
    """Return the text of a file, None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def read_run(path: Path) -> Optional[Dict[str, Any]]:
    """Return what the run directory ``path`` is for, None where it is none.

    Raises
    ------
    IntegrityError
        If its description is damaged.
    """
    text = read_text(path / RUN_FILE)
    if text is None:
        return None
    try:
        content = json.loads(text)
        schema, _ = content["schema"], content["recipe"]
        if schema != SCHEMA:
            raise ValueError(f"schema {schema}")
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"'{path / RUN_FILE}' is damaged ({error})", "choose another --out"
        ) from error
    return content


def read_metrics(path: Path) -> List[Dict[str, Any]]:
    """Return the events of a run's metrics, up to the first torn line."""
    events: List[Dict[str, Any]] = []
    for line in (read_text(path / METRICS_FILE) or "").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            break
        if not isinstance(event, dict) or not isinstance(event.get("step"), int):
            break
        events.append(event)
    return events


def set_aside(path: Path, report: Callable[[str], None]) -> None:
    """Move a run directory out of the way, so that starting again loses nothing."""
    if not (path / RUN_FILE).exists():
        return
    with RunDirectory(path):
        number = 1
        while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
            number += 1
        path.rename(aside)
    report(f"the run that was here is kept in {aside}")
