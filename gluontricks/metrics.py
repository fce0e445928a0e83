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


def percent(hits: np.ndarray) -> float:
    """Return the share of true values in percent."""
    return round(100.0 * int(hits.sum()) / len(hits), 6)
