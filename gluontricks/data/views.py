"""What the network sees of images on disk: decoded, cropped, resized and augmented, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping, Sequence

import numpy as np

from gluontricks.data.augment import Augmentation
from gluontricks.data.crops import centre_crop, random_crop
from gluontricks.data.listing import Listing

Draws = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PlainView:
    """The middle of an image, as evaluation sees it.

    Attributes
    ----------
    size : int
        Height and width, in pixels.
    crop_ratio : float
        Part of the resized image that is seen.
    """

    size: int
    crop_ratio: float

    def images(self, listing: Listing, indices: Sequence[int], draws: Draws) -> np.ndarray:
        """Return images as uint8 (N, size, size, 3)."""
        del draws  # nothing is random here
        crops = [
            centre_crop(listing.image(i), self.size, crop_ratio=self.crop_ratio) for i in indices
        ]
        return np.stack(crops)


@dataclass(frozen=True)
class TrainView:
    """A random crop of an image, augmented: Bag of Tricks, section 2.1, steps 1 to 5.

    Attributes
    ----------
    size : int
        Height and width, in pixels.
    augmentation : Augmentation
        With ``min_scale``.
    """

    size: int
    augmentation: Augmentation

    def images(self, listing: Listing, indices: Sequence[int], draws: Draws) -> np.ndarray:
        """Return images as uint8 (N, size, size, 3), changed as drawn."""
        scale = self.augmentation.min_scale
        flips = draws.get("flip", np.zeros(len(indices), np.int64))
        crops = [
            random_crop(listing.image(i), int(word), self.size, min_scale=scale, flip=bool(flip))
            for i, word, flip in zip(indices, draws["resized_crop"], flips)
        ]
        # Pillow has mirrored them, at a tenth of what NumPy takes.
        return replace(self.augmentation, flip=0.0).apply(np.stack(crops), draws)
