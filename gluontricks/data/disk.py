"""Data sets on disk: two listings that fit together, decoded when their images are needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from gluontricks.data.consistency import check_pair
from gluontricks.data.listing import Listing, find_listing
from gluontricks.data.loader import Loader
from gluontricks.data.locations import data_folder
from gluontricks.data.records import find_records
from gluontricks.data.registry import DatasetInfo
from gluontricks.data.splits import check_count, stratified_mask
from gluontricks.data.views import PlainView
from gluontricks.errors import DataError


class RecordFiles(NamedTuple):
    """Record files and their indices; None stands for the usual place."""

    train: Optional[Path] = None
    train_index: Optional[Path] = None
    validation: Optional[Path] = None
    validation_index: Optional[Path] = None


class Pair(NamedTuple):
    """The images to learn from and those to evaluate on."""

    train: Listing
    validation: Listing


def open_pair(
    info: DatasetInfo, data_dir: Optional[Path], records: Optional[RecordFiles] = None
) -> Pair:
    """Return the two parts of a data set on disk, if they fit together.

    Parameters
    ----------
    info : DatasetInfo
    data_dir : Path, optional
        The data set's folder, or that which holds it; the usual one if not given.
    records : RecordFiles, optional
        Read record files instead of folders of images.

    Raises
    ------
    DataError
        If files are missing, or do not fit together or the data set.
    """
    if records is None:
        pair = Pair(*(find_listing(info.name, split, data_dir) for split in ("train", "val")))
    else:
        folder = data_folder(data_dir) / "rec"
        pair = Pair(
            find_records(info.name, "train", records.train or folder / "train.rec",
                         records.train_index),
            find_records(info.name, "val", records.validation or folder / "val.rec",
                         records.validation_index),
        )  # fmt: skip
    check_pair(pair.train, pair.validation)
    check_known_classes(info, pair.train)
    return pair


def check_known_classes(info: DatasetInfo, listing: Listing) -> None:
    """Raise unless a data set that is known by name has the classes that it should have."""
    found = len(listing.class_names)
    if info.classes and found != info.classes:
        raise DataError(
            f"'{info.name}' has {info.classes} classes, there are {found} here",
            f"give the folder that holds it, or --dataset folder --classes {found}",
        )
    for number, (own, there) in enumerate(zip(info.class_names, listing.class_names)):
        if own != there:
            raise DataError(
                f"class {number} of '{info.name}' is {own}, here it is {there}",
                "give the folder that holds it, or use --dataset folder",
            )


class Chosen(Listing):
    """Some images of a listing.

    Parameters
    ----------
    whole : Listing
    places : ndarray of int64
        Which of them.
    """

    def __init__(self, whole: Listing, places: np.ndarray) -> None:
        self.whole, self.places = whole, places
        digest = hashlib.sha256(f"{whole.sha256} {places.tolist()}".encode()).hexdigest()
        super().__init__(whole.name, whole.split, whole.labels[places], whole.class_names, digest)

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        return self.whole.read(int(self.places[index]))

    def where(self, index: int) -> str:
        """Return what an error calls an image."""
        return self.whole.where(int(self.places[index]))

    def image(self, index: int) -> Any:
        """Return an image as Pillow holds it."""
        return self.whole.image(int(self.places[index]))


@dataclass(frozen=True, eq=False)
class DiskSet:
    """Images on disk with their labels, as evaluation sees them.

    Parameters
    ----------
    listing : Listing
    view : PlainView
        How they are resized and cropped.
    split : str
        ``train``, ``test`` or ``validation``.
    workers : int
        Processes that decode.
    """

    listing: Listing
    view: PlainView
    split: str
    workers: int = 0

    @property
    def name(self) -> str:
        """Return the data set's name."""
        return self.listing.name

    @property
    def labels(self) -> np.ndarray:
        """Return the labels, int64 (N,)."""
        return self.listing.labels

    @property
    def class_names(self) -> Tuple[str, ...]:
        """Return what the labels stand for."""
        return self.listing.class_names

    @property
    def sha256(self) -> str:
        """Return the listing's hash: of labels and lengths of files, not of their contents."""
        return self.listing.sha256

    @property
    def files(self) -> Tuple[Tuple[str, str], ...]:
        """Return name and hash of the files that a record names."""
        return self.listing.files

    @property
    def size(self) -> Tuple[int, int]:
        """Return the height and the width of what the network sees."""
        return self.view.size, self.view.size

    def divided(self, count: int, *, seed: int) -> Tuple[DiskSet, DiskSet]:
        """Return this set without ``count`` images, and a validation set of those.

        The choice is that of :func:`gluontricks.data.splits.split_validation`.
        """
        check_count(count, len(self))
        mask = stratified_mask(self.labels, count, seed=seed, stream="validation-split")
        rest, held_out = (Chosen(self.listing, np.flatnonzero(m)) for m in (~mask, mask))
        return replace(self, listing=rest), replace(self, listing=held_out, split="validation")

    def chosen(self, mask: np.ndarray) -> DiskSet:
        """Return the images where ``mask`` holds, in their order."""
        return replace(self, listing=Chosen(self.listing, np.flatnonzero(mask)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.listing)

    def chunks(self, count: int) -> Iterator[np.ndarray]:
        """Yield all images in order, ``count`` at a time; the last may be fewer."""
        loader = Loader(self.listing, workers=self.workers, view=self.view)
        try:
            yield from loader.chunks(count)
        finally:
            loader.close()
