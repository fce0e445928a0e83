"""RecordIO, MXNet's container for many images in one file: reading and writing, in NumPy alone.

A record is a magic number, a word with the length of the payload and its part (whole, first,
middle, last), the payload, and zeros up to a multiple of four. Where a payload holds the magic
number at such a multiple it is cut there, and the number left out. A payload is a header (number
of labels, or 0 and the label itself; two ids), the labels, and the image as it was encoded. An
index is a text file with a key and a place in each line.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from gluontricks.data.listing import Listing, listing_hash
from gluontricks.errors import DataError

MAGIC = 0xCED7230A
WORD = struct.Struct("<I")
HEAD = struct.Struct("<II")
LABELS = struct.Struct("<IfQQ")
LENGTH_BITS = 29
LONGEST = (1 << LENGTH_BITS) - 1
WHOLE, FIRST, MIDDLE, LAST = range(4)
# Float labels hold every whole number below this.
MOST_CLASSES = 1 << 24
CLASSES_FILE = "classes.txt"
REMEDY = "make it again with 'gluontricks data rec', or copy it again"
# What the head of an image's record holds, up to its first label in a list.
START = np.dtype(
    [
        ("magic", "<u4"), ("word", "<u4"), ("count", "<u4"), ("label", "<f4"),
        ("id", "<u8"), ("id2", "<u8"), ("first", "<f4"),
    ]
)  # fmt: skip
# Threads share a handle.
_opening = threading.Lock()


def pack(payload: bytes) -> bytes:
    """Return the bytes of one record.

    Raises
    ------
    ValueError
        If it is longer than the format's 29 bits can tell.
    """
    if len(payload) > LONGEST:
        raise ValueError(f"{len(payload):,} bytes are more than a record can hold")
    cuts = list(aligned(payload, WORD.pack(MAGIC)))
    bounds = list(zip([0, *(cut + 4 for cut in cuts)], [*cuts, len(payload)]))
    kinds = [FIRST, *[MIDDLE] * (len(cuts) - 1), LAST] if cuts else [WHOLE]
    parts = []
    for kind, (start, stop) in zip(kinds, bounds):
        parts.append(HEAD.pack(MAGIC, kind << LENGTH_BITS | stop - start))
        parts.append(payload[start:stop] + bytes((start - stop) % 4))
    return b"".join(parts)


def aligned(content: bytes, word: bytes) -> Iterator[int]:
    """Yield where ``word`` stands in ``content``, at multiples of four."""
    place = content.find(word)
    while place >= 0:
        if place % 4 == 0:
            yield place
        place = content.find(word, place + 1)


def pack_image(content: bytes, label: int, number: int) -> bytes:
    """Return the bytes of the record of one image."""
    return pack(LABELS.pack(0, float(label), number, 0) + content)


def damaged(where: str, why: str) -> DataError:
    """Return the error of a file that is not what it should be."""
    return DataError(f"'{where}' is damaged: {why}", REMEDY)


def payload_of(content: bytes, where: str) -> bytes:
    """Return the payload of the one record that ``content`` is.

    Raises
    ------
    DataError
        If it is none, or more than one.
    """
    pieces: List[bytes] = []
    place, kind = 0, FIRST
    while kind in (FIRST, MIDDLE):
        kind, length = part_at(content[place : place + HEAD.size], where, inside=bool(pieces))
        place += HEAD.size
        pieces.append(content[place : place + length])
        place += length + -length % 4
        if place > len(content):
            raise damaged(where, "it ends within a record")
    if place != len(content):
        raise damaged(where, "the record is shorter than its place")
    return WORD.pack(MAGIC).join(pieces)


def part_at(head: bytes, where: str, *, inside: bool) -> Tuple[int, int]:
    """Return kind and length of a part of a record, from its head.

    Raises
    ------
    DataError
        If no part begins here, or not one that can follow; ``inside`` tells that parts came before.
    """
    if len(head) < HEAD.size:
        raise damaged(where, "it ends within a record")
    magic, word = HEAD.unpack(head)
    kind, length = word >> LENGTH_BITS, word & LONGEST
    if magic != MAGIC:
        raise damaged(where, "no record begins here")
    if kind not in ((MIDDLE, LAST) if inside else (WHOLE, FIRST)):
        raise damaged(where, "a record's parts are out of order")
    return kind, length


def unpack(payload: bytes, where: str) -> Tuple[int, bytes]:
    """Return the label and the image of a payload.

    Raises
    ------
    DataError
        If it is too short, or its label is no class.
    """
    if len(payload) < LABELS.size:
        raise damaged(where, "a record is too short for its header")
    count, label, _, _ = LABELS.unpack_from(payload)
    start = LABELS.size + 4 * count
    if count > 1:
        raise DataError(
            f"'{where}' has {count} labels for an image", "classification needs one label each"
        )
    if count:
        if len(payload) < start:
            raise damaged(where, "a record is too short for its labels")
        (label,) = struct.unpack_from("<f", payload, LABELS.size)
    if not (0 <= label < MOST_CLASSES and label == int(label)):
        raise DataError(f"'{where}' has the label {label}", "labels are 0, 1, 2, ...")
    return int(label), payload[start:]


class Source:
    """A file that is read at places; it may be sent to other processes, which open it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle: Optional[int] = None

    def __getstate__(self) -> Dict[str, Any]:
        """Return what goes to another process."""
        return {"path": self.path, "handle": None}

    # At the interpreter's end the module's names may have gone.
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        """Close the file."""
        if self.handle is not None:
            close(self.handle)

    def read(self, count: int, place: int) -> bytes:
        """Return ``count`` bytes, or fewer at the file's end."""
        try:
            return os.pread(self.opened(), count, place)
        except OSError as error:
            raise DataError(
                f"'{self.path}' cannot be read ({error.strerror})", "check the path and the disk"
            ) from error

    def opened(self) -> int:
        """Return the handle of the open file."""
        if self.handle is None:
            with _opening:
                self.handle = (
                    os.open(self.path, os.O_RDONLY) if self.handle is None else self.handle
                )
        return self.handle

    def size(self) -> int:
        """Return the length of the file."""
        self.read(0, 0)
        return os.fstat(self.opened()).st_size


