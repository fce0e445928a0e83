"""Run records for tests: valid ones, of any recipe, without a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from gluontricks.recipes import get_recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.results.records import RunFacts, build_record, new_run_id, write_record

Record = Dict[str, Any]
BEGAN = "2026-01-01T00:00:00Z"


def make_record(name: str, seed: int = 0, top1: Any = 75.0, **changes: Any) -> Record:
    """Return the record of a whole run of recipe ``name``; ``changes`` go to recipe or facts."""
    known = RunFacts.__dataclass_fields__
    recipe = replace(resolve(get_recipe(name)), seed=seed,
                     **{k: v for k, v in changes.items() if k not in known})  # fmt: skip
    facts: Dict[str, Any] = {
        "run_id": new_run_id(), "status": "completed", "started": BEGAN,
        "ended": f"2026-01-02T00:00:{seed:02d}Z",
        **{k: v for k, v in changes.items() if k in known},
    }  # fmt: skip
    teacher = {"name": recipe.teacher, "sha256": "ab" * 32, "fingerprint": "cd" * 8}
    toy = recipe.dataset == "digits"
    return build_record(
        recipe,
        RunFacts(**facts),
        data={"n_train": 1437 if toy else 50000, "n_eval": 360 if toy else 10000,
              "selection": "last_epoch", "train_sha256": "0" * 64, "eval_sha256": "1" * 64,
              "files": [["train.bin", "2" * 64]]},
        model={"params": 861620, "teacher": teacher if recipe.teacher else None},
        metrics={"top1": top1, "top5": None if top1 is None else 95.0, "n": 10000},
        epochs=[{"epoch": e, "lr": 0.1, "loss": 2.0 - e, "top1": top1, "top5": None,
                 "seconds": 90.0 if e == 0 else 30.0 + e} for e in range(4)],
        budget={"epochs": recipe.num_epochs},
    )  # fmt: skip


@pytest.fixture
def record() -> Callable[..., Record]:
    """The function that makes a record."""
    return make_record


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a record into a new run directory and returns that."""

    def write(name: str, seed: int = 0, **changes: Any) -> Path:
        made = make_record(name, seed, **changes)
        folder = tmp_path / "runs-of-test" / made["run_id"]
        folder.mkdir(parents=True)
        write_record(folder / "record.json", made)
        return folder

    return write
