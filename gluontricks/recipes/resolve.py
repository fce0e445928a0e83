"""Fill in what a recipe leaves open, and refuse what cannot be meant."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Callable, Dict, List, Tuple

from gluontricks.data.registry import dataset_info
from gluontricks.errors import UsageError, nearest
from gluontricks.mixing.names import mixer_names
from gluontricks.mixing.stitch import check_grid
from gluontricks.models.names import canonical_name
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
AUGMENTATION = ("flip", "brightness", "saturation", "hue", "lighting", "crop_pad")


# A group of fields that only matter when a condition holds, and their values then.
Dependent = Tuple[str, Callable[[Recipe], bool], Dict[str, Any]]
DEPENDENT: List[Dependent] = [
    ("--optimizer nag or sgd", lambda r: r.optimizer in WITH_MOMENTUM, {"momentum": 0.9}),
    ("--lr-mode step", lambda r: r.lr_mode == "step", {"lr_decay": 0.1, "lr_decay_from": "start"}),
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


def flag(name: str) -> str:
    """Return the command-line flag of a recipe field."""
    return "--" + name.replace("_", "-")


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
        changes["classes"] = info.classes
    for name in AUGMENTATION:
        if getattr(recipe, name) is None:
            changes[name] = info.augmentation[name]
    return replace(recipe, **changes)


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


# Field -> (holds, what it must be).
RANGES: Dict[str, Tuple[Callable[[Any], bool], str]] = {
    "seed": (lambda v: 0 <= v < 2**63, "0 or more"),
    "classes": (lambda v: v >= 2, "at least 2"),
    "val_split": (lambda v: v >= 0, "0 or more"),
    "flip": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "brightness": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "saturation": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "hue": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "lighting": (lambda v: v >= 0, "0 or more"),
    "crop_pad": (lambda v: 0 <= v <= 64, "in 0..64"),
    "num_epochs": (lambda v: v >= 1, "at least 1"),
    "batch_size": (lambda v: v >= 1, "at least 1"),
    "lr": (lambda v: 0 < v < float("inf"), "above 0"),
    "momentum": (lambda v: v is None or 0 <= v < 1, "in [0, 1)"),
    "wd": (lambda v: 0 <= v < float("inf"), "0 or more"),
    "lr_decay": (lambda v: v is None or 0 < v <= 1, "in (0, 1]"),
    "lr_decay_epoch": (
        lambda v: not v or (min(v) >= 0 and list(v) == sorted(set(v))),
        "ascending epochs",
    ),
    "warmup_epochs": (lambda v: v >= 0, "0 or more"),
    "label_smoothing": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "mixup_alpha": (lambda v: v is None or 0 < v < float("inf"), "above 0"),
    "mixup_off_epoch": (lambda v: v >= 0, "0 or more"),
    "mixup_off_first": (lambda v: v >= 0, "0 or more"),
    "temperature": (lambda v: v is None or 0 < v < float("inf"), "above 0"),
    "hard_weight": (lambda v: v is None or 0 <= v < 1, "in [0, 1)"),
}


def check_ranges(recipe: Recipe) -> None:
    """Raise unless every number lies in its range."""
    for name, (holds, allowed) in RANGES.items():
        value = getattr(recipe, name)
        if not holds(value):
            raise UsageError(f"{flag(name)} is {value}", f"it must be {allowed}")


def check_combinations(recipe: Recipe) -> None:
    """Raise for fields that are fine alone and impossible together."""
    epochs = recipe.num_epochs or 0
    info = dataset_info(recipe.dataset)
    if (recipe.classes or 0) < info.classes:
        raise UsageError(
            f"--classes {recipe.classes} is less than the {info.classes} of {recipe.dataset}",
            "leave it out, or give more",
        )
    if recipe.warmup_epochs >= epochs:
        raise UsageError(
            f"--warmup-epochs {recipe.warmup_epochs} leaves nothing of --num-epochs {epochs}",
            "give fewer warm-up epochs or more epochs",
        )
    begin = recipe.warmup_epochs if recipe.lr_decay_from == "warmup" else 0
    if recipe.lr_decay_epoch and begin + recipe.lr_decay_epoch[-1] >= epochs:
        raise UsageError(
            f"--lr-decay-epoch {recipe.lr_decay_epoch[-1]} is not before the end "
            f"(--num-epochs {epochs}, counted from epoch {begin})",
            "give earlier epochs or more epochs",
        )
    if recipe.no_wd and recipe.wd == 0:
        raise UsageError("--no-wd would have no effect with --wd 0", "leave one of them out")
    check_mixing(recipe, epochs)
    if recipe.select == "auto" or recipe.val_split == 0:
        return
    raise UsageError(
        "--select test and --val-split are both given", "the validation set selects: drop one"
    )


def check_mixing(recipe: Recipe, epochs: int) -> None:
    """Raise for a mixer that cannot mix, or whose switches leave it nothing."""
    if recipe.mixup_type == "none":
        if recipe.mixup_off_epoch or recipe.mixup_off_first:
            raise UsageError(
                "--mixup-off-epoch and --mixup-off-first would have no effect",
                "leave them out, or give a --mixup-type",
            )
        return
    if recipe.batch_size < 2:
        raise UsageError(
            f"--mixup-type {recipe.mixup_type} needs partners, and --batch-size is 1",
            "give a batch size of 2 or more",
        )
    if recipe.mixup_grid is not None:
        check_grid(recipe.mixup_grid, recipe.batch_size)
    if recipe.mixup_off_epoch + recipe.mixup_off_first >= epochs:
        raise UsageError(
            f"mixing is off for {recipe.mixup_off_first} + {recipe.mixup_off_epoch} epochs "
            f"of {epochs}",
            "give smaller numbers, or --mixup-type none",
        )
