"""Reading a CIFAR Python batch without running what a pickle can hold.

The file names four things: ``numpy.core.multiarray._reconstruct``, ``numpy.ndarray``,
``numpy.dtype`` and ``_codecs.encode``. Each is answered by a stand-in that only records its
arguments; any other name, and any opcode such a file has no use for, is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any, Dict, Tuple

import numpy as np

# Largest batch: CIFAR-100's 50,000 images with their file names take 155 MB.
MAX_BYTES = 192 << 20

ALLOWED = {
    (module, name): name
    for name, modules in {
        "_reconstruct": ("numpy.core.multiarray", "numpy._core.multiarray"),
        "ndarray": ("numpy",),
        "dtype": ("numpy",),
        "encode": ("_codecs",),
    }.items()
    for module in modules
}

_NEEDED = """
PROTO FRAME STOP MARK EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
APPEND APPENDS SETITEM SETITEMS NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1
BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8
BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_OPCODES = frozenset(_NEEDED.split())

# Tables of references are allocated to the largest index, and tuples of tuples of references to
# one object take exponential time to hash: a batch needs few of either.
_MAX_INDEX = 1 << 20
_MAX_REFERENCES = 32


class RefusedError(ValueError):
    """A pickle that is damaged, or no CIFAR batch."""


class _Record:
    """What an allowed name made: its arguments, and the state given to it."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: Tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """A stand-in for an allowed name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> Any:
        if self.name != "encode":
            return _Record(self.name, arguments)
        text, encoding = arguments
        if encoding != "latin1":
            raise RefusedError(f"it encodes text as {encoding!r}")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        raise RefusedError(f"it changes {self.name!r}")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the stand-in of an allowed name."""
        if (module_name, global_name) not in ALLOWED:
            raise RefusedError(f"it asks for '{module_name}.{global_name}', which is not allowed")
        return _Name(ALLOWED[module_name, global_name])


def _check_opcodes(content: bytes) -> None:
    references = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise RefusedError(f"it holds the opcode {opcode.name}, which is not allowed")
        if opcode.name == "LONG_BINPUT" and int(argument or 0) > _MAX_INDEX:
            raise RefusedError(f"it numbers an object {argument}")
        references += opcode.name in ("BINGET", "LONG_BINGET")
        if references > _MAX_REFERENCES:
            raise RefusedError(f"it refers more than {_MAX_REFERENCES} times to its own objects")


def read_batch(content: bytes) -> Dict[str, Any]:
    """Return the dictionary of a CIFAR Python batch, written by Python 2 or 3.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    dict
        Keys are text; arrays of unsigned bytes are NumPy arrays, all else is as pickled.

    Raises
    ------
    RefusedError
        If it is damaged, too large, or asks for anything that a batch does not need. Nothing of
        it is ever executed.
    """
    if len(content) > MAX_BYTES:
        raise RefusedError(f"it has {len(content):,} bytes, the limit is {MAX_BYTES:,}")
    try:
        _check_opcodes(content)
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(loaded, dict):
            raise RefusedError(f"it holds a {type(loaded).__name__} instead of a dictionary")
        return {_text(key): _value(value) for key, value in loaded.items()}
    except RefusedError:
        raise
    # A damaged pickle can raise anything, from a KeyError to a MemoryError.
    except Exception as error:
        raise RefusedError(f"it cannot be unpickled ({type(error).__name__}: {error})") from None


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _value(value: Any) -> Any:
    if not isinstance(value, _Record):
        return value
    if value.name != "_reconstruct":
        raise RefusedError(f"it holds a bare '{value.name}'")
    _, shape, dtype, fortran, raw = value.state
    if not isinstance(dtype, _Record) or _text(dtype.arguments[0]) not in ("u1", "|u1", "uint8"):
        raise RefusedError("its array does not hold unsigned bytes")
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")
