"""The teacher's logits on disk: computed once for every run that draws the same batches."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from gluontricks.files import make_folder, write_atomic, write_error
from gluontricks.pipeline import Batch
from gluontricks.recipes.spec import Recipe

KEY_FIELDS = (
    "dataset",
    "val_split",
    "batch_size",
    "seed",
    "normalization",
    "flip",
    "brightness",
    "saturation",
    "hue",
    "lighting",
    "crop_pad",
    "mixup_type",
    "mixup_alpha",
    "mixup_grid",
    "mixup_off_epoch",
    "mixup_off_first",
    "num_epochs",
    "dtype",
)
PLAIN = ("flip", "brightness", "saturation", "hue", "lighting", "crop_pad")


def cache_key(recipe: Recipe, teacher_sha256: str, data_sha256: str) -> str:
    """Return what names the logits: teacher, data, and all that decides the batches."""
    content = {name: recipe.as_dict()[name] for name in KEY_FIELDS}
    content.update(teacher=teacher_sha256, data=data_sha256)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_plain(recipe: Recipe) -> bool:
    """Return whether a recipe shows every image the same in every epoch."""
    return recipe.mixup_type == "none" and not any(getattr(recipe, name) for name in PLAIN)


class LogitCache:
    """float16 logits in memory-mapped files, NaN where nothing is stored yet.

    One file per epoch with a row per batch; without augmentation and mixing a single file with
    a row per image, which serves all epochs. Logits are rounded before their first use, so that
    a run is the same whether they were stored or not.

    Parameters
    ----------
    folder : Path
    recipe : Recipe
        Resolved.
    steps, images : int
        Updates of an epoch, and images of the training set.
    """

    def __init__(self, folder: Path, recipe: Recipe, *, steps: int, images: int) -> None:
        self.folder = make_folder(folder)
        self.plain = is_plain(recipe)
        classes = recipe.classes or 0
        self.shape = (images, classes) if self.plain else (steps, recipe.batch_size, classes)
        self.open: Dict[str, Any] = {}

    @staticmethod
    def size(recipe: Recipe, *, steps: int, images: int) -> int:
        """Return the bytes that the logits of a whole run take."""
        per_image = 2 * (recipe.classes or 0)
        if is_plain(recipe):
            return images * per_image
        return (recipe.num_epochs or 0) * steps * recipe.batch_size * per_image

    def rows(self, batch: Batch) -> Any:
        """Return the file of a batch's logits and the places in it."""
        name = "images" if self.plain else f"epoch-{batch.epoch:04d}"
        if name not in self.open:
            self.open = {name: self.map(self.folder / f"{name}.npy")}
        return self.open[name], batch.indices if self.plain else batch.position

    def map(self, path: Path) -> np.ndarray:
        """Return the array in ``path``, made first where needed."""
        try:
            if not path.exists():
                # Written, not mapped: a full disk is then an error and not a signal.
                content = io.BytesIO()
                np.save(content, np.full(self.shape, np.nan, dtype=np.float16))
                write_atomic(path, content.getvalue())
            if not holds(path, self.shape):
                path.unlink()
                return self.map(path)
            return np.lib.format.open_memmap(path, mode="r+")
        except OSError as error:
            raise write_error(error, path) from error

    def get(self, batch: Batch) -> Optional[np.ndarray]:
        """Return the logits (N, K) of ``batch``, None unless all are stored."""
        stored, places = self.rows(batch)
        logits = np.asarray(stored[places]).astype(np.float32)
        return None if np.isnan(logits).any() else logits

    def put(self, batch: Batch, logits: np.ndarray) -> np.ndarray:
        """Store the logits of ``batch``; return them as rounded."""
        stored, places = self.rows(batch)
        rounded = logits.astype(np.float16)
        stored[places] = rounded
        return rounded.astype(np.float32)


def holds(path: Path, shape: Tuple[int, ...]) -> bool:
    """Return whether the file at ``path`` is a whole float16 array of this shape."""
    try:
        # Opened to read: to write, a file that was cut would be filled up with zeros.
        stored = np.lib.format.open_memmap(path, mode="r")
    except ValueError:
        return False
    return stored.shape == shape and stored.dtype == np.float16
