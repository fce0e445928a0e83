"""What a set of encoded images on disk is, without decoding one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from gluontricks.data.decode import open_image
from gluontricks.data.locations import data_folder
from gluontricks.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Folders in which a data set is looked for, and the names that its parts go by.
PLACES = {
    "imagenet": ("imagenet", "ILSVRC2012", "."),
    "imagenette": (
        "imagenette2-128", "imagenette2-160", "imagenette2-320", "imagenette2", ".",
    ),
}  # fmt: skip
PARTS = {"train": ("train",), "val": ("val", "validation", "test")}


class Listing:
    """Encoded images in a fixed order, with their labels.

    Sent to other processes as it is, so it holds arrays, not an object for each image.

    Attributes
    ----------
    name, split : str
        The data set, and ``train`` or ``val``.
    labels : ndarray of int64, shape (N,)
        Indices into ``class_names``.
    class_names : tuple of str
    sha256 : str
        Hash of labels and encoded lengths, in order: equal for a folder and the records that were
        made of it, and found without reading the images.
    files : tuple of (str, str)
        Names and hashes for a record; none, since hashing the images would take hours.
    """

    files: Tuple[Tuple[str, str], ...] = ()

    def __init__(
        self, name: str, split: str, labels: np.ndarray, class_names: Sequence[str], sha256: str
    ) -> None:
        self.name, self.split = name, split
        self.labels, self.class_names, self.sha256 = labels, tuple(class_names), sha256

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        raise NotImplementedError

    def where(self, index: int) -> str:
        """Return what an error calls an image."""
        raise NotImplementedError

    def image(self, index: int) -> Any:
        """Return an image as Pillow holds it, decoded.

        Raises
        ------
        DataError
            If it is damaged.
        """
        return open_image(self.read(index), self.where(index))


def listing_hash(labels: np.ndarray, lengths: np.ndarray) -> str:
    """Return the SHA-256 of labels and lengths, both as 64-bit little-endian numbers."""
    digest = hashlib.sha256(labels.astype("<i8").tobytes())
    digest.update(lengths.astype("<i8").tobytes())
    return digest.hexdigest()


class Entry(NamedTuple):
    """A file of a class: its name and its length in bytes."""

    name: str
    length: int


class FolderListing(Listing):
    """Images in one folder for each class; classes and files are in the order of their names.

    A class may be without images: :func:`gluontricks.data.consistency.check_labels` tells.

    Parameters
    ----------
    name, split : str
    root : Path
        The folder that holds the class folders.

    Raises
    ------
    DataError
        If there are no class folders.
    """

    def __init__(self, name: str, split: str, root: Path) -> None:
        self.root = Path(root)
        classes = class_folders(self.root)
        found = [list(images_in(self.root / one)) for one in classes]
        labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(f) for f in found])
        names = [entry.name.encode("utf-8", "surrogateescape") for one in found for entry in one]
        lengths = np.array([entry.length for one in found for entry in one], dtype=np.int64)
        self.ends = np.cumsum([len(name) for name in names], dtype=np.int64)
        self.names = b"".join(names)
        self.lengths = lengths
        super().__init__(name, split, labels, classes, listing_hash(labels, lengths))

    def path(self, index: int) -> Path:
        """Return the file of an image."""
        start = int(self.ends[index - 1]) if index else 0
        name = self.names[start : int(self.ends[index])].decode("utf-8", "surrogateescape")
        return self.root / self.class_names[int(self.labels[index])] / name

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        try:
            return self.path(index).read_bytes()
        except OSError as error:
            raise DataError(
                f"'{self.where(index)}' cannot be read ({error.strerror})",
                "check the disk; 'gluontricks data verify' finds all such images",
            ) from error

    def where(self, index: int) -> str:
        """Return the path of an image."""
        return str(self.path(index))


def class_folders(root: Path) -> List[str]:
    """Return the names of the folders in ``root``, in order.

    Raises
    ------
    DataError
        If there are none.
    """
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"'{root}' cannot be read ({error.strerror})", "check the path") from error
    if not names:
        raise DataError(
            f"'{root}' holds no class folders", "put the images of each class into a folder"
        )
    return names


def images_in(folder: Path) -> Iterator[Entry]:
    """Yield the image files of a folder in the order of their names."""
    with os.scandir(folder) as entries:
        kept = [e for e in entries if is_image(e.name) and e.is_file()]
    for entry in sorted(kept, key=lambda e: e.name):
        yield Entry(entry.name, entry.stat().st_size)


def other_files(root: Path) -> Iterator[Path]:
    """Yield what a listing of ``root`` leaves out, but for hidden files."""
    for place, inside in [(root, False), *((root / one, True) for one in class_folders(root))]:
        for entry in sorted(os.scandir(place), key=lambda e: e.name):
            known = is_image(entry.name) and entry.is_file() if inside else entry.is_dir()
            if not known and not entry.name.startswith("."):
                yield Path(entry.path)


def is_image(name: str) -> bool:
    """Return whether a file's name is that of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def find_part(name: str, split: str, data_dir: Optional[Union[str, Path]] = None) -> Path:
    """Return the folder of ``train`` or ``val`` of a data set on disk.

    Parameters
    ----------
    name : str
        ``imagenet``, ``imagenette`` or ``folder``.
    split : {'train', 'val'}
    data_dir : path, optional
        The data set's folder, or that which holds it; the usual one if not given.

    Raises
    ------
    DataError
        If there is none.
    """
    folder = data_folder(data_dir)
    for place in PLACES.get(name, (".",)):
        for part in PARTS[split]:
            if (folder / place / part).is_dir():
                return folder / place / part
    raise DataError(
        f"there is no folder '{split}' of {name} in '{folder}'",
        "name the folder that holds train/ and val/, with a folder for each class in them, by "
        "--data-dir",
    )


def find_listing(
    name: str, split: str, data_dir: Optional[Union[str, Path]] = None
) -> FolderListing:
    """Return the images of a part of a data set on disk; arguments as of :func:`find_part`."""
    return FolderListing(name, split, find_part(name, split, data_dir))
