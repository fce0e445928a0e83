"""Parameters of teachers, kept beside the registry so that another machine's students have them."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from gluontricks import checkpoints
from gluontricks.teachers import read_weights, write_weights

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
