"""Decoded images in one memory-mapped file: for sets that are small and trained on many times."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from gluontricks.data.listing import Listing
from gluontricks.errors import DiskError, IntegrityError
from gluontricks.files import make_folder, sync_folder, write_atomic, write_error

SCHEMA = "gluontricks.pixels/1"


class DecodedListing(Listing):
    """A listing whose images lie decoded in a file.

    Parameters
    ----------
    whole : Listing
    path : Path
        The file of all pixels, image after image, uint8.
    shapes : ndarray of int64, shape (N, 2)
        Height and width of each image.
    """

    def __init__(self, whole: Listing, path: Path, shapes: np.ndarray) -> None:
        super().__init__(whole.name, whole.split, whole.labels, whole.class_names, whole.sha256)
        self.whole, self.path, self.shapes = whole, path, shapes
        self.ends = np.cumsum(3 * shapes.prod(axis=1))
        self.pixels: Any = None

    def __getstate__(self) -> Dict[str, Any]:
        """Return what goes to another process: it maps the file itself."""
        return {**self.__dict__, "pixels": None}

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        return self.whole.read(index)

    def where(self, index: int) -> str:
        """Return what an error calls an image."""
        return self.whole.where(index)

    def image(self, index: int) -> Any:
        """Return an image as Pillow holds it."""
        from PIL import Image

        if self.pixels is None:
            self.pixels = np.memmap(self.path, dtype=np.uint8, mode="r")
        height, width = self.shapes[index].tolist()
        end = int(self.ends[index])
        values = self.pixels[end - 3 * height * width : end]
        return Image.fromarray(np.asarray(values).reshape(height, width, 3))


def decoded_cache(listing: Listing, folder: Path) -> DecodedListing:
    """Return a listing with the same images, decoded once, in files of ``folder``.

    Raises
    ------
    DataError
        If an image is damaged.
    DiskError
        If there is no room.
    IntegrityError
        If the files are not what was written.
    """
    make_folder(folder)
    path = folder / f"{listing.name}-{listing.split}-{listing.sha256[:16]}.pixels"
    about = path.with_suffix(".json")
    if not about.exists():
        write_pixels(listing, path, about)
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
        shapes = np.array(content["shapes"], dtype=np.int64).reshape(-1, 2)
        whole = content["schema"] == SCHEMA and content["sha256"] == listing.sha256
        whole = whole and path.stat().st_size == 3 * int(shapes.prod(axis=1).sum())
    except (OSError, ValueError, KeyError, TypeError):
        shapes, whole = np.zeros((0, 2), dtype=np.int64), False
    if not whole or len(shapes) != len(listing):
        raise IntegrityError(
            f"'{path}' is not the decoded images that were written",
            f"remove it and '{about.name}': they are made again",
        )
    return DecodedListing(listing, path, shapes)


def write_pixels(listing: Listing, path: Path, about: Path) -> None:
    """Decode all images into a file, which gets its name when it is whole."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    shapes: List[List[int]] = []
    try:
        with open(temporary, "wb") as stream:
            for index in range(len(listing)):
                pixels = np.asarray(listing.image(index), dtype=np.uint8)
                shapes.append([*pixels.shape[:2]])
                stream.write(pixels.tobytes())
                if index == FIRST_ESTIMATE:
                    check_room(path.parent, stream.tell() * len(listing) // (index + 1))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        if temporary.exists():
            temporary.unlink()
    content = {"schema": SCHEMA, "sha256": listing.sha256, "shapes": shapes}
    write_atomic(about, json.dumps(content) + "\n")


# After so many images the size of all can be told.
FIRST_ESTIMATE = 99


def check_room(folder: Path, needed: int) -> None:
    """Raise unless a folder has room for ``needed`` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskError(
            f"the decoded images need about {needed / 2**30:.1f} GB, '{folder}' has "
            f"{free / 2**30:.1f}",
            "leave --cache out, or name another folder",
        )
