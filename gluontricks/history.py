"""When and in which setting a run was started and resumed: what its record says of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from gluontricks.files import write_atomic
from gluontricks.processes import processes
from gluontricks.results.environment import hardware, software
from gluontricks.results.records import new_run_id, utc_now
from gluontricks.rundir import read_text

HISTORY_FILE = "history.json"


def note_start(folder: Path, *, engine: str, device: str, threads: int) -> List[Dict[str, Any]]:
    """Add this start to a run's history and return it, the first start first."""
    history = read_history(folder)
    history.append(
        {
            "run_id": history[0]["run_id"] if history else new_run_id(),
            "started": utc_now(),
            "setting": setting(engine, device, threads),
        }
    )
    write_atomic(folder / HISTORY_FILE, json.dumps(history, indent=1) + "\n")
    return history


def read_history(folder: Path) -> List[Dict[str, Any]]:
    """Return the starts of a run."""
    try:
        return json.loads(read_text(folder / HISTORY_FILE) or "[]")
    except ValueError:
        return []


def setting(engine: str, device: str, threads: int) -> Dict[str, Any]:
    """Return all that the last bit of a result depends on beside the recipe."""
    machine, versions = hardware(threads), software()
    return {
        "engine": engine,
        "device": device if device.startswith("cpu") else machine["gpu"] or device,
        "processes": processes().count,
        "threads": threads,
        "cpu": machine["cpu"],
        "versions": {k: v for k, v in versions.items() if isinstance(v, str)},
    }


def is_bitwise(history: List[Dict[str, Any]]) -> bool:
    """Return whether every start was in the setting of the first."""
    return all(start["setting"] == history[0]["setting"] for start in history)


def engines_of(history: List[Dict[str, Any]]) -> str:
    """Return the engine of a run, or several joined by ``+``: their results are never pooled."""
    return "+".join(dict.fromkeys(start["setting"]["engine"] for start in history))
