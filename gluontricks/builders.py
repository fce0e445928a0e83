"""From a recipe to what the loop needs: the only place that knows what each field does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from gluontricks.data import ImageSet, dataset_info, load_split, split_validation
from gluontricks.data.augment import Augmentation, parse_normalization
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import UsageError
from gluontricks.graphs import RunGraphs
from gluontricks.learners import LearnerSpec, TeacherSpec
from gluontricks.models.names import input_size
from gluontricks.options import RunOptions
from gluontricks.pipeline import Pipeline
from gluontricks.processes import processes
from gluontricks.recipes.resolve import AUGMENTATION, resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import read_run
from gluontricks.schedules import Schedule, rate_table
from gluontricks.teacher_cache import LogitCache, cache_key
from gluontricks.teachers import Weights, check_teacher, find_teacher, named_teacher

RUNS = Path("runs")
# Where a prepared run has its teacher's parameters.
TEACHER_FOLDER = "teacher"


@dataclass(frozen=True)
class Data:
    """The images of a run: what it learns from, and what it is evaluated on."""

    train: ImageSet
    evaluation: ImageSet
    test: ImageSet


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
    """

    recipe: Recipe
    teacher: Optional[Weights]
    fingerprint: str
    folder: Path
    identity: Dict[str, Any]


def make_plan(recipe: Recipe, options: RunOptions, report: Callable[[str], None]) -> Plan:
    """Return the plan of a run: names checked, teacher found, directory named.

    Raises
    ------
    UsageError, DataError, IntegrityError
        If something does not exist or does not fit.
    """
    recipe = resolve(recipe)
    info = dataset_info(recipe.dataset)
    check_size(recipe.model, info.image_size)
    make_pipeline(recipe).augmentation.check_size(info.image_size, info.image_size)
    teacher = plan_teacher(recipe, options, report)
    fingerprint = recipe.fingerprint(teacher.sha256 if teacher else None)
    identity = {
        "fingerprint": fingerprint,
        "class_names": list(class_names(recipe)),
        "teacher": teacher and teacher_identity(teacher),
    }
    folder = options.out or default_folder(recipe, teacher.sha256 if teacher else None)
    return Plan(recipe, teacher, fingerprint, folder, identity)


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


def check_size(model: str, size: int) -> None:
    """Raise unless a network takes images of ``size`` pixels."""
    if input_size(model) != size:
        raise UsageError(
            f"'{model}' takes images of {input_size(model)} pixels, the data set has {size}",
            "choose another model or data set",
        )


def class_names(recipe: Recipe) -> Tuple[str, ...]:
    """Return a name for every output: the data set's, then placeholders for a wider head."""
    names = dataset_info(recipe.dataset).class_names
    spare = range(len(names), recipe.classes or 0)
    return names + tuple(f"unused-{i}" for i in spare)


def plan_teacher(
    recipe: Recipe, options: RunOptions, report: Callable[[str], None]
) -> Optional[Weights]:
    """Return the teacher's parameters and what is known about them, None without a teacher."""
    if recipe.teacher is None:
        if options.teacher_params or options.teacher_cache:
            raise UsageError(
                "--teacher-params and --teacher-cache would have no effect",
                "leave them out, or name the network with --teacher",
            )
        return None
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
    check_size(recipe.teacher, dataset_info(recipe.dataset).image_size)
    for notice in check_teacher(
        weights, class_names=class_names(recipe), classes=recipe.classes or 0
    ):
        report(f"notice: {notice}")
    if options.teacher_cache:
        images = dataset_info(recipe.dataset).train_size - recipe.val_split
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


def load_data(recipe: Recipe, data_dir: Optional[Path]) -> Data:
    """Return the images of a run."""
    train = load_split(recipe.dataset, "train", data_dir=data_dir)
    test = load_split(recipe.dataset, "test", data_dir=data_dir)
    if not recipe.val_split:
        return Data(train, test, test)
    train, validation = split_validation(train, recipe.val_split, seed=recipe.seed)
    return Data(train, validation, test)


