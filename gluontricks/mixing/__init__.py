"""Mixers: what makes one training image out of several.

A mixer turns uniform random numbers into a :class:`~gluontricks.mixing.plan.Plan`;
:func:`~gluontricks.mixing.plan.mix` carries any plan out, on NumPy arrays and torch tensors.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from gluontricks.mixing.mixup import cutmix, mixup
from gluontricks.mixing.names import SINGLE, alternatives, mixer_names
from gluontricks.mixing.plan import Plan, mix
from gluontricks.mixing.stitch import parse_grid, stitch_horizontal, stitch_tile, stitch_vertical

__all__ = [
    "MIXERS",
    "SINGLE",
    "Plan",
    "alternatives",
    "draw_plans",
    "mix",
    "mix_batch",
    "mixer_names",
    "uniforms_needed",
]

MIXERS: Dict[str, Callable[..., Plan]] = {
    "mixup": mixup,
    "cutmix": cutmix,
    "stitch-horizontal": stitch_horizontal,
    "stitch-vertical": stitch_vertical,
    "stitch-tile": stitch_tile,
}


def uniforms_needed(mixup_type: str, grid: Optional[str]) -> int:
    """Return how many uniform numbers one batch of ``mixup_type`` takes at most."""
    per_mixer = max(3, sum(parse_grid(grid)) if grid else 0)
    return 1 + per_mixer * max(len(part) for part in alternatives(mixup_type))


def draw_plans(
    mixup_type: str,
    count: int,
    size: Tuple[int, int],
    u: np.ndarray,
    *,
    alpha: Optional[float],
    grid: Optional[str] = None,
) -> Tuple[Plan, ...]:
    """Return the plans of one batch, to be carried out in turn.

    Parameters
    ----------
    mixup_type : str
        A mixer's name, ``none``, ``a+b`` (both in turn) or ``a|b`` (one of them per batch).
    count : int
        Images of the batch.
    size : (int, int)
        Height and width of an image in pixels.
    u : ndarray, shape (at least ``uniforms_needed(mixup_type, grid)``,)
        Uniform random numbers.
    alpha : float
        Parameter of the Beta distributions.
    grid : str, optional
        Grid of ``stitch-tile``.
    """
    parts = alternatives(mixup_type)
    names = parts[int(u[0] * len(parts))]
    share = (len(u) - 1) // max(len(names), 1)
    plans = []
    for i, name in enumerate(names):
        mixer = partial(MIXERS[name], grid=grid) if name == "stitch-tile" else MIXERS[name]
        plans.append(mixer(count, *size, u[1 + i * share : 1 + (i + 1) * share], alpha=alpha))
    return tuple(plans)


def mix_batch(
    images: Any,
    targets: Any,
    mixup_type: str,
    *,
    alpha: float = 0.2,
    grid: str = "2x2",
    rng: np.random.Generator,
) -> Tuple[Any, Any]:
    """Return a mixed batch: the mixers of this package in a loop of one's own.

    Parameters
    ----------
    images : array or tensor, shape (N, C, H, W)
        NumPy's or torch's, floating point.
    targets : array or tensor, shape (N, K)
        Rows are probability distributions, as ``smooth_targets`` gives them.
    mixup_type : str
        As ``--mixup-type``: ``stitch-vertical``, ``mixup+stitch-tile``, ``mixup|cutmix``, ...
    alpha : float
        Parameter of the Beta distributions, above 0.
    grid : str
        Rows x columns of ``stitch-tile``.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    (images, targets)
        New arrays; the inputs stay as they are.

    Raises
    ------
    UsageError
        If a name is no mixer, or the grid has more tiles than the batch has images.
    """
    u = rng.random(uniforms_needed(mixup_type, grid))
    size = (int(images.shape[2]), int(images.shape[3]))
    for plan in draw_plans(mixup_type, len(images), size, u, alpha=alpha, grid=grid):
        images, targets = mix(images, targets, plan)
    return images, targets
