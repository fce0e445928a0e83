"""Parameters of teachers, kept beside the registry so that another machine's students have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from gluontricks import checkpoints
from gluontricks.errors import GluontricksError
from gluontricks.results.cells import sound
from gluontricks.results.chains import Finding
from gluontricks.teachers import parameters_hash, read_weights, write_weights

# The results are kept in git: larger parameters stay where their run is.
MOST_BYTES = 4 << 20


def keep_teacher(run_dir: Path, results_dir: Path, run_id: str) -> bool:
    """Copy a finished run's parameters, without the optimizer's state, to ``teachers/<run id>``.

    Return False for parameters of more than 4 MiB, which are not copied.
    """
    weights = read_weights(run_dir)
    if sum(value.nbytes for value in weights.parameters.values()) > MOST_BYTES:
        return False
    write_weights(place(results_dir, run_id), weights)
    return True


def kept_teacher(results_dir: Path, run_id: str) -> Optional[Path]:
    """Return the folder of the parameters that were kept of a run, or None."""
    folder = place(results_dir, run_id)
    return folder if checkpoints.listing(folder) else None


def place(results_dir: Path, run_id: str) -> Path:
    """Return where a teacher's parameters are kept."""
    return results_dir / "teachers" / run_id


def check_teachers(records: Sequence[Mapping[str, Any]], results_dir: Path) -> List[Finding]:
    """Return the kept teachers that cannot have taught the students of their recipe.

    The records of students name the hash of what taught them. Of several teachers of one recipe
    one is enough.
    """
    wanted: Dict[str, Set[str]] = {}
    kept: Dict[str, List[Path]] = {}
    for record in sound(records):
        teacher = (record["model"] or {}).get("teacher") or {}
        if teacher.get("fingerprint"):
            wanted.setdefault(str(teacher["fingerprint"]), set()).add(str(teacher["sha256"]))
        if place(results_dir, str(record["run_id"])).is_dir():
            folder = place(results_dir, str(record["run_id"]))
            kept.setdefault(str(record["fingerprint"]), []).append(folder)
    found: List[Finding] = []
    for fingerprint, folders in kept.items():
        problems = [unlike(folder, wanted.get(fingerprint, set())) for folder in folders]
        if all(problems):
            found += [Finding(f"teachers/{f.name}", None, p) for f, p in zip(folders, problems)]
    return found


def unlike(folder: Path, wanted: Set[str]) -> str:
    """Return how kept parameters differ from those that taught; nothing if nobody was taught."""
    try:
        digest = parameters_hash(read_weights(folder).parameters)
    except GluontricksError as error:
        return f"it cannot be read: {error.cause}"
    return "its parameters taught none of its students" if wanted and digest not in wanted else ""
