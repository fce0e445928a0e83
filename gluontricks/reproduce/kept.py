"""Parameters of teachers, kept beside the registry so that another machine's students have them."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from gluontricks import checkpoints
from gluontricks.teachers import read_weights, write_weights


def keep_teacher(run_dir: Path, results_dir: Path, run_id: str) -> None:
    """Copy a finished run's parameters, without the optimizer's state, to ``teachers/<run id>``."""
    write_weights(place(results_dir, run_id), read_weights(run_dir))


def kept_teacher(results_dir: Path, run_id: str) -> Optional[Path]:
    """Return the folder of the parameters that were kept of a run, or None."""
    folder = place(results_dir, run_id)
    return folder if checkpoints.listing(folder) else None


def place(results_dir: Path, run_id: str) -> Path:
    """Return where a teacher's parameters are kept."""
    return results_dir / "teachers" / run_id
