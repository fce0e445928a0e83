"""RecordIO, MXNet's container for many images in one file: reading and writing, in NumPy alone.

A record is a magic number, a word with the length of the payload and its part (whole, first,
middle, last), the payload, and zeros up to a multiple of four. Where a payload holds the magic
number at such a multiple it is cut there, and the number left out. A payload is a header (number
of labels, or 0 and the label itself; two ids), the labels, and the image as it was encoded. An
index is a text file with a key and a place in each line.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from gluontricks.data.listing import Listing, listing_hash
from gluontricks.errors import DataError

MAGIC = 0xCED7230A
WORD = struct.Struct("<I")
HEAD = struct.Struct("<II")
LABELS = struct.Struct("<IfQQ")
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
CLASSES_FILE = "classes.txt"
REMEDY = "make it again with 'gluontricks data rec', or copy it again"


class Place(NamedTuple):
    """Where a record lies, how long it is with its parts, and how long its image is."""

    start: int
    stop: int
    length: int


def pack(payload: bytes) -> bytes:
    """Return the bytes of one record."""
    magic = WORD.pack(MAGIC)
    cuts = [i for i in range(0, len(payload) - 3, 4) if payload[i : i + 4] == magic]
    bounds = [(a, b) for a, b in zip([0, *(c + 4 for c in cuts)], [*cuts, len(payload)])]
    parts = []
    for number, (start, stop) in enumerate(bounds):
        kind = MIDDLE if cuts else WHOLE
        if cuts and number == 0:
            kind = FIRST
        elif cuts and number == len(bounds) - 1:
            kind = LAST
        length = stop - start
        parts.append(HEAD.pack(MAGIC, kind << LENGTH_BITS | length))
        parts.append(payload[start:stop] + bytes(-length % 4))
    return b"".join(parts)


def pack_image(content: bytes, label: int, number: int) -> bytes:
    """Return the bytes of the record of one image."""
    return pack(LABELS.pack(0, float(label), number, 0) + content)


def read_record(stream: BinaryIO, where: str) -> Optional[bytes]:
    """Return the payload of the record that begins here, None at the end of the file.

    Raises
    ------
    DataError
        If there is no whole record.
    """
    pieces: List[bytes] = []
    while True:
        head = stream.read(HEAD.size)
        if not head and not pieces:
            return None
        if len(head) < HEAD.size:
            raise damaged(where, "it ends within a record")
        magic, word = HEAD.unpack(head)
        kind, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
        if magic != MAGIC:
            raise damaged(where, "no record begins here")
        if kind not in ((MIDDLE, LAST) if pieces else (WHOLE, FIRST)):
            raise damaged(where, "a record's parts are out of order")
        content = stream.read(length)
        if len(content) < length or len(stream.read(-length % 4)) < -length % 4:
            raise damaged(where, "it ends within a record")
        pieces.append(content)
        if kind in (WHOLE, LAST):
            return WORD.pack(MAGIC).join(pieces)


def damaged(where: str, why: str) -> DataError:
    """Return the error of a file that is not what it should be."""
    return DataError(f"'{where}' is damaged: {why}", REMEDY)


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
    if not (label >= 0 and label == int(label)):
        raise DataError(f"'{where}' has the label {label}", "labels are 0, 1, 2, ...")
    return int(label), payload[start:]


def records_in(path: Path) -> Iterator[Tuple[int, bytes]]:
    """Yield where each record of a file begins, and its payload."""
    with open(path, "rb") as stream:
        while True:
            start = stream.tell()
            payload = read_record(stream, f"{path.name}, byte {start}")
            if payload is None:
                return
            yield start, payload


def read_index(path: Path, records: Path) -> np.ndarray:
    """Return where the records begin, int64, in the order of the index.

    Raises
    ------
    DataError
        If the index is damaged, or is not that of the record file.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        starts = np.array([int(line.split("\t")[1]) for line in lines], dtype=np.int64)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"'{path}' is no index of a record file ({error})",
            "remove it: without an index the record file is read through",
        ) from error
    size = records.stat().st_size
    ordered = np.sort(starts)
    if not len(starts) or ordered[0] != 0 or ordered[-1] >= size or (np.diff(ordered) <= 0).any():
        raise DataError(
            f"'{path}' is not the index of '{records}'",
            "remove it: without an index the record file is read through",
        )
    return starts


