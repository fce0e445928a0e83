"""Random proportions from uniform numbers, and proportions as whole pixels."""

from __future__ import annotations

import math
from typing import List, Sequence

import numpy as np


def beta(u: float, a: float, b: float) -> float:
    """Return the quantile ``u`` of the Beta(a, b) distribution."""
    from scipy.special import betaincinv

    return float(betaincinv(a, b, u))


def round_half_up(value: float) -> int:
    """Return the nearest whole number, halves upwards."""
    return math.floor(value + 0.5)


def cuts(u: np.ndarray, parts: int, length: int, alpha: float) -> List[int]:
    """Return the ``parts + 1`` borders that cut ``length`` pixels into ``parts`` pieces.

    The pieces' proportions are Dirichlet(alpha, ..., alpha), drawn by breaking a stick: of what
    is left each piece but the last takes a Beta(alpha, alpha * pieces still to come) share. With
    two parts the first border is ``round(lam * length)``, lam ~ Beta(alpha, alpha).
    """
    borders, left = [0], 1.0
    for piece in range(parts - 1):
        left *= 1 - beta(u[piece], alpha, alpha * (parts - 1 - piece))
        borders.append(round_half_up((1 - left) * length))
    return [*borders, length]


def bands(borders: Sequence[int]) -> np.ndarray:
    """Return one row per piece, 1 where the piece is, shape (pieces, length)."""
    positions = np.arange(borders[-1])
    return np.stack(
        [(positions >= a) & (positions < b) for a, b in zip(borders[:-1], borders[1:])]
    ).astype(np.float64)
