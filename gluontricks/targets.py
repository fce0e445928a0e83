"""Class indices as probability distributions, so that every trick on targets composes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gluontricks.arrays import like
from gluontricks.errors import UsageError, unknown


def smoothing_values(classes: int, epsilon: float, form: str) -> tuple[float, float]:
    """Return the target of the true class, and of each other class.

    ``gluoncv`` moves ``epsilon`` to all ``K`` classes alike: ``1 - eps + eps/K`` and ``eps/K``.
    ``paper`` moves it to the ``K - 1`` others: ``1 - eps`` and ``eps/(K - 1)``.

    References
    ----------
    He et al., Bag of Tricks for Image Classification with CNNs, 2019, section 5.2, Eq. 4;
    GluonCV's ``train_imagenet.py``.
    """
    if not 0 <= epsilon < 1:
        raise UsageError(f"label smoothing is {epsilon}", "it must lie in [0, 1)")
    if form == "gluoncv":
        return 1 - epsilon + epsilon / classes, epsilon / classes
    if form == "paper":
        return 1 - epsilon, epsilon / (classes - 1)
    raise unknown("form of label smoothing", form, ("gluoncv", "paper"))


def optimal_gap(classes: int, epsilon: float, form: str = "paper") -> float:
    """Return by how much the true class's logit exceeds the others' where the loss is least.

    The softmax then is the smoothed target. In the paper's form that is
    ``log((K - 1) * (1 - eps) / eps)``: infinite for 0, and 0 for ``(K - 1) / K``.

    References
    ----------
    He et al., Bag of Tricks for Image Classification with CNNs, 2019, section 5.2, Eq. 5.
    """
    on, off = smoothing_values(classes, epsilon, form)
    return math.log(on / off) if off else math.inf


def smooth_targets(
    labels: Any, classes: int, *, epsilon: float = 0.0, form: str = "gluoncv"
) -> Any:
    """Return class indices as (smoothed) probability distributions.

    Parameters
    ----------
    labels : integer array or tensor, shape (N,)
        NumPy's or torch's.
    classes : int
        K, the length of a target.
    epsilon : float
        Probability moved off the true class, in [0, 1).
    form : {'gluoncv', 'paper'}
        See :func:`smoothing_values`.

    Returns
    -------
    array or tensor of float32, shape (N, K)
        Rows sum to 1. Of the kind of ``labels``, on its device.

    Raises
    ------
    UsageError
        If ``epsilon`` or ``form`` is out of range.
    """
    on, off = smoothing_values(classes, epsilon, form)
    table = np.full((classes, classes), off, dtype=np.float32)
    np.fill_diagonal(table, on)
    return like(table, labels)[labels]
