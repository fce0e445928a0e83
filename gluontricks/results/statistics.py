"""The statistics of a few runs: intervals, tests, and the words that they allow.

Every function takes plain numbers, one per run. All tests are two-sided, all intervals of 95 %.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
from scipy import stats

LEVEL = 0.95
ALPHA = 1 - LEVEL
MARGIN = 0.5
# Up to here the sign-flip test looks at every assignment of signs; beyond, at this many at random.
EXACT, DRAWS = 16, 1 << 16
LEAST_FOR_EQUIVALENCE = 3

Interval = Tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """Number, mean, standard deviation and 95 % t interval; the last two need two runs."""

    n: int
    mean: float
    std: Optional[float]
    interval: Optional[Interval]


@dataclass(frozen=True)
class Difference:
    """A difference of means with its interval, and the p-values of the tests that were possible.

    ``pairs`` is the number of pairs, 0 where runs were not paired.
    """

    mean: float
    interval: Optional[Interval]
    pairs: int = 0
    sign_flip: Optional[float] = None
    welch: Optional[float] = None


def summary(values: Sequence[float]) -> Summary:
    """Return number, mean, standard deviation and interval of some runs.

    Raises
    ------
    ValueError
        If there are none.
    """
    n = len(values)
    if not n:
        raise ValueError("no runs to summarise")
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(1, mean, None, None)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = quantile(n - 1) * std / math.sqrt(n)
    return Summary(n, mean, std, (mean - half, mean + half))


def quantile(freedom: float) -> float:
    """Return the factor of a 95 % interval for so many degrees of freedom."""
    return float(stats.t.ppf(1 - ALPHA / 2, freedom))


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Optional[Difference]:
    """Return the difference of two rows over the seeds that both have; None without a common one.

    Parameters
    ----------
    ours, theirs : mapping
        Seed -> result.
    """
    seeds = sorted(set(ours) & set(theirs))
    if not seeds:
        return None
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    found = summary(differences)
    return Difference(
        found.mean,
        found.interval,
        pairs=found.n,
        sign_flip=sign_flip(differences) if found.n > 1 else None,
        welch=welch(list(ours.values()), list(theirs.values())),
    )


def sign_flip(differences: Sequence[float]) -> float:
    """Return the p-value of the sign-flip test: how often random signs give as large a mean.

    Exact for up to 16 differences, else of 65,536 fixed random assignments. With n differences it
    cannot be below 2 / 2^n, so that six pairs are the least that can reach 0.05.
    """
    values = np.asarray(differences, dtype=np.float64)
    observed = abs(values.sum())
    if len(values) <= EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
    else:
        words = np.random.Generator(np.random.Philox(0)).random((DRAWS, len(values)))
        # The assignment that was observed belongs to them, so that p is never 0.
        signs = np.vstack([np.ones(len(values)), np.where(words < 0.5, 1.0, -1.0)])
    sums = np.abs(signs @ values)
    # Equal sums differ by rounding.
    return float(np.mean(sums >= observed - 1e-9 * max(1.0, observed)))


def welch(ours: Sequence[float], theirs: Sequence[float]) -> Optional[float]:
    """Return the p-value of Welch's test; None unless both have two runs and some spread."""
    if min(len(ours), len(theirs)) < 2:
        return None
    found = unpaired(summary(ours), summary(theirs))
    if found is None:
        return None
    difference, error, freedom = found
    return float(2 * stats.t.sf(abs(difference) / error, freedom))


def unpaired(ours: Summary, theirs: Summary) -> Optional[Tuple[float, float, float]]:
    """Return difference, standard error and degrees of freedom (Welch, Satterthwaite).

    None where neither has any spread.
    """
    parts = [(s.std or 0.0) ** 2 / s.n for s in (ours, theirs)]
    square = sum(parts)
    if square == 0:
        return None
    below = sum(part**2 / (s.n - 1) for part, s in zip(parts, (ours, theirs)) if s.n > 1)
    return ours.mean - theirs.mean, math.sqrt(square), square**2 / below


def holm(values: Mapping[str, Optional[float]]) -> Dict[str, float]:
    """Return Holm's corrected p-values of a family of tests; those that are None stay out."""
    known = sorted((p, name) for name, p in values.items() if p is not None)
    corrected: Dict[str, float] = {}
    largest = 0.0
    for rank, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[name] = largest
    return corrected


def to_published(
    ours: Summary, value: float, *, std: Optional[float] = None, runs: Optional[int] = None
) -> Difference:
    """Return the difference from a published value; a printed deviation of several runs counts."""
    found = _against(ours, value, std, runs)
    if found is None:
        return Difference(ours.mean - value, None)
    difference, error, freedom = found
    half = quantile(freedom) * error
    return Difference(difference, (difference - half, difference + half))


def equivalence(
    ours: Summary,
    value: float,
    margin: float = MARGIN,
    *,
    std: Optional[float] = None,
    runs: Optional[int] = None,
) -> Optional[float]:
    """Return the p-value of two one-sided tests that we are within ``margin`` of a value.

    None for a single run. A small p-value says that the two are equivalent.
    """
    if ours.std is None:
        return None
    found = _against(ours, value, std, runs)
    if found is None:
        return 0.0 if abs(ours.mean - value) < margin else 1.0
    difference, error, freedom = found
    above = stats.t.sf((difference + margin) / error, freedom)
    below = stats.t.cdf((difference - margin) / error, freedom)
    return float(max(above, below))


def _against(
    ours: Summary, value: float, std: Optional[float], runs: Optional[int]
) -> Optional[Tuple[float, float, float]]:
    """Return difference, error and degrees of freedom; None for one run or runs all alike."""
    if ours.std is None:
        return None
    theirs = Summary(runs or 1, value, std if (runs or 1) > 1 else None, None)
    return unpaired(ours, theirs)


def verdict(
    ours: Summary,
    value: float,
    margin: float = MARGIN,
    *,
    std: Optional[float] = None,
    runs: Optional[int] = None,
) -> str:
    """Return the word that the runs allow about a published value; nothing for a single run.

    ``reproduced`` if three runs or more are equivalent to it within the margin; else
    ``consistent`` if the interval of the difference holds 0; else ``not reproduced``.
    """
    if ours.std is None:
        return ""
    p = equivalence(ours, value, margin, std=std, runs=runs)
    if ours.n >= LEAST_FOR_EQUIVALENCE and p is not None and p < ALPHA:
        return "reproduced"
    interval = to_published(ours, value, std=std, runs=runs).interval
    low, high = interval or (ours.mean - value, ours.mean - value)
    return "consistent" if low <= 0 <= high else "not reproduced"


@dataclass(frozen=True)
class Mcnemar:
    """How two networks answer the same images, and the exact p-value that they are as good.

    ``only_first`` and ``only_second`` count the images that one alone has right.
    """

    images: int
    both: int
    only_first: int
    only_second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> Mcnemar:
    """Compare two fixed networks by which images each has right.

    Parameters
    ----------
    first, second : ndarray of bool, shape (N,)
        Whether each answer is right, of the same images in the same order.
    """
    one, other = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    p = float(stats.binomtest(one, one + other).pvalue) if one + other else 1.0
    return Mcnemar(len(first), int(np.sum(first & second)), one, other, p)
