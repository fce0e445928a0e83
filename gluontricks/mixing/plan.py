"""What a mixed batch is made of, and the one function that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple

import numpy as np

from gluontricks.arrays import like


@dataclass(frozen=True)
class Plan:
    """How every image of a batch is composed of images of the same batch.

    Attributes
    ----------
    sources : ndarray of int64, shape (S, N)
        ``sources[s, i]`` is the batch index of the s-th image that image ``i`` is made of.
    masks : ndarray of float32, shape (S, H or 1, W or 1)
        Weight of each source at each pixel; they sum to 1 over S.
    weights : ndarray of float32, shape (S,)
        Weight of each source's target: the mean of its mask, so that a target says exactly
        what part of the picture it is.
    """

    sources: np.ndarray
    masks: np.ndarray
    weights: np.ndarray


def make_plan(sources: np.ndarray, masks: np.ndarray) -> Plan:
    """Return the plan whose target weights are the mean of its masks."""
    weights = masks.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
    return Plan(sources, masks.astype(np.float32), weights)


def reversed_pairs(count: int) -> np.ndarray:
    """Return sources (2, N): each image, and its partner in the reversed batch (GluonCV)."""
    order = np.arange(count)
    return np.stack([order, order[::-1]])


def mix(images: Any, targets: Any, plan: Plan) -> Tuple[Any, Any]:
    """Return a batch composed as ``plan`` says; the inputs stay as they are.

    ``x'_i = sum_s masks[s] * x[sources[s, i]]`` and ``t'_i = sum_s weights[s] *
    t[sources[s, i]]``.

    Parameters
    ----------
    images : array or tensor, shape (N, C, H, W)
        NumPy's or torch's, floating point.
    targets : array or tensor, shape (N, K)
        Rows are probability distributions.
    plan : Plan

    Returns
    -------
    (images, targets)
        New arrays of the same shapes.
    """
    masks, weights = like(plan.masks, images), like(plan.weights, targets)
    sources = like(plan.sources, images)
    mixed, blended = 0, 0
    for s in range(len(plan.sources)):
        if plan.weights[s] == 0:
            continue
        mixed = mixed + images[sources[s]] * masks[s]
        blended = blended + targets[sources[s]] * weights[s]
    return mixed, blended
