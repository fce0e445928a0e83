"""The smaller forms of a paper's recipes: ``reduced`` for two cores, ``smoke`` for a minute.

A protocol is declared once for a paper and applied to every row alike, so that rows of a reduced
table differ from each other as those of the full one do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Optional, Tuple

from gluontricks.errors import unknown
from gluontricks.recipes.spec import Recipe

SCALES = ("full", "reduced", "smoke")
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Protocol:
    """What the reduced runs of a paper change.

    Attributes
    ----------
    sentence : str
        All of it in words; a record holds it.
    networks : mapping
        Network of the paper -> what its runs change, at least ``model``. A row of any other
        network is not in the protocol.
    divisor : int
        Of epochs, decay epochs and the epochs without a mixer.
    changes : mapping
        Fields of every run.
    batch_divisor, rate_divisor : int
        Of the batch and of the rate.
    labels : tuple of str
        The label sets that a plan has if none is asked for.
    renamed : mapping
        Label set of the paper -> its name in the protocol, where the data differ.
    caveat : str
        What the reduced runs cannot show; it stands under their tables.
    """

    sentence: str
    networks: Mapping[str, Changes]
    divisor: int
    changes: Changes
    batch_divisor: int = 1
    rate_divisor: int = 1
    labels: Tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=lambda: {})
    caveat: str = ""

    def reduced(self, recipe: Recipe) -> Optional[Recipe]:
        """Return the reduced form of a paper's recipe, or None if the protocol has none."""
        if recipe.model not in self.networks:
            return None
        changes: Dict[str, Any] = {
            **self.changes,
            "batch_size": recipe.batch_size // self.batch_divisor,
            "num_epochs": part(recipe.num_epochs or 0, self.divisor),
            "warmup_epochs": part(recipe.warmup_epochs, self.divisor),
            "mixup_off_first": part(recipe.mixup_off_first, self.divisor),
            "mixup_off_epoch": part(recipe.mixup_off_epoch, self.divisor),
        }
        if recipe.dtype == "float16":
            # Processors have no product of such numbers.
            changes["dtype"] = "bfloat16"
        if recipe.lr is not None:
            changes.setdefault("lr", recipe.lr / self.rate_divisor)
        if recipe.lr_decay_epoch:
            changes["lr_decay_epoch"] = tuple(e // self.divisor for e in recipe.lr_decay_epoch)
        if recipe.teacher is not None:
            changes["teacher"] = self.networks[recipe.teacher]["model"]
        changes.update(self.networks[recipe.model])
        return replace(recipe, **changes, name=f"{recipe.name}-reduced")


def part(epochs: int, divisor: int) -> int:
    """Return a part of some epochs, at least one of any."""
    return max(1, epochs // divisor) if epochs else 0


# Batches are small because a twentieth of the updates of batch 256 would teach next to nothing.
STITCH = Protocol(
    sentence=(
        "resnet20_v1, taught by resnet56_v1; 12,800 of the 50,000 training images; a tenth of the "
        "epochs (12, or 20 with a mixer; the teacher 40), of the decay epochs and of the warm-up "
        "(at least 1); batch 32 at rate 0.05 instead of 256 at 0.1; all 10,000 test images"
    ),
    networks={
        "resnet56_v1": {"model": "resnet20_v1"},
        "resnext29_16x64d": {"model": "resnet56_v1", "num_epochs": 40},
    },
    divisor=10,
    batch_divisor=8,
    rate_divisor=2,
    changes={"subset": 12_800},
    labels=("fine", "coarse"),
    caveat=(
        "These runs show the machinery and the direction of large effects, not the paper's: a "
        "tenth of the epochs is far from convergence. The step schedule decays before the network "
        "has learned much, which cosine decay avoids; rows with a mixer have 20 epochs and the "
        "others 12; and what acts against overfitting has little to act on."
    ),
)

BAG = Protocol(
    sentence=(
        "Imagenette (10 classes) at 128 x 128 pixels instead of ImageNet; ResNet-18 and its B, C "
        "and D forms for ResNet-50, MobileNet at half width, taught by resnet50_v1d instead of "
        "resnet152_v1d; a tenth of the epochs (12, or 20 with a mixer), of the decay epochs and of "
        "the warm-up (1); a quarter of batch and rate; bfloat16 for float16"
    ),
    networks={
        "resnet50_v1": {"model": "resnet18_v1"},
        "resnet50_v1b": {"model": "resnet18_v1b"},
        "resnet50_v1c": {"model": "resnet18_v1c"},
        "resnet50_v1d": {"model": "resnet18_v1d"},
        "mobilenet1.0": {"model": "mobilenet0.5"},
        "resnet152_v1d": {"model": "resnet50_v1d"},
    },
    divisor=10,
    batch_divisor=4,
    rate_divisor=4,
    changes={"dataset": "imagenette", "input_size": 128, "shards": 1},
    labels=("imagenette",),
    caveat=(
        "Ten classes and a tenth of the epochs: differences of tenths of a point between the "
        "paper's rows cannot be seen here."
    ),
    renamed={"imagenet": "imagenette"},
)

PROTOCOLS: Mapping[str, Protocol] = {"stitch-mixup": STITCH, "bag-of-tricks": BAG}

SMOKE = (
    "handwritten digits, resnet20_v1 as student and teacher, 2 epochs of 256 images: it shows that "
    "the machinery runs, and nothing else"
)


def smoke(recipe: Recipe) -> Recipe:
    """Return what stands for any recipe in a smoke run: everything but what costs time."""
    changes: Dict[str, Any] = {
        "dataset": "digits", "classes": None, "model": "resnet20_v1", "subset": 256,
        "num_epochs": 2, "batch_size": 32, "shards": 1, "dtype": "float32", "augment": None,
        "input_size": None, "crop_ratio": None, "min_scale": None,
        "warmup_epochs": min(1, recipe.warmup_epochs),
        "mixup_off_first": min(1, recipe.mixup_off_first), "mixup_off_epoch": 0,
    }  # fmt: skip
    if recipe.lr_mode == "step":
        # The step never comes twice in two epochs, and counts from the start.
        changes.update(lr_decay_epoch=(1,), lr_decay_from="start")
    if recipe.teacher is not None:
        changes["teacher"] = "resnet20_v1"
    return replace(recipe, **changes, name=f"{recipe.name}-smoke")


def at_scale(recipe: Recipe, paper: str, scale: str) -> Optional[Recipe]:
    """Return a paper's recipe at a scale, or None where that scale has none.

    Raises
    ------
    UsageError
        If there is no such scale.
    """
    if scale == "full":
        return recipe
    if scale == "smoke":
        return smoke(recipe)
    if scale != "reduced":
        raise unknown("scale", scale, SCALES)
    protocol = PROTOCOLS.get(paper)
    return None if protocol is None else protocol.reduced(recipe)
