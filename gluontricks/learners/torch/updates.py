"""One update of all parameters at once, for each optimizer, as multi-tensor operations.

Each takes the weights, their gradients (mean over the batch), one list of tensors per slot, the
numbers of the step and the weight decay, and changes weights and slots in place. The formulas are
those of ``learners/mxnet/updates.py``, whose docstrings have the sources. The numbers are floats,
or tensors without axes where the step is recorded once and replayed.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np
import torch

from gluontricks.learners.optimizers import (
    ADADELTA_EPSILON,
    ADADELTA_RHO,
    ADAM_BETA1,
    ADAM_BETA2,
    ADAM_EPSILON,
    RMSPROP_EPSILON,
    RMSPROP_RHO,
    adam_correction,
    nadam_weights,
)
from gluontricks.learners.torch.attributes import float32
from gluontricks.learners.torch.multi import foreach

Tensors = List[torch.Tensor]
Numbers = Mapping[str, Any]
# MXNet's kernel of Adam has its constants in float32.
BETA1, BETA2, EPSILON = (float32(v) for v in (ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON))
REST1, REST2 = (float(np.float32(1) - np.float32(v)) for v in (ADAM_BETA1, ADAM_BETA2))


def decayed(grads: Tensors, weights: Tensors, wd: float) -> Tensors:
    """Return the gradients with weight decay, as new tensors."""
    return list(foreach._foreach_add(grads, weights, alpha=wd))


def sgd(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """``m = momentum m - lr (g + wd w)``; ``w += m``."""
    (mom,) = slots
    step = decayed(grads, weights, float32(wd))
    foreach._foreach_mul_(step, n["lr"])
    foreach._foreach_mul_(mom, n["momentum"])
    foreach._foreach_sub_(mom, step)
    foreach._foreach_add_(weights, mom)


def nag(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """Nesterov's momentum as MXNet 1.9.1 computes it: the buffer decays with the new weight."""
    (mom,) = slots
    step = decayed(grads, weights, float32(wd))
    foreach._foreach_mul_(step, n["ahead"])
    foreach._foreach_mul_(mom, n["momentum"])
    foreach._foreach_add_(weights, foreach._foreach_mul(mom, n["momentum"]))
    foreach._foreach_sub_(weights, step)
    step = decayed(grads, weights, float32(wd))
    foreach._foreach_mul_(step, n["lr"])
    foreach._foreach_sub_(mom, step)


def adam(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """Adam, decay added to the gradient."""
    mean, var = slots
    g = decayed(grads, weights, float32(wd))
    moments(mean, var, g, (BETA1, REST1, BETA2, REST2))
    scale = foreach._foreach_sqrt(var)
    foreach._foreach_add_(scale, EPSILON)
    step = foreach._foreach_mul(mean, n["lr"])
    foreach._foreach_div_(step, scale)
    foreach._foreach_sub_(weights, step)


def moments(
    mean: Tensors, var: Tensors, g: Tensors, betas: Tuple[float, float, float, float]
) -> None:
    """Bring the two averages of Adam and Nadam up to date."""
    keep, rest, keep_var, rest_var = betas
    foreach._foreach_mul_(mean, keep)
    foreach._foreach_add_(mean, g, alpha=rest)
    foreach._foreach_mul_(var, keep_var)
    foreach._foreach_addcmul_(var, g, g, rest_var)


def nadam(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """Nadam: Adam with Nesterov's momentum."""
    mean, var = slots
    g = decayed(grads, weights, wd)
    moments(mean, var, g, (ADAM_BETA1, 1 - ADAM_BETA1, ADAM_BETA2, 1 - ADAM_BETA2))
    foreach._foreach_mul_(g, n["gradient"])
    foreach._foreach_add_(g, foreach._foreach_mul(mean, n["mean"]))
    scale = foreach._foreach_div(var, n["bias"])
    foreach._foreach_sqrt_(scale)
    foreach._foreach_add_(scale, ADAM_EPSILON)
    foreach._foreach_mul_(g, n["lr"])
    foreach._foreach_div_(g, scale)
    foreach._foreach_sub_(weights, g)


def adadelta(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """AdaDelta, its step times the rate."""
    acc_g, acc_delta = slots
    foreach._foreach_mul_(acc_g, ADADELTA_RHO)
    foreach._foreach_addcmul_(acc_g, grads, grads, 1 - ADADELTA_RHO)
    delta = foreach._foreach_add(acc_delta, ADADELTA_EPSILON)
    foreach._foreach_div_(delta, foreach._foreach_add(acc_g, ADADELTA_EPSILON))
    foreach._foreach_sqrt_(delta)
    foreach._foreach_mul_(delta, grads)
    foreach._foreach_mul_(acc_delta, ADADELTA_RHO)
    foreach._foreach_addcmul_(acc_delta, delta, delta, 1 - ADADELTA_RHO)
    foreach._foreach_add_(delta, weights, alpha=wd)
    foreach._foreach_mul_(delta, n["lr"])
    foreach._foreach_sub_(weights, delta)


def rmsprop(
    weights: Tensors, grads: Tensors, slots: Tuple[Tensors, ...], n: Numbers, wd: float
) -> None:
    """RMSProp, decay added to the gradient."""
    (mean_square,) = slots
    g = decayed(grads, weights, wd)
    foreach._foreach_mul_(mean_square, RMSPROP_RHO)
    foreach._foreach_addcmul_(mean_square, g, g, 1 - RMSPROP_RHO)
    scale = foreach._foreach_add(mean_square, RMSPROP_EPSILON)
    foreach._foreach_sqrt_(scale)
    foreach._foreach_mul_(g, n["lr"])
    foreach._foreach_div_(g, scale)
    foreach._foreach_sub_(weights, g)


UPDATES: Dict[str, Callable[[Tensors, Tensors, Tuple[Tensors, ...], Numbers, float], None]] = {
    "sgd": sgd,
    "nag": nag,
    "adam": adam,
    "nadam": nadam,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
}


def numbers(
    name: str, *, lr: float, momentum: float, step: int, rescale: float = 1.0
) -> Dict[str, float]:
    """Return the numbers of one step of an optimizer; ``step`` counts updates from 1.

    Where MXNet has a kernel they are rounded to float32, as it rounds them. ``rescale`` is what
    gradients are multiplied by before.
    """
    if name == "nadam":
        return {"rescale": rescale, "lr": lr, **nadam_weights(step)._asdict()}
    if name in ("adadelta", "rmsprop"):
        return {"rescale": rescale, "lr": lr}
    rescale = float32(rescale)
    if name == "adam":
        return {"rescale": rescale, "lr": float32(lr * adam_correction(step))}
    rate, kept = float32(lr), float32(momentum)
    return {"rescale": rescale, "lr": rate, "momentum": kept, "ahead": rate * (1 + kept)}
