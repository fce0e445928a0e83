"""MXNet's ``.params`` files, read and written in NumPy alone.

The format's own reader believes every count and length in a damaged file and may ask for
gigabytes; here nothing is allocated that the file's own size does not cover.

Layout, little-endian: ``uint64`` magic 0x112, ``uint64`` 0, ``uint64`` number of arrays, the
arrays, ``uint64`` number of names, and each name as ``uint64`` length and UTF-8 bytes. An array is
a ``uint32`` version, (from version 2) an ``int32`` storage type, the shape as a 32-bit number of
axes and ``int64`` lengths, two ``int32`` for the device, an ``int32`` data type, and the values.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Union

import numpy as np

from gluontricks.errors import DataError
from gluontricks.files import write_atomic

LIST_MAGIC = 0x112
VERSION_1, VERSION_2, VERSION_3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DENSE = 0
DTYPES = {
    0: "<f4", 1: "<f8", 2: "<f2", 3: "|u1", 4: "<i4", 5: "|i1", 6: "<i8", 7: "|b1",
}  # fmt: skip
BFLOAT16 = 12
MAX_AXES = 8
CPU = (1, 0)


class _Reader:
    """A cursor over the bytes of a file that never reads past their end."""

    def __init__(self, content: bytes, source: str) -> None:
        self.content = content
        self.source = source
        self.offset = 0

    def left(self) -> int:
        return len(self.content) - self.offset

    def take(self, size: int) -> memoryview:
        if size > self.left():
            raise self.damaged(f"it ends at byte {len(self.content):,}, in the middle of a value")
        self.offset += size
        return memoryview(self.content)[self.offset - size : self.offset]

    def number(self, code: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def count(self, smallest: int, what: str) -> int:
        """Read how many things follow, each at least ``smallest`` bytes long."""
        count = self.number("Q")
        if count * smallest > self.left():
            raise self.damaged(f"it announces {count:,} {what} in {self.left():,} bytes")
        return count

    def damaged(self, why: str) -> DataError:
        return DataError(
            f"'{self.source}' is no intact MXNet parameter file: {why}",
            "copy or download it again, and compare its SHA-256 with the original's",
        )


def read_params(path: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Return the arrays of a ``.params`` file by name, in the file's order.

    Parameters
    ----------
    path : str or Path
        What ``save_parameters``, ``export`` or ``mx.nd.save`` of a dict wrote.

    Returns
    -------
    dict of str to ndarray
        Names as they stand in the file (``arg:`` and ``aux:`` included). bfloat16 values come as
        the equal float32 ones.

    Raises
    ------
    DataError
        If the file is missing, truncated or damaged, or holds what networks have no use for:
        sparse arrays, arrays without values or without names.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise DataError(f"there is no file '{path}'", "check the path")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}", "check the path") from error
    return parse_params(content, source=str(path))


def parse_params(content: bytes, *, source: str = "bytes") -> Dict[str, np.ndarray]:
    """Return the arrays that :func:`read_params` would, from the bytes of a file."""
    reader = _Reader(content, source)
    if reader.number("Q") != LIST_MAGIC or reader.number("Q") != 0:
        raise reader.damaged("it does not start as one")
    arrays = [_array(reader) for _ in range(reader.count(20, "arrays"))]
    names = [_name(reader) for _ in range(reader.count(8, "names"))]
    if reader.left():
        raise reader.damaged(f"{reader.left():,} bytes follow its end")
    if len(names) != len(arrays):
        raise reader.damaged(f"it holds {len(arrays)} arrays and {len(names)} names")
    if len(set(names)) != len(names):
        raise reader.damaged("a name occurs twice")
    return dict(zip(names, arrays))


def _name(reader: _Reader) -> str:
    length = reader.number("Q")
    try:
        return bytes(reader.take(length)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise reader.damaged("a name is not UTF-8") from error


def _array(reader: _Reader) -> np.ndarray:
    shape = _shape(reader)
    reader.take(8)
    flag = reader.number("i")
    dtype = np.dtype("<u2" if flag == BFLOAT16 else DTYPES.get(flag, "V0"))
    if dtype.itemsize == 0:
        raise reader.damaged(f"there is no data type {flag}")
    size = 1
    for length in shape:
        size *= length
    # Python's integers do not overflow, so that take() refuses every impossible product.
    values = np.frombuffer(reader.take(size * dtype.itemsize), dtype=dtype).reshape(shape)
    if flag == BFLOAT16:
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if flag == 7 and values.size and values.view(np.uint8).max() > 1:
        raise reader.damaged("a truth value is neither 0 nor 1")
    return values.astype(dtype.newbyteorder("="))


def _shape(reader: _Reader) -> Tuple[int, ...]:
    version = reader.number("I")
    if version in (VERSION_2, VERSION_3):
        storage = reader.number("i")
        if storage != DENSE:
            raise reader.damaged(f"an array is sparse (storage type {storage})")
    elif version != VERSION_1:
        raise reader.damaged(f"there is no array version {version:#x}")
    axes = reader.number("i")
    if not 0 <= axes <= MAX_AXES:
        raise reader.damaged(f"an array has {axes} axes")
    shape = tuple(reader.number("q") for _ in range(axes))
    # Before version 3, no axes meant no array; from then on, a scalar.
    if min(shape, default=version == VERSION_3) < 1:
        raise reader.damaged(f"an array has shape {shape}, so no values")
    return shape


def dump_params(arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of a ``.params`` file that MXNet loads.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Names and values; float32, float64, float16, uint8, int8, int32, int64 or bool, at least
        one axis, at least one value.

    Raises
    ------
    DataError
        If the format cannot hold an array.
    """
    parts: List[bytes] = [struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))]
    for name, values in arrays.items():
        parts.extend(_dump_array(name, np.asarray(values)))
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode("utf-8")
        parts.extend((struct.pack("<Q", len(encoded)), encoded))
    return b"".join(parts)


def _dump_array(name: str, values: np.ndarray) -> Tuple[bytes, bytes]:
    little = values.dtype.newbyteorder("<") if values.dtype.itemsize > 1 else values.dtype
    flags = {np.dtype(code): flag for flag, code in DTYPES.items()}
    if little not in flags or not 1 <= values.ndim <= MAX_AXES or not values.size:
        raise DataError(
            f"array '{name}' of shape {values.shape} and type {values.dtype} has no place in a "
            ".params file",
            "give arrays with 1 to 8 axes, at least one value, and a type such as float32",
        )
    header = struct.pack("<IiI", VERSION_2, DENSE, values.ndim)
    header += struct.pack(f"<{values.ndim}q", *values.shape)
    header += struct.pack("<iii", *CPU, flags[little])
    return header, np.ascontiguousarray(values, dtype=little).tobytes()


def write_params(path: Union[str, Path], arrays: Mapping[str, Any]) -> None:
    """Write ``arrays`` to ``path`` as a ``.params`` file, whole or not at all.

    Raises
    ------
    DataError, DiskError, OutputError
        As :func:`dump_params` and :func:`gluontricks.files.write_atomic`.
    """
    write_atomic(path, dump_params(arrays))
