"""Proving that the two parts of a data set on disk belong together."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from gluontricks.data.listing import Listing
from gluontricks.errors import DataError

LISTED = 5


def check_pair(train: Listing, validation: Listing) -> None:
    """Raise unless two listings have the same classes in the same order, each with images.

    Raises
    ------
    DataError
        Naming the classes that one of them lacks, or the first whose place differs.
    """
    here, there = set(train.class_names), set(validation.class_names)
    for missing, part, other in ((here - there, "val", "train"), (there - here, "train", "val")):
        if missing:
            raise DataError(
                f"{len(missing)} of the classes of {other} are missing in {part}: "
                f"{some(sorted(missing))}",
                f"add their folders to {part}, or remove them from {other}",
            )
    pairs = zip(train.class_names, validation.class_names)
    for number, (one, other_one) in enumerate(pairs):
        if one != other_one:
            raise DataError(
                f"class {number} is {one} in train and {other_one} in val",
                "make both with the same order of classes",
            )
    for listing in (train, validation):
        check_labels(listing)


def check_labels(listing: Listing) -> None:
    """Raise unless every class of a listing has an image."""
    counts = np.bincount(listing.labels, minlength=len(listing.class_names))
    empty = [listing.class_names[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(
            f"{len(empty)} of the classes have no image in {listing.split}: {some(empty)}",
            "add images, or remove the classes",
        )


def some(names: Sequence[str]) -> str:
    """Return the first of some names as text."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
