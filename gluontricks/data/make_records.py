"""Record files made of folders of images: in parallel, and going on where a process was killed.

The bytes of an image stay as they are. What is written depends on the images alone, not on the
number of processes, nor on how often the work was interrupted.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import numpy as np

from gluontricks.data.decode import open_image
from gluontricks.data.listing import FolderListing
from gluontricks.data.parallel import ordered
from gluontricks.data.records import (
    CLASSES_FILE,
    RecordListing,
    Source,
    pack_image,
    record_places,
)
from gluontricks.errors import DataError, LockedError, UsageError
from gluontricks.files import make_folder, sync_folder, write_atomic, write_error

# A process hands over images of about so many bytes at a time.
CHUNK_BYTES = 8 << 20
CHUNK_IMAGES = 1024
PARTIAL = ".part"
Chunk = Tuple[int, int]


def make_records(
    listing: FolderListing,
    folder: Path,
    *,
    jobs: int,
    report: Callable[[str], None],
    chunk_bytes: int = CHUNK_BYTES,
) -> Path:
    """Write the images of a listing into ``<split>.rec``, with an index and the classes' names.

    Parameters
    ----------
    listing : FolderListing
    folder : Path
        Where the files go.
    jobs : int
        Processes that read, decode to check, and pack images.
    report : callable
        Is told what is going on.
    chunk_bytes : int
        About so much is handed over at a time; it does not change the files.

    Returns
    -------
    Path
        The record file. One that is there already and holds these images is kept.

    Raises
    ------
    DataError
        If an image is damaged. What was written before it is kept for the next time.
    UsageError
        If the folder holds records of other images.
    DiskError, OutputError
        If the files cannot be written.
    LockedError
        If another process is writing them.
    """
    make_folder(folder)
    with locked(folder):
        write_classes(folder / CLASSES_FILE, listing.class_names)
        path = folder / f"{listing.split}.rec"
        if not path.exists():
            write_records(listing, path, jobs, report, chunks(listing, chunk_bytes))
        write_index(listing, path)
    return path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(folder / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(
            f"another process is writing into '{folder}'", "wait for it, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_classes(path: Path, names: Tuple[str, ...]) -> None:
    """Write the names of the classes, one a line; a file that is there must hold the same."""
    odd = [name for name in names if "\n" in name or "\r" in name]
    if odd:
        raise DataError(f"the class folder {odd[0]!r} has a line's end in its name", "rename it")
    content = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    if not path.exists():
        write_atomic(path, content)
    elif path.read_bytes() != content:
        raise UsageError(
            f"'{path}' names other classes than the images have",
            "choose another folder with --out, or remove the records that are there",
        )


def chunks(listing: FolderListing, chunk_bytes: int) -> List[Chunk]:
    """Return the first and the last index, not included, of what is packed at a time."""
    total = np.cumsum(listing.lengths)
    bounds = [0]
    while bounds[-1] < len(listing):
        first = bounds[-1]
        target = (total[first - 1] if first else 0) + chunk_bytes
        last = max(int(np.searchsorted(total, target, side="right")), first + 1)
        bounds.append(min(last, first + CHUNK_IMAGES))
    return list(zip(bounds, bounds[1:]))


def write_records(
    listing: FolderListing,
    path: Path,
    jobs: int,
    report: Callable[[str], None],
    parts: List[Chunk],
) -> None:
    """Write a record file beside its place, going on with what is there, and put it there."""
    partial = path.with_name(path.name + PARTIAL)
    done, size = usable(partial, listing, parts)
    if done:
        report(f"{path.name}: going on after {parts[done - 1][1]:,} of {len(listing):,} images")
    try:
        with open(partial, "r+b" if partial.exists() else "w+b") as stream:
            stream.truncate(size)
            stream.seek(size)
            packed = ordered(pack_chunk, listing, parts[done:], jobs)
            for number, content in enumerate(packed, done):
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                if number * 10 // len(parts) < (number + 1) * 10 // len(parts):
                    report(f"{path.name}: {parts[number][1]:,} of {len(listing):,} images")
        os.replace(partial, path)
        sync_folder(path.parent)
    except BrokenPipeError:
        raise  # Whoever read the report has gone.
    except OSError as error:
        raise write_error(error, path) from error


def pack_chunk(listing: FolderListing, chunk: Chunk) -> bytes:
    """Return the records of some images, each of which was decoded to see that it is whole."""
    packed = []
    for index in range(*chunk):
        content, where = listing.read(index), listing.where(index)
        if len(content) != listing.lengths[index]:
            raise DataError(f"'{where}' changes while it is read", "wait until it is written")
        open_image(content, where)
        try:
            packed.append(pack_image(content, int(listing.labels[index]), index))
        except ValueError as error:
            raise DataError(f"'{where}': {error}", "make the image smaller") from error
    return b"".join(packed)


def usable(partial: Path, listing: FolderListing, parts: List[Chunk]) -> Tuple[int, int]:
    """Return how many chunks of an unfinished file can be kept, and their bytes.

    The last whole one is not: after a loss of power it might be there by its length only.
    """
    if not partial.exists():
        return 0, 0
    stops = [0]
    # The end of it may be a part of a record.
    with suppress(DataError):
        stops.extend(stop for _, stop in record_places(Source(partial)))
    os.truncate(partial, stops[-1])
    try:
        found = RecordListing(listing.name, listing.split, partial)
    except DataError:
        return 0, 0
    count = min(len(found), len(listing))
    same = found.labels[:count] == listing.labels[:count]
    same &= found.lengths[:count] == listing.lengths[:count]
    count = count if same.all() else int(same.argmin())
    kept = max(sum(last <= count for _, last in parts) - 1, 0)
    return kept, stops[parts[kept - 1][1]] if kept else 0


def write_index(listing: FolderListing, path: Path) -> None:
    """Write the index of a finished record file, unless it is there; check what the file holds."""
    found = RecordListing(listing.name, listing.split, path)
    if found.sha256 != listing.sha256:
        raise UsageError(
            f"'{path}' holds other images than '{listing.root}'",
            "choose another folder with --out, or remove it",
        )
    index = path.with_suffix(".idx")
    if not index.exists():
        lines = (f"{number}\t{start}\n" for number, start in enumerate(found.starts.tolist()))
        write_atomic(index, "".join(lines))
