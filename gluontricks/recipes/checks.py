"""Refuse recipes whose values cannot be, alone or together."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from gluontricks.data.registry import dataset_info
from gluontricks.errors import UsageError
from gluontricks.mixing.stitch import check_grid
from gluontricks.recipes.spec import Recipe


def flag(name: str) -> str:
    """Return the command-line flag of a recipe field."""
    return "--" + name.replace("_", "-")


# Field -> (holds, what it must be).
RANGES: Dict[str, Tuple[Callable[[Any], bool], str]] = {
    "seed": (lambda v: 0 <= v < 2**63, "0 or more"),
    "classes": (lambda v: v >= 2, "at least 2"),
    "val_split": (lambda v: v >= 0, "0 or more"),
    "subset": (lambda v: v >= 0, "0 or more"),
    "flip": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "brightness": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "contrast": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "saturation": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "hue": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "lighting": (lambda v: v >= 0, "0 or more"),
    "crop_pad": (lambda v: 0 <= v <= 64, "in 0..64"),
    "input_size": (lambda v: v is None or 1 <= v <= 4096, "in 1..4096"),
    "crop_ratio": (lambda v: v is None or 0 < v <= 1, "in (0, 1]"),
    "min_scale": (lambda v: v is None or 0 < v <= 1, "in (0, 1]"),
    "num_epochs": (lambda v: v >= 1, "at least 1"),
    "batch_size": (lambda v: v >= 1, "at least 1"),
    "shards": (lambda v: v >= 1, "at least 1"),
    "lr": (lambda v: 0 < v < float("inf"), "above 0"),
    "momentum": (lambda v: v is None or 0 <= v < 1, "in [0, 1)"),
    "wd": (lambda v: 0 <= v < float("inf"), "0 or more"),
    "lr_decay": (lambda v: v is None or 0 < v <= 1, "in (0, 1]"),
    "lr_decay_epoch": (
        lambda v: not v or (min(v) >= 0 and list(v) == sorted(set(v))),
        "ascending epochs",
    ),
    "warmup_epochs": (lambda v: v >= 0, "0 or more"),
    "warmup_lr": (lambda v: 0 <= v < float("inf"), "0 or more"),
    "ema": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "loss_scale": (lambda v: v is None or 0 < v < float("inf"), "above 0"),
    "resume_epoch": (lambda v: v >= 0, "0 or more"),
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
    for check in (check_images, check_batch, check_warmup, check_schedule, check_mixing):
        check(recipe)
    if recipe.no_wd and recipe.wd == 0:
        raise UsageError("--no-wd would have no effect with --wd 0", "leave one of them out")
    if recipe.select != "auto" and recipe.val_split:
        raise UsageError(
            "--select test and --val-split are both given", "the validation set selects: drop one"
        )


def check_images(recipe: Recipe) -> None:
    """Raise for classes and crops that do not fit the data set."""
    info = dataset_info(recipe.dataset)
    if (recipe.classes or 0) < info.classes:
        raise UsageError(
            f"--classes {recipe.classes} is less than the {info.classes} of {recipe.dataset}",
            "leave it out, or give more",
        )
    if info.on_disk and recipe.crop_pad:
        raise UsageError(
            f"--crop-pad {recipe.crop_pad} would have no effect on images on disk, which are "
            "cropped and resized",
            "leave it out; --min-scale says how small a crop may be",
        )


def check_batch(recipe: Recipe) -> None:
    """Raise for a batch that cannot be divided, and a scale of the loss that is not used."""
    if recipe.batch_size % recipe.shards:
        raise UsageError(
            f"--batch-size {recipe.batch_size} cannot be divided into --shards {recipe.shards}",
            "give a multiple",
        )
    if recipe.loss_scale is not None and recipe.dtype != "float16":
        raise UsageError(
            f"--loss-scale {recipe.loss_scale} would have no effect on --dtype {recipe.dtype}",
            "leave it out, or use it with --dtype float16",
        )


def check_schedule(recipe: Recipe) -> None:
    """Raise for a first epoch or steps of the schedule that never come."""
    epochs = recipe.num_epochs or 0
    if recipe.resume_epoch >= epochs:
        raise UsageError(
            f"--resume-epoch {recipe.resume_epoch} leaves nothing of --num-epochs {epochs}",
            "give more epochs",
        )
    begin = recipe.warmup_epochs if recipe.lr_decay_from == "warmup" else 0
    if recipe.lr_decay_epoch and begin + recipe.lr_decay_epoch[-1] >= epochs:
        raise UsageError(
            f"--lr-decay-epoch {recipe.lr_decay_epoch[-1]} is not before the end "
            f"(--num-epochs {epochs}, counted from epoch {begin})",
            "give earlier epochs or more epochs",
        )


def check_warmup(recipe: Recipe) -> None:
    """Raise for a warm-up that leaves nothing of the run, or a rate for one that there is not."""
    epochs = recipe.num_epochs or 0
    if recipe.warmup_epochs >= epochs:
        raise UsageError(
            f"--warmup-epochs {recipe.warmup_epochs} leaves nothing of --num-epochs {epochs}",
            "give fewer warm-up epochs or more epochs",
        )
    if not recipe.warmup_lr:
        return
    if not recipe.warmup_epochs:
        raise UsageError(
            f"--warmup-lr {recipe.warmup_lr} would have no effect",
            "leave it out, or use it with --warmup-epochs",
        )
    if recipe.warmup_lr >= (recipe.lr or 0):
        raise UsageError(
            f"--warmup-lr {recipe.warmup_lr} is not below --lr {recipe.lr}", "give a smaller one"
        )


def check_mixing(recipe: Recipe) -> None:
    """Raise for a mixer that cannot mix, or whose switches leave it nothing."""
    epochs = recipe.num_epochs or 0
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
