"""A run before any framework is loaded: names checked, files found, its directory named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from gluontricks.data import dataset_info
from gluontricks.data.augment import Augmentation
from gluontricks.data.cache import room_for
from gluontricks.data.disk import Pair, RecordFiles, open_pair
from gluontricks.errors import DataError, UsageError
from gluontricks.models.names import takes_size
from gluontricks.options import RunOptions
from gluontricks.recipes.resolve import AUGMENTATION, resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import read_run
from gluontricks.teacher_cache import LogitCache
from gluontricks.teachers import (
    Weights,
    check_teacher,
    find_teacher,
    named_teacher,
    read_weights,
)

RUNS = Path("runs")
# Where a prepared run has its teacher's parameters.
TEACHER_FOLDER = "teacher"


@dataclass(frozen=True)
class Plan:
    """A run before any framework is loaded.

    Attributes
    ----------
    recipe : Recipe
        Resolved.
    teacher : Weights, optional
    fingerprint : str
        Of the recipe with its teacher.
    folder : Path
        The run's directory.
    identity : dict
        What the directory notes beside the recipe.
    pair : Pair, optional
        The listings of a data set on disk.
    start : Weights, optional
        The parameters that the run begins with, if they come from a file.
    """

    recipe: Recipe
    teacher: Optional[Weights]
    fingerprint: str
    folder: Path
    identity: Dict[str, Any]
    pair: Optional[Pair] = None
    start: Optional[Weights] = None

    @property
    def class_names(self) -> Tuple[str, ...]:
        """Return a name for every output."""
        return tuple(self.identity["class_names"])


def make_plan(recipe: Recipe, options: RunOptions, report: Callable[[str], None]) -> Plan:
    """Return the plan of a run: names checked, teacher found, directory named.

    Raises
    ------
    UsageError, DataError, IntegrityError
        If something does not exist or does not fit.
    """
    recipe = resolve(recipe)
    start = plan_start(recipe, options)
    if start is not None:
        recipe = replace(recipe, begins_with=start.sha256)
    check_size(recipe.model, image_size(recipe))
    make_augmentation(recipe).check_size(image_size(recipe), image_size(recipe))
    pair = plan_data(recipe, options)
    if pair is None and options.num_workers is not None:
        report(
            f"notice: --num-workers {options.num_workers} changes nothing: images in memory need "
            "no processes"
        )
    if pair is not None and options.cache is not None:
        size = room_for(pair, options.cache)
        if size:
            report(f"the decoded images will take {size / 2**20:,.0f} MB in '{options.cache}'")
    names = class_names(recipe, pair)
    teacher = plan_teacher(recipe, names, options, report, pair)
    fingerprint = recipe.fingerprint(teacher.sha256 if teacher else None)
    identity = {
        "fingerprint": fingerprint,
        "class_names": list(names),
        "teacher": teacher and teacher_identity(teacher),
    }
    folder = options.out or default_folder(recipe, teacher.sha256 if teacher else None)
    return Plan(recipe, teacher, fingerprint, folder, identity, pair, start)


def teacher_identity(teacher: Weights) -> Dict[str, Any]:
    """Return what a run's directory notes about its teacher."""
    mean_std = teacher.normalization and [list(values) for values in teacher.normalization]
    return {
        "sha256": teacher.sha256,
        "fingerprint": teacher.fingerprint,
        "normalization": mean_std,
    }


def default_folder(recipe: Recipe, teacher: Optional[str]) -> Path:
    """Return the run directory of a resolved recipe and the hash of its teacher's parameters."""
    fingerprint = recipe.fingerprint(teacher)
    return RUNS / f"{recipe.dataset}-{recipe.model}-{fingerprint[:8]}-s{recipe.seed}"


def image_size(recipe: Recipe) -> int:
    """Return the height and width of a resolved recipe's images as the network sees them."""
    return recipe.input_size or dataset_info(recipe.dataset).image_size


def check_size(model: str, size: int) -> None:
    """Raise unless a network takes images of ``size`` pixels."""
    if not takes_size(model, size):
        raise UsageError(
            f"'{model}' does not take images of {size} pixels",
            "choose another model, data set or --input-size",
        )


def plan_start(recipe: Recipe, options: RunOptions) -> Optional[Weights]:
    """Return the parameters that a run begins with, None where they are drawn.

    Raises
    ------
    UsageError
        If ``--resume-epoch`` stands alone.
    """
    if options.resume_params is None:
        if recipe.resume_epoch:
            raise UsageError(
                f"--resume-epoch {recipe.resume_epoch} would have no effect",
                "leave it out (a run that was stopped goes on by itself), or give --resume-params",
            )
        return None
    return read_weights(options.resume_params)


