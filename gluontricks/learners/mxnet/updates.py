"""One update of one parameter, for each optimizer, as operations of MXNet.

Each takes the weight, its gradient summed over the batch, and its state, and changes weight and
state in place. They keep no counters: the step is an argument, so a resumed run has nothing to
restore but the state.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from gluontricks.learners.optimizers import (
    ADADELTA_EPSILON,
    ADADELTA_RHO,
    ADAM_BETA1,
    ADAM_BETA2,
    ADAM_EPSILON,
    RMSPROP_EPSILON,
    RMSPROP_RHO,
    Setting,
    adam_correction,
    nadam_weights,
)
from gluontricks.mxnet_shim import mx

State = Tuple[Any, ...]


def sgd(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """``m = momentum m - lr (g + wd w)``; ``w += m``."""
    mx.nd.sgd_mom_update(
        weight,
        grad,
        state[0],
        out=weight,
        lr=s.lr,
        momentum=s.momentum,
        wd=s.wd,
        rescale_grad=s.rescale,
    )


def nag(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """Nesterov's momentum as MXNet 1.9.1 computes it, which its docstring does not say.

    ``m' = momentum m``; ``w -= m' - (1 + momentum) (m' - lr (g + wd w))``; then
    ``m = m' - lr (g + wd w)`` with the new weight.
    """
    mx.nd.nag_mom_update(
        weight,
        grad,
        state[0],
        out=weight,
        lr=s.lr,
        momentum=s.momentum,
        wd=s.wd,
        rescale_grad=s.rescale,
    )


def adam(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """Adam (Kingma and Ba, 2015, section 2, last paragraph), decay added to the gradient."""
    mx.nd.adam_update(
        weight,
        grad,
        *state,
        out=weight,
        lr=s.lr * adam_correction(s.step),
        wd=s.wd,
        rescale_grad=s.rescale,
        beta1=ADAM_BETA1,
        beta2=ADAM_BETA2,
        epsilon=ADAM_EPSILON,
    )


def nadam(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """Nadam: Adam with Nesterov's momentum (Dozat, 2016, Algorithm 2)."""
    mean, var = state
    weights = nadam_weights(s.step)
    g = grad * s.rescale + s.wd * weight
    mean *= ADAM_BETA1
    mean += (1 - ADAM_BETA1) * g
    var *= ADAM_BETA2
    var += (1 - ADAM_BETA2) * g * g
    ahead = g * weights.gradient + mean * weights.mean
    weight -= s.lr * ahead / (mx.nd.sqrt(var / weights.bias) + ADAM_EPSILON)


def adadelta(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """AdaDelta (Zeiler, 2012, Algorithm 1), its step times the rate, which MXNet's ignores."""
    acc_g, acc_delta = state
    g = grad * s.rescale
    acc_g *= ADADELTA_RHO
    acc_g += (1 - ADADELTA_RHO) * g * g
    delta = mx.nd.sqrt((acc_delta + ADADELTA_EPSILON) / (acc_g + ADADELTA_EPSILON)) * g
    acc_delta *= ADADELTA_RHO
    acc_delta += (1 - ADADELTA_RHO) * delta * delta
    weight -= s.lr * (delta + s.wd * weight)


def rmsprop(weight: Any, grad: Any, state: State, s: Setting) -> None:
    """RMSProp (Tieleman and Hinton, 2012), decay added to the gradient."""
    (n,) = state
    g = grad * s.rescale + s.wd * weight
    n *= RMSPROP_RHO
    n += (1 - RMSPROP_RHO) * g * g
    weight -= s.lr * g / mx.nd.sqrt(n + RMSPROP_EPSILON)


UPDATES: Dict[str, Callable[[Any, Any, State, Setting], None]] = {
    "sgd": sgd,
    "nag": nag,
    "adam": adam,
    "nadam": nadam,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
}
