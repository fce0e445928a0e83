"""Hours that a recipe of ImageNet takes on eight V100, from published times."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple

from gluontricks.models.names import input_size
from gluontricks.recipes import bag_of_tricks
from gluontricks.recipes.gluoncv_runs import published_runs, run_recipes
from gluontricks.recipes.published import published
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe, labelled

GPUS = 8
# Network -> multiply-adds of one image of its own size, in units of 1e9 (1000 classes).
MACS: Mapping[str, float] = {
    "densenet201": 4.291,
    "inceptionv3": 5.713,
    "mobilenet1.0": 0.569,
    "resnet101_v1d": 8.041,
    "resnet152_v1d": 11.753,
    "resnet50_v1": 3.858,
    "resnet50_v1b": 4.089,
    "resnet50_v1c": 4.329,
    "resnet50_v1d": 4.329,
    "resnet50_v1s": 5.444,
    "resnext50_32x4d": 4.230,
    "se_resnet50_v1": 3.860,
    "se_resnext50_32x4d": 4.233,
}
SCALED_FROM = "resnet50_v1"
# A forward pass is a third of a step: the backward pass is twice the forward one's work.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Hours:
    """Expected hours on eight V100, and in words what they follow from."""

    value: float
    source: str


@dataclass(frozen=True)
class Timing:
    """A published time of one epoch on eight V100."""

    model: str
    dtype: str
    batch_size: int
    size: int
    seconds: float
    source: str


def expected_hours(recipe: Recipe) -> Optional[Hours]:
    """Return how long a recipe takes on eight V100; None where no published time tells.

    In this order: the paper's Table 3 for its network, precision and batch; an author's log of
    network and precision; the time of ResNet-50 in that precision, scaled by multiply-adds. Of
    several times one of the recipe's batch goes first. Where the size of the images differs from
    that of the time, it is scaled by their area. A teacher adds its forward pass: a third of
    its epoch.
    """
    recipe = resolve(recipe)
    if recipe.dataset != "imagenet":
        return None
    size = recipe.input_size or 0
    own = epoch_time(recipe.model, recipe.dtype, recipe.batch_size, size)
    if own is None:
        return None
    seconds, source = own
    if recipe.teacher is not None:
        taught = epoch_time(recipe.teacher, recipe.dtype, recipe.batch_size, size)
        if taught is None:
            return None
        seconds += taught[0] * FORWARD
        source = f"{source}; forward pass of {recipe.teacher}: a third of {taught[1]}"
    return Hours((recipe.num_epochs or 0) * seconds / 3600, source)


def epoch_time(model: str, dtype: str, batch_size: int, size: int) -> Optional[Tuple[float, str]]:
    """Return the seconds of one training epoch and their source, or None."""
    known = [time for time in timings() if (time.model, time.dtype) == (model, dtype)]
    if known:
        best = min(known, key=lambda time: time.batch_size != batch_size)
        return best.seconds * (size / best.size) ** 2, best.source
    if model not in MACS or model == SCALED_FROM:
        return None
    reference = epoch_time(SCALED_FROM, dtype, batch_size, input_size(SCALED_FROM))
    if reference is None:
        return None
    ratio = MACS[model] / MACS[SCALED_FROM] * (size / input_size(model)) ** 2
    return reference[0] * ratio, f"{reference[1]}, times {ratio:.2f} by multiply-adds"


@functools.lru_cache(maxsize=None)
def timings() -> Tuple[Timing, ...]:
    """Return every published time, the paper's before those of the logs."""
    return (*_of_table_3(), *_of_logs())


def _of_table_3() -> List[Timing]:
    recipes = labelled(bag_of_tricks.TABLE_3.rows)
    return [
        _timing(recipes[value.row], 60 * value.number, f"{value.value} minutes per epoch, Table 3")
        for value in published(bag_of_tricks.PAPER, "3")
        if value.metric == "minutes_per_epoch" and value.number is not None
    ]


def _of_logs() -> List[Timing]:
    found: List[Timing] = []
    for run in published_runs():
        recipe = run_recipes()[run.name].recipe
        if recipe.dataset == "imagenet" and recipe.shards == GPUS:
            said = f"{run.seconds:.0f} s per epoch, {run.source}"
            found.append(_timing(recipe, run.seconds, said))
    return found


def _timing(recipe: Recipe, seconds: float, source: str) -> Timing:
    size = recipe.input_size or input_size(recipe.model)
    said = f"{source} (batch {recipe.batch_size})"
    return Timing(recipe.model, recipe.dtype, recipe.batch_size, size, seconds, said)
