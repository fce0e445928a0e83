"""Reading CIFAR-10 and CIFAR-100 from the official binary or Python files, packed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from gluontricks.data import pickles
from gluontricks.data.archives import is_page, read_members
from gluontricks.data.images import ImageSet, image_set
from gluontricks.data.locations import FAMILY, LAYOUTS, VARIABLE, Found, Layout, data_folder, find
from gluontricks.data.registry import COARSE_NAMES, DATASETS, FINE_NAMES, FINE_TO_COARSE
from gluontricks.errors import DataError
from gluontricks.files import sha256_bytes

SIDE = 32
PIXELS = 3 * SIDE * SIDE
CLASSES = {"labels": 10, "coarse_labels": len(COARSE_NAMES), "fine_labels": len(FINE_NAMES)}

Batch = Tuple[Dict[str, np.ndarray], np.ndarray]


def load(name: str, split: str, data_dir: Optional[Union[str, Path]] = None) -> ImageSet:
    """Return a split of ``cifar10``, ``cifar100`` or ``cifar100-coarse``.

    Parameters
    ----------
    name, split : str
        Which; see :func:`gluontricks.data.load_split`.
    data_dir : path, optional
        Folder that holds the official folders or archives, or is such a folder.

    Raises
    ------
    DataError
        If files are missing or damaged: wrong size, labels out of range, fine labels that do not
        belong to the coarse ones, classes of unequal size.
    """
    folder = data_folder(data_dir)
    found = find(name, split, folder)
    if found is None:
        raise _missing(name, split, folder)
    contents = _contents(found, split, name)
    batches: List[Batch] = []
    for file, count in found.layout.files(split):
        read = _read_pickled if found.layout.pickled else _read_binary
        try:
            batches.append(read(contents[file], found.layout, count))
        except ValueError as error:
            raise _damaged(f"{found.path}/{file}", str(error), name) from None
    files = [(file, sha256_bytes(contents[file])) for file, _ in found.layout.files(split)]
    labels = {
        kind: np.concatenate([batch[0][kind] for batch in batches]) for kind in found.layout.labels
    }
    try:
        _check_labels(labels)
    except ValueError as error:
        raise _damaged(str(found.path), str(error), name) from None
    chosen = "coarse_labels" if name == "cifar100-coarse" else found.layout.labels[-1]
    return image_set(
        name,
        split,
        _interleave([batch[1] for batch in batches]),
        labels[chosen],
        class_names=DATASETS[name].class_names,
        files=files,
    )


def _interleave(planes: List[np.ndarray]) -> np.ndarray:
    """Return planes (n, 3072) as one array of images (N, 32, 32, 3)."""
    images = np.empty((sum(map(len, planes)), SIDE, SIDE, 3), dtype=np.uint8)
    start = 0
    for part in planes:
        square = part.reshape(-1, 3, SIDE, SIDE)
        images[start : start + len(part)] = square.transpose(0, 2, 3, 1)
        start += len(part)
    return images


def _missing(name: str, split: str, folder: Path) -> DataError:
    family = FAMILY[name]
    names = [text for layout in LAYOUTS[family] for text in (layout.folder, layout.archive)]
    return DataError(
        f"the {split} images of '{name}' are not in '{folder}', searched for {', '.join(names)}",
        f"run 'gluontricks data fetch {family}', or name their folder with --data-dir or "
        f"${VARIABLE}",
    )


def _damaged(place: str, cause: str, name: str) -> DataError:
    return DataError(
        f"'{place}' is damaged: {cause}",
        f"delete it and run 'gluontricks data fetch {FAMILY[name]}'",
    )


def _contents(found: Found, split: str, name: str) -> Dict[str, bytes]:
    """Return the files of a split, name to content."""
    files = [file for file, _ in found.layout.files(split)]
    try:
        if found.packed:
            return _unpacked(found, files)
        for file in files:
            size = (found.path / file).stat().st_size
            if size > pickles.MAX_BYTES:
                raise ValueError(f"its '{file}' has {size:,} bytes")
        return {file: (found.path / file).read_bytes() for file in files}
    except ValueError as error:
        raise _damaged(str(found.path), str(error), name) from None
    except OSError as error:
        raise DataError(
            f"'{error.filename or found.path}' cannot be read: {error.strerror}",
            "check its permissions and the disk, or name another folder with --data-dir",
        ) from None


def _unpacked(found: Found, files: Sequence[str]) -> Dict[str, bytes]:
    members = {file: f"{found.layout.folder}/{file}" for file in files}
    packed = read_members(found.path, members.values())
    for member in members.values():
        if member not in packed:
            raise ValueError(f"it has no member '{member}'")
    return {file: packed[member] for file, member in members.items()}


def _read_binary(content: bytes, layout: Layout, count: int) -> Batch:
    """Return labels and planes of records: one byte per label, then 3072 of pixels."""
    width = len(layout.labels) + PIXELS
    if len(content) != count * width:
        raise ValueError(
            f"it has {len(content):,} bytes instead of {count * width:,} "
            f"({count:,} images of {width:,}){': it is a web page' if is_page(content) else ''}"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(count, width)
    labels = {kind: records[:, i].astype(np.int64) for i, kind in enumerate(layout.labels)}
    return labels, records[:, len(layout.labels) :]


def _read_pickled(content: bytes, layout: Layout, count: int) -> Batch:
    if is_page(content):
        raise ValueError("it is a web page")
    batch = pickles.read_batch(content)
    for key in ("data", *layout.labels):
        if key not in batch:
            raise ValueError(f"it has no '{key}'")
    planes = batch["data"]
    if not isinstance(planes, np.ndarray) or planes.shape != (count, PIXELS):
        raise ValueError(f"its images are not {count:,} rows of {PIXELS:,} bytes")
    labels = {}
    for kind in layout.labels:
        values = batch[kind]
        if not isinstance(values, list) or len(values) != count:
            raise ValueError(f"its '{kind}' are not {count:,} numbers")
        if any(type(value) is not int or abs(value) > 255 for value in values):
            raise ValueError(f"its '{kind}' hold something else than a class")
        labels[kind] = np.array(values, dtype=np.int64)
    return labels, planes


def _check_labels(labels: Dict[str, np.ndarray]) -> None:
    """Raise ValueError unless labels are in range, agree, and every class is as large."""
    for kind, values in labels.items():
        wrong = np.flatnonzero((values < 0) | (values >= CLASSES[kind]))
        if len(wrong):
            row = wrong[0]
            raise ValueError(
                f"image {row} has '{kind}' {values[row]}, they go from 0 to {CLASSES[kind] - 1}"
            )
        sizes = np.bincount(values, minlength=CLASSES[kind])
        share = len(values) // CLASSES[kind]
        if (sizes != share).any():
            odd = int(np.argmax(sizes != share))
            raise ValueError(f"class {odd} of '{kind}' has {sizes[odd]} images instead of {share}")
    if "fine_labels" in labels:
        expected = np.array(FINE_TO_COARSE)[labels["fine_labels"]]
        wrong = np.flatnonzero(expected != labels["coarse_labels"])
        if len(wrong):
            row = wrong[0]
            raise ValueError(
                f"image {row} has fine label {labels['fine_labels'][row]}, which belongs to "
                f"superclass {expected[row]}, but coarse label {labels['coarse_labels'][row]}"
            )