class RecordListing(Listing):
    """Images in a record file.

    Parameters
    ----------
    name, split : str
    path : Path
        The record file.
    index : Path, optional
        Its index; the file of the same name that ends with ``.idx``, if there is one.

    Raises
    ------
    DataError
        If a file is missing or damaged.
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
        self.starts = np.zeros(0, dtype=np.int64)
        labels, lengths = self.scan(index if index.is_file() else None)
        names = class_list(self.path.parent / CLASSES_FILE, labels)
        super().__init__(name, split, labels, names, listing_hash(labels, lengths))

    def scan(self, index: Optional[Path]) -> Tuple[np.ndarray, np.ndarray]:
        """Read the heads of all records; return labels and lengths of the images."""
        size = self.path.stat().st_size
        if index is None:
            starts, heads = [], []
            for start, payload in records_in(self.path):
                label, image = unpack(payload, f"{self.path.name}, byte {start}")
                starts.append(start)
                heads.append((label, len(image)))
            self.starts = np.array(starts, dtype=np.int64)
        else:
            self.starts = read_index(index, self.path)
            stops = following(self.starts, size)
            with open(self.path, "rb") as stream:
                heads = [self.head(stream, i, int(stop)) for i, stop in enumerate(stops)]
        if not heads:
            raise DataError(f"'{self.path}' holds no record", REMEDY)
        found = np.array(heads, dtype=np.int64)
        return found[:, 0].copy(), found[:, 1].copy()

    def head(self, stream: BinaryIO, index: int, stop: int) -> Tuple[int, int]:
        """Return label and length of an image; a record in parts is read whole."""
        start, where = int(self.starts[index]), self.where(index)
        stream.seek(start)
        content = stream.read(HEAD.size + LABELS.size + 4)
        if len(content) < HEAD.size + LABELS.size:
            raise damaged(where, "it ends within a record")
        magic, word = HEAD.unpack_from(content)
        kind, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
        if magic != MAGIC or start + HEAD.size + length > stop:
            raise damaged(where, "no record begins here, or the index is another file's")
        if kind == WHOLE:
            label, rest = unpack(content[HEAD.size :], where)
            return label, length - (len(content) - HEAD.size - len(rest))
        label, image = unpack(self.payload(stream, index), where)
        return label, len(image)

    def payload(self, stream: BinaryIO, index: int) -> bytes:
        """Return the payload of a record."""
        stream.seek(int(self.starts[index]))
        found = read_record(stream, self.where(index))
        if found is None:
            raise damaged(self.where(index), "it ends before this record")
        return found

    def read(self, index: int) -> bytes:
        """Return an image as it is encoded."""
        try:
            with open(self.path, "rb") as stream:
                return unpack(self.payload(stream, index), self.where(index))[1]
        except OSError as error:
            raise DataError(
                f"'{self.path}' cannot be read ({error.strerror})", "check the disk"
            ) from error

    def where(self, index: int) -> str:
        """Return the file and the number of a record."""
        return f"{self.path}, record {index}"


def following(starts: np.ndarray, size: int) -> np.ndarray:
    """Return where the record after each one begins."""
    order = np.argsort(starts, kind="stable")
    stops = np.empty_like(starts)
    stops[order] = np.append(starts[order][1:], size)
    return stops


def class_list(path: Path, labels: np.ndarray) -> Tuple[str, ...]:
    """Return the names of classes: those in a file, one a line, or numbers where there is none."""
    count = int(labels.max()) + 1
    if not path.is_file():
        return tuple(f"class-{number}" for number in range(count))
    names = tuple(path.read_text(encoding="utf-8").split("\n")[:-1])
    if len(names) < count:
        raise DataError(
            f"'{path}' names {len(names)} classes, the records have {count}",
            "give the file that 'gluontricks data rec' wrote beside them",
        )
    return names


def find_records(name: str, split: str, path: Path, index: Optional[Path]) -> RecordListing:
    """Return the images of a record file; see :class:`RecordListing`."""
    return RecordListing(name, split, Path(path).expanduser(), index)
