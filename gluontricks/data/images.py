"""A data set in memory: images, labels and what identifies them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, Protocol, Sequence, Tuple

if TYPE_CHECKING:
    import numpy as np


class Images(Protocol):
    """A data set, in memory or on disk, as far as evaluation and records know it."""

    @property
    def name(self) -> str:
        """Return the data set's name."""
        ...

    @property
    def split(self) -> str:
        """Return which part of it this is."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """Return the labels, int64 (N,)."""
        ...

    @property
    def class_names(self) -> Tuple[str, ...]:
        """Return what the labels stand for."""
        ...

    @property
    def sha256(self) -> str:
        """Return the hash that stands for the images."""
        ...

    @property
    def files(self) -> Tuple[Tuple[str, str], ...]:
        """Return the files that were read, with their hashes."""
        ...

    @property
    def size(self) -> Tuple[int, int]:
        """Return the height and the width that the network sees."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def chunks(self, count: int) -> Iterator[np.ndarray]:
        """Yield every image once, in order: uint8 (``count`` or fewer at the end, H, W, 3)."""
        ...


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in memory with their labels.

    Parameters
    ----------
    name, split : str
        The data set, and which part of it: ``train``, ``test`` or ``validation``.
    images : ndarray of uint8, shape (N, H, W, 3)
        Pixels in 0..255, red first.
    labels : ndarray of int64, shape (N,)
        Indices into ``class_names``.
    class_names : tuple of str
        What the labels stand for.
    sha256 : str
        Hash of labels and pixels, see :func:`content_hash`.
    files : tuple of (str, str)
        Name and SHA-256 of each file that was read.
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    class_names: Tuple[str, ...]
    sha256: str
    files: Tuple[Tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def size(self) -> Tuple[int, int]:
        """Return the height and the width of the images."""
        return self.images.shape[1], self.images.shape[2]

    def chunks(self, count: int) -> Iterator[np.ndarray]:
        """Yield all images in order, ``count`` at a time; the last may be fewer."""
        for start in range(0, len(self), count):
            yield self.images[start : start + count]


def content_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """Return the SHA-256 of the labels (64-bit little-endian), then the pixels, image by image."""
    digest = hashlib.sha256(labels.astype("<i8").tobytes())
    digest.update(images.reshape(-1).data)
    return digest.hexdigest()


def image_set(
    name: str,
    split: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    class_names: Tuple[str, ...],
    files: Sequence[Tuple[str, str]] = (),
) -> ImageSet:
    """Return the :class:`ImageSet` of these arrays, with its hash."""
    digest = content_hash(images, labels)
    return ImageSet(name, split, images, labels, class_names, digest, tuple(files))
