"""What the runs of a plan take: seconds from measured throughput, and disk."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from gluontricks.data import dataset_info
from gluontricks.errors import DataError
from gluontricks.files import make_folder, write_atomic
from gluontricks.machine import cpu
from gluontricks.recipes import Recipe
from gluontricks.recipes.hours import GPUS, expected_hours
from gluontricks.reproduce.jobs import Job

FILE = "throughput.json"
# Evaluating an image takes half of training on it, distilling from a teacher a third of training
# that: its forward pass.
EVALUATION, FORWARD = 0.5, 1 / 3
# Two checkpoints of parameters and one optimizer state, four bytes each, and the predictions.
BYTES_PER_PARAMETER, BYTES_PER_IMAGE = 16, 8
TRIAL_SECONDS = 600


@dataclass(frozen=True)
class Machine:
    """What decides how fast runs are: threads of each, and where the data are."""

    threads: int
    data_dir: Optional[Path] = None


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes of one run; None with the reason where nobody has measured them.

    ``trouble`` is the error of a run that cannot begin here.
    """

    seconds: Optional[float]
    disk: int
    source: str
    trouble: Optional[TrialError] = None


class TrialError(DataError):
    """A recipe cannot be tried here; cause and remedy are those of its process."""


class Costs:
    """Estimates, each from a few measured updates, which are kept for the next plan.

    Parameters
    ----------
    folder : Path
        Where the measurements are kept.
    machine : Machine
    """

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.path = folder / FILE
        self.machine = machine
        self.known: Dict[str, Any] = read_known(self.path)
        self.failed: Dict[str, TrialError] = {}

    def of(self, job: Job) -> Cost:
        """Return the cost of a run."""
        recipe = job.recipe
        try:
            own = self.trial(job, recipe)
        except TrialError as error:
            return Cost(None, 0, published_time(recipe) or "not known", error)
        seconds = self.seconds(recipe, own["images_per_s"])
        disk = int(own["params"] * BYTES_PER_PARAMETER + test_images(recipe) * BYTES_PER_IMAGE)
        if job.teacher is None:
            return Cost(seconds, disk, "measured here")
        try:
            speed = self.trial(job, like_teacher(job))["images_per_s"]
        except TrialError:
            # It only predicts in this run, which takes less memory than the trial.
            return Cost(None, disk, "not known")
        return Cost(seconds + images(recipe) * FORWARD / speed, disk, "measured here")

    def seconds(self, recipe: Recipe, speed: float) -> float:
        """Return the seconds of a run without a teacher, at so many images per second."""
        evaluated = (recipe.num_epochs or 0) * test_images(recipe)
        return (images(recipe) + EVALUATION * evaluated) / speed

    def trial(self, job: Job, recipe: Recipe) -> Mapping[str, Any]:
        """Return images per second and parameters of a recipe, measured now if they are not known.

        Raises
        ------
        TrialError
            If the recipe cannot be tried here.
        """
        plain = replace(recipe, teacher=None, temperature=None, hard_weight=None,
                        distillation_form=None)  # fmt: skip
        key = setting(plain, job, self.machine.threads)
        if key in self.failed:
            raise self.failed[key]
        if key not in self.known:
            try:
                self.known[key] = measured(plain, job, self.machine)
            except TrialError as error:
                self.failed[key] = error
                raise
            make_folder(self.path.parent)
            write_atomic(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")
        return self.known[key]


def setting(recipe: Recipe, job: Job, threads: int) -> str:
    """Return in one line what decides the speed of a recipe's updates."""
    parts = (
        cpu().model, threads, job.engine, job.device, recipe.dtype, recipe.dataset, recipe.model,
        recipe.input_size, recipe.batch_size, recipe.classes,
    )  # fmt: skip
    return ", ".join(str(part) for part in parts)


def measured(recipe: Recipe, job: Job, machine: Machine) -> Mapping[str, Any]:
    """Try a recipe in a process of its own and return images per second and parameters."""
    command = [*train_command(job, machine), "--dry-run", "--json"]
    command += [f"--{name}={value}" for name, value in fields_of(recipe).items()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise TrialError(f"four updates take more than {TRIAL_SECONDS} s", "use a GPU") from None
    if done.returncode:
        cause = told(done.stderr, "error") or f"a trial ended with code {done.returncode}"
        error = TrialError(
            cause, told(done.stderr, "remedy") or "'gluontricks train' with that recipe tells more"
        )
        error.code = done.returncode
        raise error
    metrics = json.loads(done.stdout)["metrics"]
    return {
        "images_per_s": round(recipe.batch_size / metrics["seconds_per_update"], 1),
        "params": metrics["params"],
    }


def told(text: str, kind: str) -> Optional[str]:
    """Return the last cause (``error``) or ``remedy`` that a process printed; None without one."""
    lines = [line for line in text.splitlines() if line.startswith(f"{kind}: ")]
    return lines[-1].partition(": ")[2] if lines else None


def fields_of(recipe: Recipe) -> Dict[str, Any]:
    """Return the flags of what decides the speed; the rest may be anything."""
    names = ("dataset", "model", "batch_size", "classes", "dtype", "normalization", "subset")
    found = {name: getattr(recipe, name) for name in names}
    if recipe.input_size:
        found["input_size"] = recipe.input_size
    return {name.replace("_", "-"): value for name, value in found.items()}


def train_command(job: Job, machine: Machine) -> List[str]:
    """Return the beginning of the command that runs a recipe on a job's engine."""
    command = [
        sys.executable, "-m", "gluontricks", "train", "--engine", job.engine,
        "--device", job.device, "--threads", str(machine.threads),
    ]  # fmt: skip
    if machine.data_dir is not None:
        command += ["--data-dir", str(machine.data_dir)]
    return command


def like_teacher(job: Job) -> Recipe:
    """Return a recipe that trains the teacher's network on the student's batches."""
    return replace(job.recipe, model=str(job.recipe.teacher))


def images(recipe: Recipe) -> int:
    """Return how many images a run trains on."""
    each = recipe.subset or dataset_info(recipe.dataset).train_size - recipe.val_split
    return (recipe.num_epochs or 0) * each


def test_images(recipe: Recipe) -> int:
    """Return how many images an evaluation takes."""
    return dataset_info(recipe.dataset).test_size


def published_time(recipe: Recipe) -> Optional[str]:
    """Return the time that others published for a recipe, in words."""
    hours = expected_hours(recipe)
    return hours and f"{hours.value:.0f} h on {GPUS} V100 ({hours.source})"


def read_known(path: Path) -> Dict[str, Any]:
    """Return the measurements of earlier plans; none where the file is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {k: v for k, v in found.items() if v["images_per_s"] > 0 and v["params"] > 0}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return {}


def total(costs: Sequence[Cost], at_once: int) -> float:
    """Return the least seconds of some runs, so many at a time; those not known count nothing."""
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    return max([sum(known) / max(1, at_once), *known], default=0.0)


def all_known(costs: Sequence[Cost]) -> bool:
    """Return whether the time of every run is known."""
    return all(cost.seconds is not None for cost in costs)
