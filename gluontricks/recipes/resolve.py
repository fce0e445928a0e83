"""Fill in what a recipe leaves open, and refuse what cannot be meant."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

from gluontricks.data.registry import PRESETS, DatasetInfo, dataset_info
from gluontricks.errors import UsageError, nearest
from gluontricks.mixing.names import mixer_names
from gluontricks.models.names import canonical_name, input_size
from gluontricks.recipes.checks import check_combinations, check_ranges, flag
from gluontricks.recipes.spec import Recipe

DEFAULT_RATE = {
    "nag": 0.1,
    "sgd": 0.1,
    "adam": 1e-3,
    "nadam": 1e-3,
    "rmsprop": 1e-3,
    "adadelta": 1.0,
}
WITH_MOMENTUM = ("nag", "sgd")
AUGMENTATION = ("flip", "brightness", "contrast", "saturation", "hue", "lighting", "crop_pad")
# Of images on disk, which come in any size.
GEOMETRY = {"crop_ratio": 0.875, "min_scale": 0.08}


# A group of fields that only matter when a condition holds, and their values then.
Dependent = Tuple[str, Callable[[Recipe], bool], Dict[str, Any]]
DEPENDENT: List[Dependent] = [
    ("--optimizer nag or sgd", lambda r: r.optimizer in WITH_MOMENTUM, {"momentum": 0.9}),
    ("--lr-mode step", lambda r: r.lr_mode == "step", {"lr_decay": 0.1, "lr_decay_from": "start"}),
    ("images on disk", lambda r: dataset_info(r.dataset).on_disk, dict(GEOMETRY)),
    ("--label-smoothing", lambda r: r.label_smoothing > 0, {"smoothing_form": "gluoncv"}),
    ("a --mixup-type", lambda r: r.mixup_type != "none", {"mixup_alpha": 0.2}),
    (
        "--mixup-type stitch-tile",
        lambda r: "stitch-tile" in mixer_names(r.mixup_type),
        {"mixup_grid": "2x2"},
    ),
    (
        "a --teacher",
        lambda r: r.teacher is not None,
        {"temperature": 20.0, "distillation_form": "gluoncv"},
    ),
    (
        "a --teacher in GluonCV's form",
        lambda r: r.teacher is not None and r.distillation_form != "paper",
        {"hard_weight": 0.5},
    ),
]


def resolve(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with every ``None`` that has a meaning filled in, checked for sense.

    Raises
    ------
    UsageError
        If a name or a value is unknown or out of range, or an option would have no effect.
    """
    check_choices(recipe)
    recipe = fill_names(recipe)
    recipe = fill_dependent(recipe)
    recipe = fill_schedule(recipe)
    check_ranges(recipe)
    check_combinations(recipe)
    return recipe


def check_choices(recipe: Recipe) -> None:
    """Raise unless every field with choices holds one of them."""
    for f in fields(Recipe):
        value, choices = getattr(recipe, f.name), f.metadata.get("choices")
        if choices and value is not None and value not in choices:
            raise UsageError(f"{flag(f.name)} '{value}' is unknown", nearest(str(value), choices))


def fill_names(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with plain names, and what follows from its data set."""
    info = dataset_info(recipe.dataset)
    changes: Dict[str, Any] = {"model": canonical_name(recipe.model)}
    if recipe.teacher is not None:
        changes["teacher"] = canonical_name(recipe.teacher)
    if recipe.classes is None:
        if not info.classes:
            raise UsageError(
                f"only its files tell how many classes the data set '{recipe.dataset}' has",
                "give --classes: the number of class folders",
            )
        changes["classes"] = info.classes
    strengths = info.augmentation if recipe.augment is None else PRESETS[recipe.augment]
    for name in AUGMENTATION:
        if getattr(recipe, name) is None:
            changes[name] = strengths[name]
    return fill_size(replace(recipe, augment=None, **changes), info, preset=recipe.augment)


def fill_size(recipe: Recipe, info: DatasetInfo, *, preset: Optional[str]) -> Recipe:
    """Return ``recipe`` with the size of its input, if images on disk leave that open."""
    if info.on_disk:
        size = input_size(recipe.model) if recipe.input_size is None else recipe.input_size
        return replace(recipe, input_size=size)
    for name, value in {"input_size": recipe.input_size, "augment": preset}.items():
        if value is not None:
            raise UsageError(
                f"{flag(name)} {value} would have no effect on {info.name}, whose images have "
                f"{info.image_size} pixels",
                "leave it out, or choose a data set on disk",
            )
    return recipe


def fill_dependent(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with the fields of what is on; raise for options of what is off."""
    for condition, holds, defaults in DEPENDENT:
        if holds(recipe):
            missing = {k: v for k, v in defaults.items() if getattr(recipe, k) is None}
            recipe = replace(recipe, **missing)
            continue
        for name in defaults:
            if getattr(recipe, name) is not None:
                raise UsageError(
                    f"{flag(name)} {getattr(recipe, name)} would have no effect",
                    f"leave it out, or use it with {condition}",
                )
    return recipe


def fill_schedule(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with its epochs, its rate and, for steps, the epochs of the steps."""
    epochs = recipe.num_epochs
    if epochs is None:
        epochs = 120 if recipe.mixup_type == "none" else 200
    recipe = replace(recipe, num_epochs=epochs, lr=resolved_rate(recipe))
    return fill_steps(recipe, epochs) if recipe.lr_mode == "step" else without_steps(recipe)


def without_steps(recipe: Recipe) -> Recipe:
    """Return ``recipe``, whose schedule has no steps, if it names none."""
    for name in ("lr_decay_epoch", "lr_decay_period"):
        if getattr(recipe, name):
            raise UsageError(
                f"{flag(name)} would have no effect on --lr-mode {recipe.lr_mode}",
                "leave it out, or use --lr-mode step",
            )
    return recipe


def fill_steps(recipe: Recipe, epochs: int) -> Recipe:
    """Return ``recipe`` with the epochs of its steps."""
    period = recipe.lr_decay_period
    if period and recipe.lr_decay_epoch:
        raise UsageError("--lr-decay-period and --lr-decay-epoch are both given", "give one")
    if period:
        if not 0 < period < epochs:
            raise UsageError(
                f"--lr-decay-period {period} never comes in --num-epochs {epochs}",
                "give one above 0 and below the number of epochs",
            )
        steps = tuple(range(period, epochs, period))
        return replace(recipe, lr_decay_epoch=steps, lr_decay_period=0)
    if recipe.lr_decay_epoch is None:
        return replace(recipe, lr_decay_epoch=(30, 60, 90))
    return recipe


def resolved_rate(recipe: Recipe) -> float:
    """Return the peak learning rate: given, scaled, or the optimizer's own."""
    if recipe.lr_scaling == "linear":
        scaled = 0.1 * recipe.batch_size / 256
        if recipe.lr is not None and recipe.lr != scaled:
            raise UsageError(
                f"--lr {recipe.lr} and --lr-scaling linear ({scaled:g}) are both given",
                "give one of them",
            )
        if recipe.optimizer not in WITH_MOMENTUM:
            raise UsageError(
                f"--lr-scaling linear is a rule for nag and sgd, not for {recipe.optimizer}",
                "give --lr",
            )
        return scaled
    return DEFAULT_RATE[recipe.optimizer] if recipe.lr is None else recipe.lr
