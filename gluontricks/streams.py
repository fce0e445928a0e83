"""Randomness as a function of (seed, stream, epoch, index), never of history.

Only the raw 64-bit words of Philox are used, which NumPy keeps stable across versions; every
distribution is an inverse cumulative distribution function of one word per draw. So draw ``index``
does not depend on how many others are made, nor on what was drawn before it.
"""

from __future__ import annotations

import hashlib

import numpy as np


def words(seed: int, stream: str, epoch: int, count: int) -> np.ndarray:
    """Return ``count`` random 64-bit words.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 or more.
    stream : str
        What the words are for; different names give independent words.
    epoch : int
        Epoch, or any other number that sets one series apart from the next.
    count : int
        How many words; word ``i`` is the same for every ``count > i``.

    Returns
    -------
    ndarray of uint64, shape (count,)
    """
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    key = np.array([seed, name], dtype=np.uint64)
    counter = np.array([0, 0, 0, epoch], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def uniforms(seed: int, stream: str, epoch: int, count: int) -> np.ndarray:
    """Return ``count`` numbers uniform in the open interval (0, 1), float64, shape (count,)."""
    # 52 bits and a half, so that neither end is ever drawn and inverse functions stay finite.
    return ((words(seed, stream, epoch, count) >> np.uint64(12)) + 0.5) * 2.0**-52


def normals(seed: int, stream: str, epoch: int, count: int) -> np.ndarray:
    """Return ``count`` standard normal numbers, float64, shape (count,)."""
    from scipy.special import ndtri

    return ndtri(uniforms(seed, stream, epoch, count))


def permutation(seed: int, stream: str, epoch: int, count: int) -> np.ndarray:
    """Return a random order of ``range(count)``, int64, shape (count,)."""
    return np.argsort(words(seed, stream, epoch, count), kind="stable")


def operator_seed(seed: int, step: int) -> int:
    """Return the 31-bit seed of a framework's own generator (dropout) for one step."""
    return int(words(seed, "operators", step, 1)[0] >> np.uint64(33))
