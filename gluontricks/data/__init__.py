"""Data sets: the table of them, reading a split, and holding images out of it.

Importing this package loads neither NumPy nor any data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple, Union

from gluontricks.data.images import Images, ImageSet
from gluontricks.data.registry import DATASETS, SPLITS, DatasetInfo, dataset_info
from gluontricks.errors import unknown

__all__ = [
    "DATASETS", "DatasetInfo", "ImageSet", "Images", "dataset_info", "load_split",
    "split_validation",
]  # fmt: skip


def load_split(name: str, split: str, *, data_dir: Optional[Union[str, Path]] = None) -> ImageSet:
    """Read one split of a data set into memory and check it.

    Parameters
    ----------
    name : str
        Key of :data:`DATASETS`.
    split : {'train', 'test'}
        Which part.
    data_dir : path, optional
        Where its files are; ``$GLUONTRICKS_DATA``, then ``~/.gluontricks/data``, if not given.

    Returns
    -------
    ImageSet

    Raises
    ------
    UsageError
        If there is no such data set or split.
    DataError
        If its files are missing or damaged.
    """
    dataset_info(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if name == "digits":
        from gluontricks.data import digits

        return digits.load(name, split)
    from gluontricks.data import cifar

    return cifar.load(name, split, data_dir)


def split_validation(images: ImageSet, count: int, *, seed: int) -> Tuple[ImageSet, ImageSet]:
    """Hold ``count`` images out; see :func:`gluontricks.data.splits.split_validation`."""
    from gluontricks.data import splits

    return splits.split_validation(images, count, seed=seed)
