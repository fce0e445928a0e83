"""The names of the networks and what they mean, known without loading MXNet."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from gluontricks.errors import UsageError, nearest


class Network(NamedTuple):
    """What a name means.

    Attributes
    ----------
    family : str
        A key of :data:`gluontricks.models.BUILDERS`.
    options : mapping of str to object
        What its function is called with.
    size : int
        Height and width of the images it is made for, in pixels.
    smallest, largest : int
        The sizes it takes.
    residual : bool
        Whether it has residual blocks, whose last gamma may start at zero.
    dilatable : bool
        Whether its output stride can be less than 32.
    """

    family: str
    options: Mapping[str, Any]
    size: int = 224
    smallest: int = 32
    largest: int = 4096
    residual: bool = True
    dilatable: bool = False


def _imagenet() -> Dict[str, Network]:
    found: Dict[str, Network] = {}
    for depth in (18, 34, 50, 101, 152):
        for se in ("", "se_"):
            options = {"depth": depth, "se": bool(se)}
            found[f"{se}resnet{depth}_v1"] = Network("v1", options)
        for variant in "bcdes":
            options = {"depth": depth, "variant": variant}
            found[f"resnet{depth}_v1{variant}"] = Network("v1b", options, dilatable=True)
    for depth, cardinality, width in ((50, 32, 4), (101, 32, 4), (101, 64, 4)):
        for se in ("", "se_"):
            found[f"{se}resnext{depth}_{cardinality}x{width}d"] = Network(
                "resnext",
                {"depth": depth, "cardinality": cardinality, "width": width, "se": bool(se)},
            )
    for multiplier in (1.0, 0.75, 0.5, 0.25):
        found[f"mobilenet{multiplier}"] = Network(
            "mobilenet", {"multiplier": multiplier}, residual=False
        )
    for depth in (121, 161, 169, 201):
        found[f"densenet{depth}"] = Network("densenet", {"depth": depth}, residual=False)
    found["inceptionv3"] = Network("inception", {}, size=299, smallest=75, residual=False)
    return found


IMAGENET = _imagenet()
CIFAR = (
    "resnet20_v1",
    "resnet56_v1",
    "resnet110_v1",
    "resnext29_2x8d",
    "resnext29_32x4d",
    "resnext29_16x64d",
)
# Network -> height and width of the images it is made for. Other depths, cardinalities and
# widths of the CIFAR families are valid names too.
NAMES: Dict[str, int] = {
    **dict.fromkeys(CIFAR, 32),
    **{name: network.size for name, network in IMAGENET.items()},
}

_PREFIX = "cifar_"
_RESNET = re.compile(r"resnet([1-9]\d{0,3})_v1")
_RESNEXT = re.compile(r"resnext29_([1-9]\d{0,2})x([1-9]\d{0,2})d")
_FAMILIES = (
    "also valid: resnet<6n+2>_v1 and resnext29_<cardinality>x<width>d, such as resnet8_v1 "
    "and resnext29_4x16d"
)


def canonical_name(name: str) -> str:
    """Return the one spelling of a network's name.

    ``cifar_`` may stand before the name of a CIFAR network. It is left out, but where the rest
    names an ImageNet network: ``cifar_resnet50_v1`` is not ``resnet50_v1``.

    Raises
    ------
    UsageError
        If there is no such network; the nearest name is offered.
    """
    found = find_name(name)
    if found is None:
        offered = nearest(_without_prefix(name), NAMES)
        raise UsageError(f"unknown model '{name}'", f"{offered}; {_FAMILIES}")
    return found


def find_name(name: str) -> Optional[str]:
    """Return what :func:`canonical_name` does, or None if there is no such network."""
    short = _without_prefix(name)
    if short not in IMAGENET:
        return None if _cifar(short) is None else short
    return name if name in IMAGENET or _cifar(short) is not None else None


def describe(name: str) -> Network:
    """Return what a network's name means.

    Raises
    ------
    UsageError
        If there is no such network.
    """
    name = canonical_name(name)
    network = IMAGENET.get(name) or _cifar(_without_prefix(name))
    assert network is not None
    return network


def input_size(name: str) -> int:
    """Return the height and width, in pixels, of the images that network ``name`` is made for."""
    return describe(name).size


def takes_size(name: str, size: int) -> bool:
    """Return whether network ``name`` takes images of ``size`` x ``size`` pixels.

    ImageNet's take any size that leaves one pixel before the last mean, CIFAR's only their own.
    """
    network = describe(name)
    return network.smallest <= size <= network.largest


def list_models() -> List[str]:
    """Return the names of the networks, in alphabetical order; of CIFAR's, those in use."""
    return sorted(NAMES)


def _without_prefix(name: str) -> str:
    return name[len(_PREFIX) :] if name.startswith(_PREFIX) else name


def _cifar(short: str) -> Optional[Network]:
    """Return the CIFAR network that a name without prefix states, None for other names."""
    match = _RESNET.fullmatch(short)
    depth = int(match[1]) if match else 0
    sizes: Dict[str, Any] = {"size": 32, "smallest": 32, "largest": 32}
    if depth >= 8 and depth % 6 == 2:
        return Network("cifar_v1", {"blocks": (depth - 2) // 6}, **sizes)
    match = _RESNEXT.fullmatch(short)
    if match:
        options = {"cardinality": int(match[1]), "width": int(match[2])}
        return Network("cifar_resnext", options, **sizes)
    return None
