"""Dividing a set in two so that every class keeps its share, as a function of the seed."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from gluontricks import streams
from gluontricks.data.images import ImageSet, image_set
from gluontricks.errors import UsageError


def stratified_mask(labels: np.ndarray, count: int, *, seed: int, stream: str) -> np.ndarray:
    """Return which ``count`` of the images to set apart, by class in proportion.

    Fractions go to the classes with the largest remainders, the first class first.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Class of each image.
    count : int
        How many to choose.
    seed, stream : int, str
        Select the random words, one per image.

    Returns
    -------
    ndarray of bool, shape (N,)
        True for ``count`` images.
    """
    sizes = np.bincount(labels)
    quotas, remainders = np.divmod(sizes * count, len(labels))
    spare = count - quotas.sum()
    quotas[np.argsort(-remainders, kind="stable")[:spare]] += 1
    order = np.lexsort((streams.words(seed, stream, 0, len(labels)), labels))
    starts = np.cumsum(sizes) - sizes
    ordered = labels[order]
    mask = np.zeros(len(labels), dtype=bool)
    mask[order] = np.arange(len(labels)) - starts[ordered] < quotas[ordered]
    return mask


def select(images: ImageSet, mask: np.ndarray, split: str) -> ImageSet:
    """Return the images where ``mask`` holds, in their order, as the part named ``split``."""
    return image_set(
        images.name,
        split,
        images.images[mask],
        images.labels[mask],
        class_names=images.class_names,
        files=images.files,
    )


def check_count(count: int, images: int) -> None:
    """Raise unless ``count`` of ``images`` can be held out."""
    if not 0 < count < images:
        raise UsageError(
            f"{count} validation images cannot be held out of {images}",
            f"give --val-split a number from 1 to {images - 1}, or 0 for none",
        )


def subset_mask(labels: np.ndarray, count: int) -> np.ndarray:
    """Return which ``count`` of a training set's images to train on, by class in proportion.

    The choice is the same for every seed, so that a teacher has seen what its students see.

    Raises
    ------
    UsageError
        If there are not more images than that.
    """
    if count >= len(labels):
        raise UsageError(
            f"--subset {count} is no part of the {len(labels)} images there are to train on",
            "give fewer, or 0 for all",
        )
    return stratified_mask(labels, count, seed=0, stream="subset")


def split_validation(images: ImageSet, count: int, *, seed: int) -> Tuple[ImageSet, ImageSet]:
    """Hold ``count`` images out of a training set.

    Parameters
    ----------
    images : ImageSet
        The set to divide; it is not changed.
    count : int
        Images to hold out: 1 or more, and fewer than there are.
    seed : int
        Seed of the choice, which is stratified by class.

    Returns
    -------
    (ImageSet, ImageSet)
        The rest, still ``train``, and the images held out, ``validation``; both in the order
        they had.

    Raises
    ------
    UsageError
        If ``count`` leaves one of the two empty.
    """
    check_count(count, len(images))
    mask = stratified_mask(images.labels, count, seed=seed, stream="validation-split")
    return select(images, ~mask, "train"), select(images, mask, "validation")
