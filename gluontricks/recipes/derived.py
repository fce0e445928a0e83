"""Printed values that say again, or follow from, other printed values: data and arithmetic."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Mapping, NamedTuple, Optional, Tuple

from gluontricks.recipes.published import Published, published

STITCH, BAG, CIFAR = "stitch-mixup", "bag-of-tricks", "cifar10-resnets"

# A value's id -> the id of the same measurement's value, where that is printed a second time.
REPEATS: Mapping[str, str] = {
    f"{BAG}/text/abstract-resnet-50-after/top1": f"{BAG}/1/resnet-50-tricks/top1",
    f"{CIFAR}/text/final-model-abstract/test_acc": f"{CIFAR}/1/row-3/test_acc_frac",
    f"{CIFAR}/text/final-model/test_acc": f"{CIFAR}/1/row-3/test_acc_frac",
    f"{CIFAR}/text/final-model-body/test_acc": f"{CIFAR}/1/row-3/test_acc_frac",
    f"{CIFAR}/text/kernel-2-design-1/test_acc": f"{CIFAR}/1/row-1/test_acc_frac",
    f"{CIFAR}/text/kernel-2-design-2/test_acc": f"{CIFAR}/1/row-6/test_acc_frac",
    f"{CIFAR}/text/wide-model-4/test_acc": f"{CIFAR}/1/row-8/test_acc_frac",
    f"{CIFAR}/text/15-blocks/test_acc": f"{CIFAR}/1/row-2/test_acc_frac",
    f"{CIFAR}/text/26-blocks/test_acc": f"{CIFAR}/1/row-5/test_acc_frac",
}

DIFFERENCE, RELATIVE = "difference", "relative gain"


class Derivation(NamedTuple):
    """How a value follows: ``kind`` of the values ``later`` and ``earlier``, both ids."""

    kind: str
    later: str
    earlier: str


def gains(text: str, later: str, earlier: str, *metrics: str) -> Mapping[str, Derivation]:
    """Return the relative gains of a row of the stitch paper's text over another row."""
    return {
        f"{STITCH}/text/{text}/{metric}_relative_gain_pct": Derivation(
            RELATIVE, f"{later}/{metric}", f"{earlier}/{metric}"
        )
        for metric in metrics
    }


BASELINE = f"{STITCH}/III/baseline"
HORIZONTAL = f"{STITCH}/V/horiz-spatial-mixup-with-distill"
VERTICAL = f"{STITCH}/V/vert-spatial-mixup-with-distill"
DERIVED: Mapping[str, Derivation] = {
    **gains("gain-abstract", HORIZONTAL, BASELINE, "top1"),
    **gains("gain-distillation", f"{STITCH}/III/distillation", BASELINE, "top1", "top5"),
    **gains("gain-horizontal", HORIZONTAL, BASELINE, "top1", "top5"),
    **gains("gain-vertical", VERTICAL, BASELINE, "top1", "top5"),
    **gains("gain-warmup-20", f"{STITCH}/IV/cosine-30-60-90-warmup-20", BASELINE, "top1"),
    **gains(
        "bag-of-tricks-gain-introduction", f"{STITCH}/text/bag-of-tricks-best",
        f"{STITCH}/text/bag-of-tricks-efficient", "top1",
    ),
    **gains(
        "bag-of-tricks-gain-refinements", f"{BAG}/6/resnet-50-d-distill-with-mixup",
        f"{BAG}/6/resnet-50-d-efficient", "top1", "top5",
    ),
    f"{BAG}/text/gain-batch-1024-and-fp16/top1_gain": Derivation(
        DIFFERENCE, f"{BAG}/3/resnet-50-efficient/top1", f"{BAG}/3/resnet-50-baseline/top1"
    ),
    f"{BAG}/text/loss-linear-scaling-alone/top1_loss": Derivation(
        DIFFERENCE, f"{BAG}/4/bs-256-linear-scaling/top1", f"{BAG}/4/bs-1024-linear-scaling/top1"
    ),
    f"{BAG}/text/gain-resnet-50-b/top1_gain": Derivation(
        DIFFERENCE, f"{BAG}/5/resnet-50-b/top1", f"{BAG}/5/resnet-50/top1"
    ),
    f"{BAG}/text/gain-resnet-50-c/top1_gain": Derivation(
        DIFFERENCE, f"{BAG}/5/resnet-50-c/top1", f"{BAG}/5/resnet-50-b/top1"
    ),
    f"{BAG}/text/gain-resnet-50-d/top1_gain": Derivation(
        DIFFERENCE, f"{BAG}/5/resnet-50-d/top1", f"{BAG}/5/resnet-50-c/top1"
    ),
    f"{BAG}/text/gain-all-tweaks/top1_gain": Derivation(
        DIFFERENCE, f"{BAG}/5/resnet-50-d/top1", f"{BAG}/5/resnet-50/top1"
    ),
    f"{BAG}/text/gain-detection/mAP_gain": Derivation(
        DIFFERENCE, f"{BAG}/8/distill-with-mixup/mAP", f"{BAG}/8/b-standard/mAP"
    ),
}  # fmt: skip

# A value's id -> a formula as text, and what it comes to.
FORMULAS: Mapping[str, Tuple[str, float]] = {
    f"{BAG}/text/cost-of-a-7x7-convolution/cost_ratio": ("49 / 9", 49 / 9),
    f"{BAG}/text/theoretical-gap/logit_gap": ("log(999 x 0.9 / 0.1)", math.log(999 * 0.9 / 0.1)),
}


def followed(value: Published) -> Optional[str]:
    """Return whether a value follows from others and how, in words; None for one of its own.

    It follows if the result rounds to the digits that are printed.
    """
    if value.id in FORMULAS:
        text, number = FORMULAS[value.id]
        result = Decimal(repr(number))
    elif value.id in DERIVED:
        text, result = calculated(DERIVED[value.id])
    else:
        return None
    digits = Decimal(value.value)
    verb = "follows" if rounded(result, digits) == digits else "does not follow"
    exact = result.as_tuple().exponent
    shown = result if int(exact) >= -3 else rounded(result, digits / 100)
    return f"{verb}: {text} = {shown}"


def calculated(found: Derivation) -> Tuple[str, Decimal]:
    """Return a derivation as text and its result, exact in the printed digits."""
    by_id = {value.id: value.value for value in published()}
    later, earlier = by_id[found.later], by_id[found.earlier]
    if found.kind == DIFFERENCE:
        return f"{later} - {earlier}", Decimal(later) - Decimal(earlier)
    return f"100 x ({later} / {earlier} - 1)", 100 * (Decimal(later) / Decimal(earlier) - 1)


def rounded(number: Decimal, like: Decimal) -> Decimal:
    """Return a number with as many decimals as another has."""
    return number.quantize(like, rounding=ROUND_HALF_UP)
