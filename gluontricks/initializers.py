"""Initial values of parameters: functions of (seed, path), made in NumPy, equal in every engine."""

from __future__ import annotations

import math
from typing import Tuple

import numpy as np

from gluontricks.errors import UsageError, unknown
from gluontricks.streams import normals, uniforms

# What the last part of a parameter's path says about its first value; weights are drawn.
CONSTANTS = {
    "gamma": "ones",
    "beta": "zeros",
    "bias": "zeros",
    "running_mean": "zeros",
    "running_var": "ones",
}
DRAWN = ("xavier", "msra")
RULES = (*DRAWN, "zeros", "ones")


def rule(path: str, init: str) -> str:
    """Return how the parameter at ``path`` starts: ``init`` for a weight, or ``zeros`` or ``ones``.

    Parameters
    ----------
    path : str
        Attribute path such as ``features.0.weight``; its last part is the parameter's role.
    init : {'xavier', 'msra'}
        Rule of the run.

    Raises
    ------
    UsageError
        If there is no rule for the role, or no such ``init``.
    """
    if init not in DRAWN:
        raise unknown("initialisation", init, DRAWN)
    role = path.rsplit(".", 1)[-1]
    if role == "weight":
        return init
    if role not in CONSTANTS:
        raise UsageError(
            f"there is no initial value for parameters named '{role}' ('{path}')",
            "name its rule: " + ", ".join(RULES),
        )
    return CONSTANTS[role]


def initial_value(
    path: str, shape: Tuple[int, ...], *, seed: int, init: str = "xavier"
) -> np.ndarray:
    """Return the first value of one parameter; it depends on no other parameter.

    Parameters
    ----------
    path : str
        Attribute path such as ``features.0.weight``.
    shape : tuple of int
        Weights: outputs, inputs (of one group), then the kernel.
    seed : int
        Seed of the run.
    init : {'xavier', 'msra', 'zeros', 'ones'}
        ``zeros`` and ``ones`` are taken as they are. The others hold for weights, while biases,
        betas and running means are 0, gammas and running variances 1. ``xavier``: uniform in
        +-sqrt(3 / f), where f is the mean of fan-in and fan-out, kernel area included (Glorot and
        Bengio 2010, Eq. 16). ``msra``: normal with variance 2 / (1 + 0.25^2) / f, GluonCV's for
        ImageNet (He et al. 2015, section 2.2, with its ``MSRAPrelu`` slope).

    Returns
    -------
    ndarray of float32

    Raises
    ------
    UsageError
        If there is no such rule, or a weight has fewer than two axes.
    """
    how = init if init in ("zeros", "ones") else rule(path, init)
    if how in ("zeros", "ones"):
        return np.full(shape, 1.0 if how == "ones" else 0.0, dtype=np.float32)
    count = int(np.prod(shape))
    fan = mean_fan(path, shape)
    stream = f"init/{path}"
    if how == "xavier":
        bound = math.sqrt(3.0 / fan)
        values = (2.0 * uniforms(seed, stream, 0, count) - 1.0) * bound
    else:
        values = normals(seed, stream, 0, count) * math.sqrt(2.0 / (1.0 + 0.25**2) / fan)
    return values.astype(np.float32).reshape(shape)


def mean_fan(path: str, shape: Tuple[int, ...]) -> float:
    """Return the mean of fan-in and fan-out, kernel area included, of a weight."""
    if len(shape) < 2 or min(shape) < 1:
        raise UsageError(
            f"weight '{path}' has shape {tuple(shape)}",
            "a weight that is drawn needs outputs and inputs; name 'zeros' or 'ones' for others",
        )
    area = int(np.prod(shape[2:]))
    return (shape[0] + shape[1]) * area / 2.0
