"""The names of the networks and what they mean, known without loading MXNet."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from gluontricks.errors import UsageError, nearest

# Network -> height and width of the images it is made for. Other depths, cardinalities and
# widths of the same families are valid names too.
NAMES: Dict[str, int] = {
    "resnet20_v1": 32,
    "resnet56_v1": 32,
    "resnet110_v1": 32,
    "resnext29_2x8d": 32,
    "resnext29_32x4d": 32,
    "resnext29_16x64d": 32,
}

_PREFIX = "cifar_"
_RESNET = re.compile(r"resnet([1-9]\d{0,3})_v1")
_RESNEXT = re.compile(r"resnext29_([1-9]\d{0,2})x([1-9]\d{0,2})d")
_FAMILIES = (
    "also valid: resnet<6n+2>_v1 and resnext29_<cardinality>x<width>d, such as resnet8_v1 "
    "and resnext29_4x16d"
)


def canonical_name(name: str) -> str:
    """Return the one spelling of a network's name: without ``cifar_``, which may stand before it.

    Raises
    ------
    UsageError
        If there is no such network; the nearest name is offered.
    """
    short = name[len(_PREFIX) :] if name.startswith(_PREFIX) else name
    if resnet_depth(short) is None and resnext_shape(short) is None:
        raise UsageError(f"unknown model '{name}'", f"{nearest(short, NAMES)}; {_FAMILIES}")
    return short


def input_size(name: str) -> int:
    """Return the height and width, in pixels, of the images that network ``name`` is made for."""
    return NAMES.get(canonical_name(name), 32)


def list_models() -> List[str]:
    """Return the names of the networks that published results use, in alphabetical order."""
    return sorted(NAMES)


def resnet_depth(name: str) -> Optional[int]:
    """Return the depth, 6n+2, that the name of a CIFAR ResNet states; None for other names."""
    match = _RESNET.fullmatch(name)
    depth = int(match[1]) if match else 0
    return depth if depth >= 8 and depth % 6 == 2 else None


def resnext_shape(name: str) -> Optional[Tuple[int, int]]:
    """Return (cardinality, width) that the name of a ResNeXt-29 states; None for other names."""
    match = _RESNEXT.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None