def make_pipeline(recipe: Recipe) -> Pipeline:
    """Return what happens to a batch between the data set and the network."""
    mean, std = parse_normalization(recipe.normalization, recipe.dataset)
    return Pipeline(
        augmentation=Augmentation(**{name: getattr(recipe, name) for name in AUGMENTATION}),
        mean=mean,
        std=std,
        classes=recipe.classes or 0,
        label_smoothing=recipe.label_smoothing,
        smoothing_form=recipe.smoothing_form or "gluoncv",
    )


def make_draws(recipe: Recipe, train: ImageSet) -> Draws:
    """Return the random draws of a run."""
    size = train.images.shape[1:3]
    mixing = Mixing(
        recipe.mixup_type,
        recipe.mixup_alpha,
        recipe.mixup_grid,
        first=recipe.mixup_off_first,
        last=(recipe.num_epochs or 0) - recipe.mixup_off_epoch,
    )
    return Draws(
        seed=recipe.seed,
        labels=train.labels,
        size=(int(size[0]), int(size[1])),
        batch_size=recipe.batch_size,
        augmentation=make_pipeline(recipe).augmentation,
        mixing=mixing,
    )


def make_rates(recipe: Recipe, steps_per_epoch: int) -> List[float]:
    """Return the learning rate of every update."""
    schedule = Schedule(
        mode=recipe.lr_mode,
        peak=recipe.lr or 0.0,
        form=recipe.lr_form,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr,
        decay=1.0 if recipe.lr_decay is None else recipe.lr_decay,
        decay_epochs=recipe.lr_decay_epoch or (),
        decay_from=recipe.lr_decay_from or "start",
    )
    return rate_table(schedule, epochs=recipe.num_epochs or 0, steps_per_epoch=steps_per_epoch)


def make_momenta(recipe: Recipe, steps: int) -> List[float]:
    """Return the momentum of every update."""
    return [recipe.momentum or 0.0] * steps


def make_spec(
    recipe: Recipe,
    teacher: Optional[TeacherSpec],
    *,
    image_size: int,
    options: Optional[RunOptions] = None,
    graphs: Optional[RunGraphs] = None,
) -> LearnerSpec:
    """Return what a learner is made of."""
    options = options or RunOptions()
    return LearnerSpec(
        model=recipe.model,
        classes=recipe.classes or 0,
        last_gamma=recipe.last_gamma,
        init=recipe.init,
        seed=recipe.seed,
        image_size=image_size,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        wd=recipe.wd,
        no_wd=recipe.no_wd,
        dtype=recipe.dtype,
        pipeline=make_pipeline(recipe),
        teacher=teacher,
        device=options.device,
        graphs=graphs,
        compile=options.compile,
        deterministic=options.deterministic,
        shards=processes().count,
    )


def make_teacher(plan: Plan, data: Optional[Data], options: RunOptions) -> Optional[TeacherSpec]:
    """Return the teacher of a run as its learner takes it; its cache needs the data."""
    recipe, weights = plan.recipe, plan.teacher
    if weights is None:
        return None
    own = parse_normalization("dataset", recipe.dataset)
    return TeacherSpec(
        model=str(recipe.teacher),
        classes=recipe.classes or 0,
        parameters=weights.parameters,
        normalization=weights.normalization or own,
        temperature=recipe.temperature or 0.0,
        hard_weight=recipe.hard_weight,
        form=recipe.distillation_form or "gluoncv",
        source=weights.source,
        cache=make_cache(plan, data, options) if options.teacher_cache and data else None,
    )


def make_cache(plan: Plan, data: Data, options: RunOptions) -> LogitCache:
    """Return the store of the teacher's logits, beside the run."""
    assert plan.teacher is not None
    # Engines round differently: a run is the same whether its logits were stored or not.
    computed = f"{options.engine} {options.device.partition(':')[0]}"
    teacher = f"{plan.teacher.sha256} {plan.teacher.normalization} {computed}"
    key = cache_key(plan.recipe, teacher, data.train.sha256)
    return LogitCache(
        plan.folder.parent / "teacher-cache" / key,
        plan.recipe,
        steps=len(data.train) // plan.recipe.batch_size,
        images=len(data.train),
    )


def classes_hash(names: Tuple[str, ...]) -> str:
    """Return the SHA-256 of class names, one a line."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
