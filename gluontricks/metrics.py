"""Accuracy and likelihood of logits, each image counted once."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np


def evaluate_logits(logits: np.ndarray, labels: np.ndarray) -> Dict[str, Any]:
    """Return top-1 and top-5 accuracy and the negative log-likelihood.

    Parameters
    ----------
    logits : ndarray, shape (N, K)
    labels : ndarray of integers, shape (N,)

    Returns
    -------
    dict
        ``top1``, ``top5`` in percent, ``nll`` in nats, ``n`` images. An image is a hit of the
        top k if fewer than k classes come before its own: by a greater logit, or by an equal
        one and a lower number, as ``argmax`` counts. What is not a number hits nothing.
    """
    scores = logits.astype(np.float64)
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    lower = np.arange(scores.shape[1]) < labels[:, None]
    better = (~(scores <= own) | ((scores == own) & lower)).sum(axis=1)
    highest = scores.max(axis=1, keepdims=True)
    partition = np.log(np.exp(scores - highest).sum(axis=1)) + highest[:, 0]
    return {
        "top1": percent(better < 1),
        "top5": percent(better < 5),
        "nll": float((partition - own[:, 0]).mean()),
        "n": len(labels),
    }


def confidences(logits: np.ndarray) -> np.ndarray:
    """Return the probability of the class that each image is said to be, float32, shape (N,)."""
    scores = logits.astype(np.float64)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (1 / odds.sum(axis=1)).astype(np.float32)


def logit_gaps(logits: np.ndarray) -> np.ndarray:
    """Return by how much the largest logit exceeds the mean of the others, float32, shape (N,).

    Parameters
    ----------
    logits : ndarray, shape (N, K)
        Of two or more classes.

    References
    ----------
    He et al., Bag of Tricks for Image Classification with CNNs, 2019, section 5.2.
    """
    scores = logits.astype(np.float64)
    highest = scores.max(axis=1)
    rest = (scores.sum(axis=1) - highest) / (scores.shape[1] - 1)
    return (highest - rest).astype(np.float32)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error: by how much confidence and accuracy differ.

    Parameters
    ----------
    confidence : ndarray, shape (N,)
        Probability of the class that was predicted, in (0, 1].
    right : ndarray of bool, shape (N,)
        Whether it is the image's own.
    bins : int
        Equal intervals of confidence; each counts by its images.

    Returns
    -------
    float
        In 0..1.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, 2017, Eq. 3.
    """
    places = np.clip(np.ceil(confidence.astype(np.float64) * bins).astype(np.int64), 1, bins) - 1
    gaps = np.bincount(places, weights=confidence - right.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def percent(hits: np.ndarray) -> float:
    """Return the share of true values in percent."""
    return round(100.0 * int(hits.sum()) / len(hits), 6)
