"""One update of many parameters at once, for each optimizer.

Each takes the weights in one tensor (see ``blocks.py``), their gradients (mean over the batch), the
slots, the numbers of the step and the weight decay, and changes weights and slots in place. The
formulas are those of ``learners/mxnet/updates.py``, whose docstrings have the sources. The numbers
are floats, or tensors without axes where the step is recorded once and replayed.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

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

Numbers = Mapping[str, Any]
Slots = Sequence[torch.Tensor]
Update = Callable[[torch.Tensor, torch.Tensor, Slots, Numbers, float], None]
# MXNet's kernel of Adam has its constants in float32.
BETA1, BETA2, EPSILON = (float32(v) for v in (ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON))
REST1, REST2 = (float(np.float32(1) - np.float32(v)) for v in (ADAM_BETA1, ADAM_BETA2))


def sgd(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """``m = momentum m - lr (g + wd w)``; ``w += m``."""
    (mom,) = slots
    step = torch.add(grad, w, alpha=float32(wd)).mul_(n["lr"])
    w.add_(mom.mul_(n["momentum"]).sub_(step))


def nag(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """Nesterov's momentum as MXNet 1.9.1 computes it: the buffer decays with the new weight."""
    (mom,) = slots
    mom.mul_(n["momentum"])
    step = torch.add(grad, w, alpha=float32(wd)).mul_(n["ahead"])
    w.add_(mom * n["momentum"]).sub_(step)
    mom.sub_(torch.add(grad, w, alpha=float32(wd)).mul_(n["lr"]))


def adam(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """Adam, decay added to the gradient."""
    mean, var = slots
    g = torch.add(grad, w, alpha=float32(wd))
    moments(mean, var, g, (BETA1, REST1, BETA2, REST2))
    w.sub_((mean * n["lr"]).div_(torch.sqrt(var).add_(EPSILON)))


def moments(
    mean: torch.Tensor, var: torch.Tensor, g: torch.Tensor, betas: Tuple[float, float, float, float]
) -> None:
    """Bring the two averages of Adam and Nadam up to date."""
    keep, rest, keep_var, rest_var = betas
    mean.mul_(keep).add_(g, alpha=rest)
    var.mul_(keep_var).addcmul_(g, g, value=rest_var)


def nadam(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """Nadam: Adam with Nesterov's momentum."""
    mean, var = slots
    g = torch.add(grad, w, alpha=wd)
    moments(mean, var, g, (ADAM_BETA1, 1 - ADAM_BETA1, ADAM_BETA2, 1 - ADAM_BETA2))
    g.mul_(n["gradient"]).add_(mean * n["mean"]).mul_(n["lr"])
    w.sub_(g.div_((var / n["bias"]).sqrt_().add_(ADAM_EPSILON)))


def adadelta(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """AdaDelta, its step times the rate."""
    acc_g, acc_delta = slots
    acc_g.mul_(ADADELTA_RHO).addcmul_(grad, grad, value=1 - ADADELTA_RHO)
    delta = (acc_delta + ADADELTA_EPSILON).div_(acc_g + ADADELTA_EPSILON).sqrt_().mul_(grad)
    acc_delta.mul_(ADADELTA_RHO).addcmul_(delta, delta, value=1 - ADADELTA_RHO)
    w.sub_(delta.add_(w, alpha=wd).mul_(n["lr"]))


def rmsprop(w: torch.Tensor, grad: torch.Tensor, slots: Slots, n: Numbers, wd: float) -> None:
    """RMSProp, decay added to the gradient."""
    (mean_square,) = slots
    g = torch.add(grad, w, alpha=wd)
    mean_square.mul_(RMSPROP_RHO).addcmul_(g, g, value=1 - RMSPROP_RHO)
    w.sub_(g.mul_(n["lr"]).div_((mean_square + RMSPROP_EPSILON).sqrt_()))


UPDATES: Dict[str, Update] = {
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
