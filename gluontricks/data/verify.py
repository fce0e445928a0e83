"""Finding what is wrong with images on disk: every one is decoded, every pair of parts compared."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from gluontricks.data.consistency import label_problems, pair_problems
from gluontricks.data.decode import open_image
from gluontricks.data.disk import check_known_classes
from gluontricks.data.listing import (
    PARTS,
    FolderListing,
    Listing,
    find_part,
    other_files,
)
from gluontricks.data.parallel import ordered
from gluontricks.data.records import RecordListing
from gluontricks.data.registry import dataset_info
from gluontricks.errors import DataError

# Images that a process decodes at a time.
CHUNK = 64


class Problem(NamedTuple):
    """What is wrong: its kind, where, and in words."""

    kind: str
    where: str
    reason: str


class Examined(NamedTuple):
    """Some images: what is wrong with them, and the first 8 bytes of their SHA-256."""

    problems: List[Problem]
    digests: List[int]


def verify_known(name: str, data_dir: Optional[Path], jobs: int) -> Dict[str, Any]:
    """Verify a data set on disk that is known by its name; see :func:`verify_path`."""
    info = dataset_info(name)
    parts = {split: find_part(name, split, data_dir) for split in PARTS}
    report = report_on(name, parts, jobs)
    try:
        check_known_classes(info, FolderListing(name, "train", parts["train"]))
    except DataError as error:
        report["problems"].append(Problem("classes", name, error.cause)._asdict())
    for split, expected in (("train", info.train_size), ("val", info.test_size)):
        count = report.get(split, {}).get("images")
        if expected and count not in (None, expected):
            reason = f"{split} has {count:,} images, {name} has {expected:,}"
            report["problems"].append(Problem("number", split, reason)._asdict())
    return report


def verify_path(path: Path, jobs: int) -> Dict[str, Any]:
    """Verify a folder of images, a record file, or a folder of record files.

    Parameters
    ----------
    path : Path
        With ``train/`` and ``val/`` in it, or ``train.rec`` and ``val.rec``, or class folders.
    jobs : int
        Processes that decode.

    Returns
    -------
    dict
        ``name``; for each part its number of ``images`` and of ``classes`` and its ``sha256``;
        ``problems``, a list of dicts with ``kind``, ``where`` and ``reason``.

    Raises
    ------
    DataError
        If there are neither images nor records.
    """
    return report_on(str(path), parts_of(path), jobs)


def parts_of(path: Path) -> Dict[str, Path]:
    """Return which parts of a data set lie at a path: each a folder or a record file."""
    if path.is_file():
        return {path.stem: path}
    records = {split: path / f"{split}.rec" for split in PARTS}
    folders = {
        split: next((path / name for name in names if (path / name).is_dir()), path / split)
        for split, names in PARTS.items()
    }
    for places in (records, folders):
        if any(place.exists() for place in places.values()):
            return places
    return {path.name: path}


def report_on(name: str, parts: Dict[str, Path], jobs: int) -> Dict[str, Any]:
    """Return what is found in the parts of a data set."""
    report: Dict[str, Any] = {"name": name}
    problems: List[Problem] = []
    listings: Dict[str, Listing] = {}
    digests: Dict[str, np.ndarray] = {}
    for split, place in parts.items():
        try:
            listing = listings[split] = open_part(name, split, place)
        except DataError as error:
            problems.append(Problem("part", str(place), error.cause))
            continue
        found, digests[split] = examine(listing, jobs)
        problems += found
        report[split] = {
            "images": len(listing),
            "classes": len(listing.class_names),
            "sha256": listing.sha256,
        }
    pair = [listings[split] for split in PARTS if split in listings]
    for listing in listings.values() if len(pair) < 2 else ():
        problems += [Problem("classes", name, error.cause) for error in label_problems(listing)]
    if len(pair) == 2:
        problems += [Problem("classes", name, error.cause) for error in pair_problems(*pair)]
        problems += duplicates(pair, [digests[split] for split in PARTS])
    report["problems"] = [problem._asdict() for problem in problems]
    return report


def open_part(name: str, split: str, place: Path) -> Listing:
    """Return the listing of a folder or of a record file."""
    if place.is_dir():
        return FolderListing(name, split, place)
    return RecordListing(name, split, place)


def examine(listing: Listing, jobs: int) -> Tuple[List[Problem], np.ndarray]:
    """Decode all images; return what is wrong, and the beginnings of their hashes."""
    problems: List[Problem] = []
    if isinstance(listing, FolderListing):
        problems += [
            Problem("other file", str(path), f"'{path}' is not an image by its name")
            for path in other_files(listing.root)
        ]
    starts = range(0, len(listing), CHUNK)
    digests: List[int] = []
    for examined in ordered(examine_chunk, listing, starts, jobs):
        problems += examined.problems
        digests += examined.digests
    return problems, np.array(digests, dtype=np.uint64)


def examine_chunk(listing: Listing, start: int) -> Examined:
    """Decode some images."""
    problems, digests = [], []
    for index in range(start, min(start + CHUNK, len(listing))):
        where, content = listing.where(index), b""
        try:
            content = listing.read(index)
            open_image(content, where)
        except DataError as error:
            problems.append(Problem("image", where, error.cause))
        digests.append(int.from_bytes(hashlib.sha256(content).digest()[:8], "little"))
    return Examined(problems, digests)


def duplicates(pair: List[Listing], digests: List[np.ndarray]) -> Iterator[Problem]:
    """Yield the images of val that are in train too, byte for byte."""
    train, validation = pair
    if not len(train) or not len(validation):
        return
    order = np.argsort(digests[0], kind="stable")
    places = np.searchsorted(digests[0], digests[1], sorter=order)
    places = np.minimum(places, len(order) - 1)
    for index in np.flatnonzero(digests[0][order[places]] == digests[1]).tolist():
        twin, where = int(order[places[index]]), validation.where(index)
        content = validation.read(index)
        if content and content == train.read(twin):
            yield Problem("duplicate", where, f"'{where}' is '{train.where(twin)}' too")
