"""Reading tar archives by a parser of their own, which refuses what is no file in a folder."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, NamedTuple, Tuple

BLOCK = 512

# The official archives hold at most 187 MB in 8 members.
MAX_BYTES = 256 << 20
MAX_MEMBERS = 64

REGULAR, FOLDER = (b"0", b"\0"), b"5"
# Extra attributes of the next member, such as its time in fractions of a second.
ATTRIBUTES = (b"x", b"g")


def read_members(path: Path, wanted: Iterable[str]) -> Dict[str, bytes]:
    """Return the contents of the members named in ``wanted``, those that are there.

    Parameters
    ----------
    path : Path
        A gzipped tar file.
    wanted : iterable of str
        Full names of members.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    ValueError
        If the archive is damaged, too large, or has a member that is no file in a plain folder:
        a link, a device, an absolute path or one with ``..``.
    """
    try:
        with gzip.open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        with open(path, "rb") as stream:
            start = stream.read(256)
        raise ValueError("it is a web page" if is_page(start) else str(error)) from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_BYTES:,} bytes")
    names = set(wanted)
    found = members(lambda start, count: content[start : start + count], 0, len(content))
    return {name: content[start:end] for name, start, end in found if name in names}


def is_page(content: bytes) -> bool:
    """Return whether the content is a web page, which is what a failed download often holds."""
    return content[:256].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))


class Member(NamedTuple):
    """A file in an archive: its name, and where its content lies."""

    name: str
    start: int
    end: int


def members(
    read: Callable[[int, int], bytes], start: int, stop: int, *, most: int = MAX_MEMBERS
) -> Iterator[Member]:
    """Yield the files of an uncompressed tar archive.

    Parameters
    ----------
    read : callable
        Takes a place and a number of bytes; returns them, or fewer at the end.
    start, stop : int
        The archive lies here.
    most : int
        It may have so many members.

    Raises
    ------
    ValueError
        See :func:`read_members`.
    """
    for _ in range(most):
        header = read(start, min(BLOCK, max(stop - start, 0)))
        if len(header) < BLOCK:
            raise ValueError("the archive ends in the middle of a member")
        if not any(header):
            return
        name, size, kind = _parse(header)
        start += BLOCK
        if start + size > stop:
            raise ValueError(f"the archive ends in the middle of '{name}'")
        if kind in REGULAR:
            yield Member(_checked(name), start, start + size)
        elif kind != FOLDER and kind not in ATTRIBUTES:
            raise ValueError(f"its member '{name}' is a link, a device or of another kind")
        start += -(-size // BLOCK) * BLOCK
    raise ValueError(f"it has more than {most:,} members")


def _parse(header: bytes) -> Tuple[str, int, bytes]:
    unsigned = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _octal(header[148:156]) != unsigned:
        raise ValueError("the checksum of a member is wrong")
    name = header[:100].split(b"\0")[0].decode("utf-8", "replace")
    prefix = b""
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].split(b"\0")[0]
    if prefix:
        name = prefix.decode("utf-8", "replace") + "/" + name
    return name, _octal(header[124:136]), header[156:157]


def _octal(digits: bytes) -> int:
    text = digits.strip(b"\0 ")
    if not all(digit in b"01234567" for digit in text):
        raise ValueError("a number in the archive is not octal")
    return int(text or b"0", 8)


def _checked(name: str) -> str:
    parts = name.split("/")
    if parts[0] == ".":
        parts = parts[1:]
    if name.startswith("/") or ".." in parts or "\\" in name:
        raise ValueError(f"its member '{name}' would leave the folder")
    return "/".join(parts)
