"""Finding a trained teacher, and proving that it fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluontricks import checkpoints
from gluontricks.data.augment import parse_normalization
from gluontricks.errors import DataError, IntegrityError
from gluontricks.files import make_folder, write_atomic
from gluontricks.params_file import read_params
from gluontricks.pipeline import Statistics
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import RECORD_FILE, RUN_FILE, read_run, read_text


class Weights(NamedTuple):
    """Parameters from somewhere, and what is known about them.

    ``class_names`` and ``normalization`` are None, and ``model`` is, where a bare file does not
    say; ``sha256`` is a hash of the parameters, whatever file they came in. ``about`` is what
    their run's directory says.
    """

    parameters: Dict[str, np.ndarray]
    sha256: str
    source: str
    model: Optional[str] = None
    class_names: Optional[Tuple[str, ...]] = None
    normalization: Optional[Statistics] = None
    fingerprint: Optional[str] = None
    about: Optional[Dict[str, Any]] = None


def parameters_hash(parameters: Dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        value = np.ascontiguousarray(parameters[name])
        digest.update(f"{name}|{value.dtype.str}|{value.shape}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def read_weights(path: Path) -> Weights:
    """Return the parameters in a ``.params`` file, a checkpoint, or a run's directory.

    Raises
    ------
    DataError
        If there are none.
    IntegrityError
        If they are damaged.
    """
    if path.is_dir():
        found = checkpoints.listing(path)
        if not found:
            raise DataError(f"'{path}' holds no checkpoint", "give a run's directory or a file")
        path = found[-1]
    if not path.is_file():
        raise DataError(f"there is no file '{path}'", "check the path")
    if path.suffix != ".safetensors":
        parameters = read_params(path)
        return Weights(parameters, parameters_hash(parameters), path.name)
    parameters = checkpoints.network_of(checkpoints.read(path).arrays)
    about = read_run(path.parent)
    weights = Weights(parameters, parameters_hash(parameters), path.name)
    return weights if about is None else describe(weights, about)


def write_weights(folder: Path, weights: Weights) -> None:
    """Write parameters, and what is known about them, so that :func:`read_weights` reads them."""
    make_folder(folder)
    arrays = {f"p/{name}": value for name, value in weights.parameters.items()}
    checkpoints.write(folder, 0, checkpoints.Checkpoint(arrays, {}))
    if weights.about is not None:
        write_atomic(folder / RUN_FILE, json.dumps(weights.about, indent=1) + "\n")


def describe(weights: Weights, about: Dict[str, Any]) -> Weights:
    """Return ``weights`` with what their run's directory says about them."""
    recipe = Recipe.from_dict(about["recipe"])
    return weights._replace(
        model=recipe.model,
        class_names=tuple(about["class_names"]),
        normalization=parse_normalization(recipe.normalization, recipe.dataset),
        fingerprint=about["fingerprint"],
        about=about,
    )


def named_teacher(params: Path, sha256: Optional[str]) -> Weights:
    """Return the parameters that were named, if a run that began with ``sha256`` may have them.

    Raises
    ------
    IntegrityError
        If it began with others.
    """
    weights = read_weights(params)
    if sha256 not in (None, weights.sha256):
        raise IntegrityError(
            f"'{params}' is not the teacher with which this run began",
            "name that one again, or choose another --out",
        )
    return weights


def find_teacher(
    recipe: Recipe, runs: Path, *, begun: Callable[[str], bool], report: Callable[[str], None]
) -> Weights:
    """Return the parameters of a recipe's teacher: a finished run's in the folder ``runs``.

    Parameters
    ----------
    recipe : Recipe
        Resolved, with a teacher.
    runs : Path
    begun : callable
        Says of the hash of parameters whether the run began with them: it decides between several.
    report : callable
        Takes what is said of damaged runs, which are passed over.

    Raises
    ------
    NoTeacherError
        If there is none.
    DataError
        If there are several that differ.
    """
    found: Dict[str, Tuple[Path, Weights]] = {}
    for folder in finished_runs(runs, model=str(recipe.teacher), dataset=recipe.dataset):
        try:
            weights = read_weights(folder)
            outputs = head(weights.parameters).shape[0]
        except (DataError, IntegrityError) as error:
            report(f"passed over: {error.cause}")
            continue
        if outputs == recipe.classes:
            found.setdefault(weights.sha256, (folder, weights))
    if len(found) > 1:
        found = {k: v for k, v in found.items() if begun(k)} or found
    if len(found) > 1:
        names = ", ".join(f"'{folder}'" for folder, _ in found.values())
        raise DataError(
            f"several finished runs could be the teacher: {names}", "name one with --teacher-params"
        )
    if not found:
        raise NoTeacherError(
            f"there is no finished run of teacher '{recipe.teacher}' on {recipe.dataset} with "
            f"{recipe.classes} outputs in '{runs}'",
            "train it, or name its parameters with --teacher-params",
        )
    return next(iter(found.values()))[1]


class NoTeacherError(DataError):
    """No teacher was found; the caller adds how to train one."""


def finished_runs(runs: Path, *, model: str, dataset: str) -> List[Path]:
    """Return the directories in ``runs`` of finished runs of one network on one data set."""
    found = []
    for record in sorted(runs.glob(f"*/{RECORD_FILE}")):
        try:
            content = json.loads(read_text(record) or "")
            fits = (
                content["status"] == "completed"
                and content["model"]["name"] == model
                and content["data"]["name"] == dataset
            )
        except (ValueError, KeyError, TypeError):
            continue
        if fits:
            found.append(record.parent)
    return found


def check_teacher(weights: Weights, *, class_names: Sequence[str], classes: int) -> List[str]:
    """Prove that a teacher knows the student's classes; return notices of what is unknown.

    Raises
    ------
    DataError
        If their number or their names differ.
    """
    own = int(head(weights.parameters).shape[0])
    if own != classes:
        raise DataError(
            f"the teacher '{weights.source}' has {own} classes, the student {classes}",
            f"give a teacher of {classes} classes, or --classes {own}",
        )
    if weights.class_names is None:
        return [f"{weights.source} names no classes: only their number was compared"]
    if weights.class_names != tuple(class_names):
        i = next(
            (i for i, (a, b) in enumerate(zip(weights.class_names, class_names)) if a != b),
            min(len(weights.class_names), len(class_names)),
        )
        raise DataError(
            f"class {i} of the teacher '{weights.source}' is not the student's",
            "give a teacher that was trained on the same classes",
        )
    return []


def head(parameters: Dict[str, np.ndarray]) -> np.ndarray:
    """Return the last matrix of a network: its classifier's weight (classes, features)."""
    matrices = [v for k, v in parameters.items() if v.ndim == 2 and k.endswith("weight")]
    if not matrices:
        raise DataError("the teacher's file holds no classifier", "give another file")
    return matrices[-1]