def plan_data(recipe: Recipe, options: RunOptions) -> Optional[Pair]:
    """Return the listings of a data set on disk, None for one in memory.

    Raises
    ------
    UsageError
        If an option would have no effect.
    DataError
        If its files are missing or do not fit.
    """
    info = dataset_info(recipe.dataset)
    paths = RecordFiles(
        options.rec_train, options.rec_train_idx, options.rec_val, options.rec_val_idx
    )
    needs = [
        ("--rec-train, --rec-val or an index", any(paths), options.use_rec, "--use-rec"),
        ("--use-rec", options.use_rec, info.on_disk, "a data set on disk"),
        ("--cache", options.cache, info.on_disk, "a data set on disk"),
    ]
    for name, given, holds, wanted in needs:
        if given and not holds:
            raise UsageError(
                f"{name} would have no effect", f"leave it out, or use it with {wanted}"
            )
    if not info.on_disk:
        return None
    pair = open_pair(info, options.data_dir, paths if options.use_rec else None)
    found = len(pair.train.class_names)
    if found > (recipe.classes or 0):
        raise DataError(
            f"the images have {found} classes, the network {recipe.classes} outputs",
            f"give --classes {found}",
        )
    return pair


def class_names(recipe: Recipe, pair: Optional[Pair]) -> Tuple[str, ...]:
    """Return a name for every output: the data set's, then placeholders for a wider head."""
    names = pair.train.class_names if pair else dataset_info(recipe.dataset).class_names
    spare = range(len(names), recipe.classes or 0)
    return names + tuple(f"unused-{i}" for i in spare)


def make_augmentation(recipe: Recipe) -> Augmentation:
    """Return the random changes that are made to training images."""
    strengths = {name: getattr(recipe, name) for name in AUGMENTATION}
    return Augmentation(**strengths, min_scale=recipe.min_scale or 0.0)


def train_size(recipe: Recipe, pair: Optional[Pair]) -> int:
    """Return the number of images that a run trains on."""
    images = len(pair.train) if pair else dataset_info(recipe.dataset).train_size
    return recipe.subset or images - recipe.val_split


def plan_teacher(
    recipe: Recipe,
    names: Tuple[str, ...],
    options: RunOptions,
    report: Callable[[str], None],
    pair: Optional[Pair] = None,
) -> Optional[Weights]:
    """Return the teacher's parameters and what is known about them, None without a teacher."""
    if recipe.teacher is None:
        if options.teacher_params or options.teacher_cache:
            raise UsageError(
                "--teacher-params and --teacher-cache would have no effect",
                "leave them out, or name the network with --teacher",
            )
        return None
    check_size(recipe.teacher, image_size(recipe))
    noted = noted_teacher(options.out) if options.resume else None
    params = options.teacher_params or own_teacher(options.out)
    if params:
        weights = named_teacher(params, noted)
    else:
        weights = find_teacher(
            recipe,
            options.out.parent if options.out else RUNS,
            begun=lambda sha: sha == noted if options.out else default_folder(recipe, sha).exists(),
            report=report,
        )
    if weights.model not in (None, recipe.teacher):
        raise UsageError(
            f"'{weights.source}' holds '{weights.model}', not '{recipe.teacher}'",
            f"give --teacher {weights.model}",
        )
    for notice in check_teacher(weights, class_names=names, classes=recipe.classes or 0):
        report(f"notice: {notice}")
    if options.teacher_cache:
        images = train_size(recipe, pair)
        size = LogitCache.size(recipe, steps=images // recipe.batch_size, images=images)
        report(f"the teacher's logits will take {size / 2**20:,.0f} MB beside the run")
    return weights


def own_teacher(folder: Optional[Path]) -> Optional[Path]:
    """Return where the prepared run in ``folder`` has its teacher's parameters, if it has them."""
    own = folder and folder / TEACHER_FOLDER
    return own if own and own.is_dir() else None


def noted_teacher(folder: Optional[Path]) -> Optional[str]:
    """Return the hash of the teacher with which the run in ``folder`` began, if it has one."""
    about = read_run(folder) if folder else None
    return ((about or {}).get("teacher") or {}).get("sha256")


def classes_hash(names: Tuple[str, ...]) -> str:
    """Return the SHA-256 of class names, one a line."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
