"""Mixers that blend two images, or put a box of one into the other."""

from __future__ import annotations

import numpy as np

from gluontricks.mixing.plan import Plan, make_plan, reversed_pairs
from gluontricks.mixing.proportions import beta, round_half_up


def mixup(count: int, height: int, width: int, u: np.ndarray, *, alpha: float) -> Plan:
    """Return the plan of mixup: ``lam * x_i + (1 - lam) * x_j``, lam ~ Beta(alpha, alpha).

    One lambda serves the batch, and the partner ``j`` is the same place in the reversed batch,
    as in GluonCV.

    Parameters
    ----------
    count, height, width : int
        Images of the batch, and their size in pixels.
    u : ndarray, shape (at least 1,)
        Uniform random numbers; the first is used.
    alpha : float
        Both parameters of the Beta distribution, above 0.

    References
    ----------
    Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018; Bag of Tricks, section 5.4.
    """
    del height, width
    lam = beta(u[0], alpha, alpha)
    return make_plan(reversed_pairs(count), np.array([lam, 1 - lam]).reshape(2, 1, 1))


def cutmix(count: int, height: int, width: int, u: np.ndarray, *, alpha: float) -> Plan:
    """Return the plan of CutMix: a box of the partner, of about ``1 - lam`` of the area.

    The box has the image's aspect ratio, a uniform centre, and is cut off at the borders; the
    targets are weighted by the pixels that are really there. Parameters as in :func:`mixup`;
    three numbers of ``u`` are used.

    References
    ----------
    Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers, 2019, section 3.
    """
    side = np.sqrt(1 - beta(u[0], alpha, alpha))
    top, bottom = box(u[1], side, height)
    left, right = box(u[2], side, width)
    partner = np.zeros((height, width))
    partner[top:bottom, left:right] = 1
    return make_plan(reversed_pairs(count), np.stack([1 - partner, partner]))


def box(u: float, part: float, length: int) -> tuple[int, int]:
    """Return both ends of ``part`` of ``length`` pixels around a centre ``u``, cut off."""
    size, centre = round_half_up(part * length), int(u * length)
    start = centre - size // 2
    return max(start, 0), max(min(start + size, length), 0)
