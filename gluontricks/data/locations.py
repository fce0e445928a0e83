"""Where data sets lie: which folder, and under which names. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple, Union

DEFAULT_FOLDER = "~/.gluontricks/data"
VARIABLE = "GLUONTRICKS_DATA"

# Names of files, and how many images each holds.
Files = Tuple[Tuple[str, int], ...]


def data_folder(data_dir: Optional[Union[str, Path]] = None) -> Path:
    """Return the folder given, else that in ``$GLUONTRICKS_DATA``, else the default."""
    return Path(data_dir or os.environ.get(VARIABLE) or DEFAULT_FOLDER).expanduser()


@dataclass(frozen=True)
class Layout:
    """One official form of a CIFAR data set.

    ``labels`` are the labels of an image in the order of a binary record, named as in a Python
    batch. ``md5`` is that of the archive.
    """

    folder: str
    archive: str
    md5: str
    pickled: bool
    labels: Tuple[str, ...]
    train: Files
    test: Files

    def files(self, split: str) -> Files:
        """Return the files of ``train`` or ``test`` with their numbers of images."""
        return self.train if split == "train" else self.test


def _batches(pattern: str) -> Files:
    return tuple((pattern.format(number), 10_000) for number in range(1, 6))


# Binary first: fixed records need no unpickling. MD5s are those of the official page.
LAYOUTS: Dict[str, Tuple[Layout, ...]] = {
    "cifar10": (
        Layout(
            folder="cifar-10-batches-bin",
            archive="cifar-10-binary.tar.gz",
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            pickled=False,
            labels=("labels",),
            train=_batches("data_batch_{}.bin"),
            test=(("test_batch.bin", 10_000),),
        ),
        Layout(
            folder="cifar-10-batches-py",
            archive="cifar-10-python.tar.gz",
            md5="c58f30108f718f92721af3b95e74349a",
            pickled=True,
            labels=("labels",),
            train=_batches("data_batch_{}"),
            test=(("test_batch", 10_000),),
        ),
    ),
    "cifar100": (
        Layout(
            folder="cifar-100-binary",
            archive="cifar-100-binary.tar.gz",
            md5="03b5dce01913d631647c71ecec9e9cb8",
            pickled=False,
            labels=("coarse_labels", "fine_labels"),
            train=(("train.bin", 50_000),),
            test=(("test.bin", 10_000),),
        ),
        Layout(
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            md5="eb9058c3a382ffc7106e4002c42a8d85",
            pickled=True,
            labels=("coarse_labels", "fine_labels"),
            train=(("train", 50_000),),
            test=(("test", 10_000),),
        ),
    ),
}

# Data sets that read the same files.
FAMILY = {"cifar10": "cifar10", "cifar100": "cifar100", "cifar100-coarse": "cifar100"}


@dataclass(frozen=True)
class Found:
    """Files of a split: in a folder, or in an archive."""

    layout: Layout
    path: Path
    packed: bool


def find(name: str, split: str, folder: Path) -> Optional[Found]:
    """Return where a split of a CIFAR data set lies in ``folder``, or None.

    Unpacked files come first, in the official folder or in ``folder`` itself; then archives.
    """
    layouts = LAYOUTS[FAMILY[name]]
    for layout in layouts:
        for place in (folder / layout.folder, folder):
            if all((place / file).is_file() for file, _ in layout.files(split)):
                return Found(layout, place, packed=False)
    for layout in layouts:
        if (folder / layout.archive).is_file():
            return Found(layout, folder / layout.archive, packed=True)
    return None
