"""Text as values of the types that recipes and options have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Callable, Dict, Set, Tuple, Union, get_type_hints


def boolean(text: str) -> bool:
    """Return the value of ``true`` or ``false``."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")


def integers(text: str) -> Tuple[int, ...]:
    """Return the value of ``30,60,90``."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no list like 30,60,90") from error


PARSERS: Dict[Any, Callable[[str], Any]] = {
    bool: boolean,
    int: int,
    float: float,
    str: str,
    Path: Path,
    Tuple[int, ...]: integers,
}


def plain_type(annotation: Any) -> Any:
    """Return ``T`` of ``Optional[T]``, and any other annotation as it is."""
    if getattr(annotation, "__origin__", None) is Union:
        return next(a for a in annotation.__args__ if a is not type(None))
    return annotation


def optional_fields(cls: Any) -> Set[str]:
    """Return the fields of a dataclass that may be None."""
    return {name for name, hint in get_type_hints(cls).items() if plain_type(hint) is not hint}


def field_types(cls: Any) -> Dict[str, Any]:
    """Return field -> type of a dataclass."""
    return {name: plain_type(hint) for name, hint in get_type_hints(cls).items()}
