"""Names of mixing types: single mixers, ``a+b`` for both in turn, ``a|b`` for one per batch."""

from __future__ import annotations

from typing import Tuple

from gluontricks.errors import UsageError, unknown

SINGLE = ("mixup", "cutmix", "stitch-horizontal", "stitch-vertical", "stitch-tile")


def alternatives(mixup_type: str) -> Tuple[Tuple[str, ...], ...]:
    """Return the alternatives of a mixing type, each a sequence of mixers to apply in turn.

    ``none`` has one alternative without mixers; ``a+b|c`` has two: ``(a, b)`` and ``(c,)``.

    Raises
    ------
    UsageError
        If a part is no mixer.
    """
    if mixup_type == "none":
        return ((),)
    parts = tuple(tuple(p.split("+")) for p in mixup_type.replace(" ", "").split("|"))
    for name in (name for part in parts for name in part):
        if name == "none":
            raise UsageError(f"'none' stands inside the mixing type '{mixup_type}'", "leave it out")
        if name not in SINGLE:
            raise unknown("mixing type", name, ("none", *SINGLE))
    return parts


def mixer_names(mixup_type: str) -> Tuple[str, ...]:
    """Return every mixer that occurs in a mixing type."""
    return tuple(name for part in alternatives(mixup_type) for name in part)
