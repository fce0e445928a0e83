"""What every engine's optimizers share: their constants, and what they take for one update."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8
NADAM_DECAY = 0.004
ADADELTA_RHO, ADADELTA_EPSILON = 0.9, 1e-5
RMSPROP_RHO, RMSPROP_EPSILON = 0.9, 1e-8
# Roles of the parameters that --no-wd spares.
NO_DECAY = ("gamma", "beta", "bias")


class Setting(NamedTuple):
    """What one update depends on, but for the arrays.

    ``step`` counts updates from 1; ``rescale`` multiplies the gradient.
    """

    lr: float
    momentum: float
    wd: float
    rescale: float
    step: int


def decay_of(path: str, *, wd: float, no_wd: bool) -> float:
    """Return the weight decay of the parameter at ``path``."""
    return 0.0 if no_wd and path.endswith(NO_DECAY) else wd


def adam_correction(step: int) -> float:
    """Return what the rate is multiplied by against the bias of Adam's two averages."""
    return math.sqrt(1 - ADAM_BETA2**step) / (1 - ADAM_BETA1**step)


def nadam_momentum(step: int) -> float:
    """Return Nadam's momentum of one step (Dozat, 2016)."""
    return ADAM_BETA1 * (1 - 0.5 * 0.96 ** (step * NADAM_DECAY))


@lru_cache(maxsize=4)
def nadam_product(step: int) -> float:
    """Return the product of Nadam's momenta up to ``step``.

    A function of the step alone: MXNet's own Nadam multiplies once per parameter and step, so
    that its product underflows within ten steps of a deep network.
    """
    # In float64 it is nothing beside 1 long before step 2,000.
    return math.prod(nadam_momentum(t) for t in range(1, min(step, 2000) + 1))


class NadamWeights(NamedTuple):
    """Weights of the gradient and of the mean in a Nadam step, and the bias of its variance."""

    gradient: float
    mean: float
    bias: float


def nadam_weights(step: int) -> NadamWeights:
    """Return the weights of one step of Nadam (Dozat, 2016, Algorithm 2)."""
    product, now, following = nadam_product(step), nadam_momentum(step), nadam_momentum(step + 1)
    return NadamWeights(
        (1 - now) / (1 - product), following / (1 - product * following), 1 - ADAM_BETA2**step
    )
