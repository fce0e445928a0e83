"""Turning values into plain JSON that names neither a machine, nor a user, nor a folder."""

from __future__ import annotations

import getpass
import json
import math
import re
import socket
from typing import Any, Callable, Iterable, List, Mapping

# An absolute path: POSIX, home, UNC or a drive's; not the slashes of an URL, of 3/4, a/b or (a)/b.
ABSOLUTE = re.compile(
    r"(?<![\w.~/\\)-])(?:file://)?(?:/(?!/)|(?<!:)//|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
    r"(?P<rest>[^\s'\",;=<>|]+)"
)


def canonical(value: Any) -> str:
    """Return the one JSON text of ``value``: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON values; NumPy scalars become numbers, non-finite ones None.

    Raises
    ------
    TypeError
        If it holds something that JSON cannot say.
    """
    if hasattr(value, "item") and not isinstance(value, (list, tuple, dict)):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"a record cannot hold {value!r} of type {type(value).__name__}")


def without_paths(text: str) -> str:
    """Return ``text`` with every absolute path shortened to its last part."""
    return ABSOLUTE.sub(lambda m: re.split(r"[\\/]", m["rest"].rstrip("\\/"))[-1], text)


def anonymous(text: str) -> str:
    """Return ``text`` without absolute paths, and without the names of this user and machine."""
    text = without_paths(text)
    for mark, name in (("<user>", _user()), ("<host>", socket.gethostname())):
        if len(name) > 2:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
    return text


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain ``value`` with ``change`` applied to every text in it, keys excepted."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {k: map_texts(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [map_texts(v, change) for v in value]
    return value


def absolute_paths(value: Any) -> List[str]:
    """Return every text in plain ``value`` that holds an absolute path."""
    if isinstance(value, str):
        return [value] if without_paths(value) != value else []
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    return [text for part in parts for text in absolute_paths(part)]


def _user() -> str:
    """Return the name of the user, or nothing where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