def record_places(source: Source) -> Iterator[Tuple[int, int]]:
    """Yield where each record of a file begins and ends, found by going from one to the next.

    Raises
    ------
    DataError
        At the first that is damaged, with its number and place.
    """
    size, start, number = source.size(), 0, 0
    while start < size:
        where = f"{source.path}, record {number} at byte {start}"
        stop, kind = start, FIRST
        while kind in (FIRST, MIDDLE):
            kind, length = part_at(source.read(HEAD.size, stop), where, inside=stop > start)
            stop += HEAD.size + length + -length % 4
        if stop > size:
            raise damaged(where, f"it ends within a record, {stop - size:,} bytes are missing")
        yield start, stop
        start, number = stop, number + 1


def scanned(source: Source) -> Tuple[np.ndarray, np.ndarray]:
    """Return where all records begin and end, int64, without an index."""
    places = np.array(list(record_places(source)), dtype=np.int64).reshape(-1, 2)
    return places[:, 0].copy(), places[:, 1].copy()


def read_index(path: Path, size: int) -> np.ndarray:
    """Return where the records begin, int64, in the order of the index.

    Raises
    ------
    DataError
        If the index is damaged, or cannot be that of a record file of ``size`` bytes.
    """
    remedy = "remove it: without an index the record file is read through"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        keys, places = zip(*(map(int, line.split("\t")) for line in lines))
        starts = np.array(places, dtype=np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(f"'{path}' is no index of a record file ({error})", remedy) from error
    if len(set(keys)) < len(keys):
        raise DataError(f"'{path}' has a key twice", remedy)
    ordered = np.sort(starts)
    if ordered[-1] >= size:
        raise DataError(
            f"'{path}' is not the index of the record file beside it, or that is cut off: "
            f"it has {size} bytes, and a record begins at {ordered[-1]}",
            f"copy both again, or {remedy}",
        )
    if ordered[0] != 0 or (np.diff(ordered) <= 0).any():
        raise DataError(f"'{path}' is not the index of the record file beside it", remedy)
    return starts


def following(starts: np.ndarray, size: int) -> np.ndarray:
    """Return where the record after each one begins."""
    order = np.argsort(starts, kind="stable")
    stops = np.empty_like(starts)
    stops[order] = np.append(starts[order][1:], size)
    return stops


class RecordListing(Listing):
    """Images in a record file, in the order of its index.

    Parameters
    ----------
    name, split : str
    path : Path
        The record file.
    index : Path, optional
        Its index; the file of the same name that ends with ``.idx``, if there is one. Without one
        the record file is read through.

    Raises
    ------
    DataError
        If a file is missing or damaged, or the index leaves out a record.
    """

    def __init__(self, name: str, split: str, path: Path, index: Optional[Path] = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(
                f"there is no record file '{self.path}'",
                "make it with 'gluontricks data rec', or name it with --rec-train and --rec-val",
            )
        if index is not None and not index.is_file():
            raise DataError(f"there is no index '{index}'", "leave it out, or check the path")
        index = index or self.path.with_suffix(".idx")
        self.source = Source(self.path)
        size = self.source.size()
        if index.is_file() and size:
            self.starts = read_index(index, size)
            self.stops = following(self.starts, size)
        else:
            self.starts, self.stops = scanned(self.source)
        if not len(self.starts):
            raise DataError(f"'{self.path}' holds no record", REMEDY)
        labels, self.lengths = self.heads(index)
        names = class_list(self.path.parent / CLASSES_FILE, labels, self)
        super().__init__(name, split, labels, names, listing_hash(labels, self.lengths))

    def heads(self, index: Path) -> Tuple[np.ndarray, np.ndarray]:
        """Return label and length of every image, int64, from the heads of the records."""
        content = b"".join(
            self.source.read(START.itemsize, start).ljust(START.itemsize, b"\0")
            for start in self.starts.tolist()
        )
        found = np.frombuffer(content, dtype=START)
        length = (found["word"] & LONGEST).astype(np.int64)
        count = found["count"].astype(np.int64)
        values = np.where(count == 1, found["first"], found["label"]).astype(np.float64)
        values = np.nan_to_num(values, nan=-1.0)
        lengths = length - LABELS.size - 4 * count
        plain = (found["magic"] == MAGIC) & (found["word"] >> LENGTH_BITS == WHOLE)
        plain &= self.starts + HEAD.size + length + -length % 4 == self.stops
        plain &= (count <= 1) & (lengths >= 0)
        plain &= (values >= 0) & (values < MOST_CLASSES) & (values == np.floor(values))
        labels = np.where(plain, values, 0).astype(np.int64)
        for number in np.flatnonzero(~plain).tolist():
            labels[number], lengths[number] = self.odd_head(number, index)
        return labels, lengths

    def odd_head(self, number: int, index: Path) -> Tuple[int, int]:
        """Return label and length of a record in parts, or tell what is wrong with it."""
        try:
            payload = self.payload(number)
        except DataError:
            # Whose fault is it? This raises if it is the record file's.
            scanned(self.source)
            raise DataError(
                f"'{index}' is not the index of '{self.path}': no record lies at byte "
                f"{self.starts[number]}, up to {self.stops[number]}",
                "remove it: without an index the record file is read through",
            ) from None
        label, image = unpack(payload, self.where(number))
        return label, len(image)

    def payload(self, index: int) -> bytes:
        """Return the payload of a record."""
        start, stop = int(self.starts[index]), int(self.stops[index])
        return payload_of(self.source.read(stop - start, start), self.where(index))

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        return unpack(self.payload(index), self.where(index))[1]

    def where(self, index: int) -> str:
        """Return the file and the number and the place of a record."""
        return f"{self.path}, record {index} at byte {self.starts[index]}"


def class_list(path: Path, labels: np.ndarray, listing: RecordListing) -> Tuple[str, ...]:
    """Return the names of classes: those in a file, one a line, or numbers where there is none."""
    largest = int(labels.argmax())
    count = int(labels[largest]) + 1
    if not path.is_file():
        if count > len(labels):
            raise DataError(
                f"'{listing.where(largest)}' has the label {count - 1}, there are {len(labels)} "
                "records",
                f"name the classes in '{path}', one a line, if that is right",
            )
        return tuple(f"class-{number}" for number in range(count))
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror})", "check the path") from error
    names = tuple(text[:-1].split("\n") if text.endswith("\n") else text.split("\n"))
    if len(names) < count:
        raise DataError(
            f"'{listing.where(largest)}' has the label {count - 1}, '{path}' names {len(names)} "
            "classes",
            "give the file that 'gluontricks data rec' wrote beside it",
        )
    return names


def find_records(name: str, split: str, path: Path, index: Optional[Path]) -> RecordListing:
    """Return the images of a record file; see :class:`RecordListing`."""
    return RecordListing(name, split, Path(path).expanduser(), index)
