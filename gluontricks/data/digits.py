"""Handwritten digits that come with scikit-learn, enlarged to 32 x 32 colour images."""

from __future__ import annotations

import numpy as np

from gluontricks.data.images import ImageSet, image_set
from gluontricks.data.registry import DATASETS
from gluontricks.data.splits import select, stratified_mask

SPLIT_SEED = 0


def enlarge(values: np.ndarray) -> np.ndarray:
    """Return 8 x 8 images of values 0..16 as 32 x 32 images of three equal channels, uint8.

    Bilinear with pixel centres aligned and edges repeated. With a factor of 4 all weights are
    eighths, so integers suffice and the result is the same everywhere.

    Parameters
    ----------
    values : ndarray of integers, shape (N, 8, 8)
        0 is background, 16 full ink.

    Returns
    -------
    ndarray of uint8, shape (N, 32, 32, 3)
    """
    weights = np.zeros((32, 8), dtype=np.int64)
    rows = np.arange(32)
    eighths = 2 * rows - 3  # the centre of each new row, in eighths of an old one
    below, part = np.divmod(eighths, 8)
    np.add.at(weights, (rows, np.clip(below, 0, 7)), 8 - part)
    np.add.at(weights, (rows, np.clip(below + 1, 0, 7)), part)
    sums = np.einsum("ij,njk,lk->nil", weights, values.astype(np.int64), weights, optimize=True)
    full = 8 * 8 * 16
    grey = (sums * 255 + full // 2) // full
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=3)


def load(name: str, split: str) -> ImageSet:
    """Return a split of the digits: 1437 to train, 360 to test, the same share of each digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    info = DATASETS[name]
    labels = digits.target.astype(np.int64)
    images = enlarge(digits.images.astype(np.int64))
    whole = image_set(name, "all", images, labels, class_names=info.class_names)
    held = stratified_mask(labels, info.test_size, seed=SPLIT_SEED, stream="digits-split")
    return select(whole, held if split == "test" else ~held, split)
