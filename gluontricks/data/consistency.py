"""Proving that the two parts of a data set on disk belong together."""

from __future__ import annotations

from typing import Iterator, Sequence

import numpy as np

from gluontricks.data.listing import IMAGE_SUFFIXES, Listing
from gluontricks.errors import DataError

LISTED = 5


def check_pair(train: Listing, validation: Listing) -> None:
    """Raise unless two listings have the same classes in the same order, each with images.

    Raises
    ------
    DataError
        Naming the classes that one of them lacks, or the first whose place differs.
    """
    for problem in pair_problems(train, validation):
        raise problem


def pair_problems(train: Listing, validation: Listing) -> Iterator[DataError]:
    """Yield what keeps two listings from being the parts of one data set, as errors."""
    here, there = set(train.class_names), set(validation.class_names)
    for missing, part, other in ((here - there, "val", "train"), (there - here, "train", "val")):
        if missing:
            yield DataError(
                f"{len(missing)} of the classes of {other} are missing in {part}: "
                f"{some(sorted(missing))}",
                f"add their folders to {part}, or remove them from {other}",
            )
    if here == there:
        yield from order_problems(train, validation)
    for listing in (train, validation):
        yield from label_problems(listing)


def order_problems(train: Listing, validation: Listing) -> Iterator[DataError]:
    """Yield an error if two listings number the same classes differently."""
    pairs = list(zip(train.class_names, validation.class_names))
    wrong = [number for number, (one, other) in enumerate(pairs) if one != other]
    if wrong:
        one, other = pairs[wrong[0]]
        yield DataError(
            f"{len(wrong)} classes have another number in val than in train: class {wrong[0]} is "
            f"{one} in train and {other} in val",
            "make both with the same order of classes",
        )


def label_problems(listing: Listing) -> Iterator[DataError]:
    """Yield errors for labels without a class, and for classes without an image."""
    classes = len(listing.class_names)
    outside = np.flatnonzero((listing.labels < 0) | (listing.labels >= classes))
    if len(outside):
        first = int(outside[0])
        yield DataError(
            f"'{listing.where(first)}' has the label {listing.labels[first]}, one of "
            f"{len(outside)} that are not in 0..{classes - 1}",
            f"there are {classes} classes: correct the labels or the list of classes",
        )
        return
    counts = np.bincount(listing.labels, minlength=classes)
    empty = [listing.class_names[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        yield DataError(
            f"{len(empty)} of the classes have no image in {listing.split}: {some(empty)}",
            f"add images ({', '.join(IMAGE_SUFFIXES)}), or remove the classes from both parts",
        )


def check_labels(listing: Listing) -> None:
    """Raise DataError unless every label has a class, and every class an image."""
    for problem in label_problems(listing):
        raise problem


def some(names: Sequence[str]) -> str:
    """Return the first of some names as text."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
