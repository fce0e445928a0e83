"""Decoded images in one memory-mapped file: for sets that are small and trained on many times."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterable, List

import numpy as np

from gluontricks.data.decode import pixel_count
from gluontricks.data.listing import Listing
from gluontricks.errors import DiskError, IntegrityError, OutputError
from gluontricks.files import TEMPORARY, make_folder, sync_folder, write_atomic, write_error

SCHEMA = "gluontricks.pixels/1"
# Images whose headers tell the size of all, and images that are compared with the files.
SAMPLED, COMPARED = 200, 16
# Nobody writes any more to a file that has not changed for so many seconds.
STALE = 3600.0


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
        self.whole, self.path, self.shapes, self.files = whole, path, shapes, whole.files
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

    Its hash does not tell images of equal lengths apart, so some are compared with the files.

    Raises
    ------
    DataError
        If an image is damaged.
    DiskError
        If there is no room.
    IntegrityError
        If the files are not what was written, or belong to other images.
    """
    try:
        make_folder(folder)
    except OutputError as error:
        raise OutputError(error.cause, "choose another folder with --cache") from error
    path = pixels_path(listing, folder)
    about = path.with_suffix(".json")
    if not about.exists():
        room_for([listing], folder)
        write_pixels(listing, path, about)
    decoded = DecodedListing(listing, path, read_shapes(listing, path, about))
    for index in spread(len(listing), COMPARED):
        if not np.array_equal(decoded.image(index), listing.image(index)):
            raise IntegrityError(
                f"'{path}' holds other pixels than '{listing.where(index)}'", again(path, about)
            )
    return decoded


def room_for(listings: Iterable[Listing], folder: Path) -> int:
    """Return about how many bytes ``folder`` does not hold yet of the decoded images.

    Raises
    ------
    DataError
        If an image is damaged.
    DiskError
        If there is no room for them.
    """
    missing = [one for one in listings if not pixels_path(one, folder).exists()]
    needed = sum(map(needed_bytes, missing))
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DiskError(
            f"the decoded images need about {needed / 2**30:.1f} GB, '{folder}' has "
            f"{free / 2**30:.1f}",
            "leave --cache out, or name another folder",
        )
    return needed


def needed_bytes(listing: Listing) -> int:
    """Return how many bytes the decoded images take; of many, a part is looked at."""
    pixels = [pixel_count(listing.read(i), listing.where(i)) for i in spread(len(listing), SAMPLED)]
    return round(3 * float(np.mean(pixels)) * len(listing))


def spread(count: int, most: int) -> List[int]:
    """Return at most ``most`` indices below ``count``, evenly spaced."""
    return np.linspace(0, count - 1, min(most, count)).astype(np.int64).tolist()


def pixels_path(listing: Listing, folder: Path) -> Path:
    """Return the file of a listing's decoded images."""
    return folder / f"{listing.name}-{listing.split}-{listing.sha256[:16]}.pixels"


def read_shapes(listing: Listing, path: Path, about: Path) -> np.ndarray:
    """Return heights and widths, int64 (N, 2), if the files are whole."""
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
        shapes = np.array(content["shapes"], dtype=np.int64).reshape(-1, 2)
        whole = content["schema"] == SCHEMA and content["sha256"] == listing.sha256
        whole = whole and len(shapes) == len(listing) and bool((shapes > 0).all())
        if whole and path.stat().st_size == 3 * int(shapes.prod(axis=1).sum()):
            return shapes
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        pass
    raise IntegrityError(
        f"'{path}' is not the decoded images that were written", again(path, about)
    )


def again(path: Path, about: Path) -> str:
    """Return what helps against files that cannot be used."""
    return f"remove '{path.name}' and '{about.name}' there: they are made again"


def write_pixels(listing: Listing, path: Path, about: Path) -> None:
    """Decode all images into a file, which gets its name when it is whole."""
    sweep(path)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    shapes: List[List[int]] = []
    try:
        with open(temporary, "wb") as stream:
            for index in range(len(listing)):
                pixels = np.asarray(listing.image(index), dtype=np.uint8)
                shapes.append([*pixels.shape[:2]])
                stream.write(pixels.tobytes())
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


def sweep(path: Path) -> None:
    """Remove what a process that was killed has left of the file at ``path``."""
    for aside in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
        with suppress(FileNotFoundError):
            if time.time() - aside.stat().st_mtime > STALE:
                aside.unlink()
