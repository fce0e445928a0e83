"""Writing files so that they exist whole or not at all, and hashing them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Union

from gluontricks.errors import DiskError, OutputError

TEMPORARY = ".tmp-"


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Union[str, Path]) -> str:
    """Return the SHA-256 of the file at ``path`` as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Union[str, Path], content: Union[bytes, str]) -> None:
    """Write ``content`` to ``path``: aside first, synced, then renamed, and the folder synced.

    Raises
    ------
    DiskError
        If the disk is full; the file that was there before is untouched.
    OutputError
        If the folder cannot be written.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    aside = path.with_name(f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        with open(aside, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
        sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise write_error(error, path, len(data)) from error


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(error: OSError, path: Path, needed: int = 0) -> Union[DiskError, OutputError]:
    """Translate an error of the operating system into a cause and a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        free = shutil.disk_usage(there).free
        wanted = f"needs {needed:,} bytes" if needed else "cannot be written"
        return DiskError(
            f"the disk is full: '{path}' {wanted}, {free:,} bytes are free",
            "free some space and run the same command again; what was written before is intact",
        )
    if error.errno == errno.EIO:
        return DiskError(f"'{path}' cannot be written: {error.strerror}", "check the disk")
    return OutputError(
        f"'{path}' cannot be written: {error.strerror}", "choose another folder with --out"
    )


def make_folder(path: Union[str, Path]) -> Path:
    """Create the folder ``path`` where needed and prove that it can be written.

    Raises
    ------
    OutputError
        If it cannot be created or written, or is a file.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Threads, and machines that share the folder, may all be at it.
        probe = path / f"{TEMPORARY}probe-{uuid.uuid4().hex}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise write_error(error, path) from error
    return path
