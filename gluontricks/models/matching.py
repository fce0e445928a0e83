"""Fitting arrays from a file to a network's parameters, without any framework."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from gluontricks.errors import DataError
from gluontricks.params_file import read_params

_EXPORT_MARKS = ("arg:", "aux:")
_LISTED = 10


class Target(NamedTuple):
    """A parameter: its shape, and its name in an exported file without the network's prefix."""

    shape: Tuple[int, ...]
    name: str


def fitting_values(
    source: Union[str, Path, Mapping[str, Any]],
    targets: Mapping[str, Target],
    *,
    name: Optional[str] = None,
) -> Dict[str, np.ndarray]:
    """Return the value of every parameter, by path, from a file or a mapping that fits.

    Parameters
    ----------
    source : str, Path or mapping
        A ``.params`` file, or name -> array. The names are attribute paths (what
        ``save_parameters`` writes) or names with any network's prefix (what ``export`` writes).
    targets : mapping of str to Target
        The parameters by path.
    name : str, optional
        What errors call a mapping: where its arrays come from.

    Raises
    ------
    DataError
        If parameters are missing, left over, of another shape or type, or not finite. The first
        of them are named, with the nearest name there is.
    """
    if isinstance(source, Mapping):
        name = f"'{name}'" if name else "the mapping of arrays"
        arrays = {k: np.asarray(v) for k, v in source.items()}
    else:
        name, arrays = f"'{source}'", read_params(source)
    values = _by_path(name, arrays, targets)
    _check_names(name, values, targets)
    _check_values(name, values, targets)
    return {path: values[path] for path in targets}


def _by_path(
    source: str, arrays: Mapping[str, np.ndarray], targets: Mapping[str, Target]
) -> Dict[str, np.ndarray]:
    """Return the arrays by attribute path where they are known, by their own names otherwise."""
    plain = {_without_mark(name): values for name, values in arrays.items()}
    if len(plain) != len(arrays):
        raise DataError(f"{source} holds a name twice, as arg: and as aux:", "export it again")
    if any(name in targets for name in plain):
        return plain
    paths = {target.name: path for path, target in targets.items()}
    prefix = _file_prefix(list(plain), list(paths))
    found = {prefix + name: path for name, path in paths.items()}
    return {found.get(name, name): values for name, values in plain.items()}


def _without_mark(name: str) -> str:
    return name[4:] if name.startswith(_EXPORT_MARKS) else name


def _file_prefix(names: Sequence[str], expected: Sequence[str]) -> str:
    """Return the network prefix under which most of the ``expected`` names are found."""
    first = expected[0] if expected else ""
    candidates = [name[: len(name) - len(first)] for name in names if name.endswith(first)]
    known = set(names)
    return max(
        sorted(set(candidates), key=len) or [""],
        key=lambda prefix: sum(prefix + name in known for name in expected),
    )


def _check_names(
    source: str, values: Mapping[str, np.ndarray], targets: Mapping[str, Target]
) -> None:
    missing = [path for path in targets if path not in values]
    extra = [name for name in values if name not in targets]
    if not missing and not extra:
        return
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(targets)} parameters are missing{_listing(missing)}")
    if extra:
        parts.append(f"{len(extra)} belong to no parameter{_listing(extra)}")
    close = get_close_matches(missing[0], extra, n=1) if missing else []
    hint = f"; the nearest to {missing[0]} is {close[0]}" if close else ""
    raise DataError(
        f"{source} holds the parameters of another network: " + "; ".join(parts) + hint,
        "name the network that the file was saved from",
    )


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return " (" + ", ".join(names[:_LISTED]) + more + ")"


def _check_values(
    source: str, values: Mapping[str, np.ndarray], targets: Mapping[str, Target]
) -> None:
    wrong = [
        f"{path} has shape {values[path].shape}, the network {tuple(parameter.shape)}"
        for path, parameter in targets.items()
        if not _fits(values[path].shape, parameter.shape)
    ]
    if wrong:
        heads = _class_mismatch(values, targets)
        raise DataError(
            f"{source} {heads}" if heads else f"{source} does not fit{_listing(wrong)}",
            "give the same number of classes, or name the network that the file was saved from",
        )
    bad: List[str] = []
    for path in targets:
        if values[path].dtype.kind != "f":
            bad.append(f"{path} holds {values[path].dtype}")
        elif not _finite(values[path]):
            bad.append(f"{path} is not finite")
    if bad:
        raise DataError(
            f"{source} holds values that cannot be parameters{_listing(bad)}",
            "use the file of an earlier checkpoint, or copy it again",
        )


def _finite(values: np.ndarray) -> bool:
    """Return whether all values are finite, and stay so in float32."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(np.float32)).all())


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Return whether the shapes are equal, axes of unknown length (0) left aside."""
    return len(shape) == len(wanted) and all(b in (0, a) for a, b in zip(shape, wanted))


def _class_mismatch(values: Mapping[str, np.ndarray], targets: Mapping[str, Target]) -> str:
    """Return the words for a last layer that differs in its outputs alone, '' otherwise."""
    wrong = [p for p, q in targets.items() if not _fits(values[p].shape, q.shape)]
    last = next((p for p in reversed(list(targets)) if p.endswith("weight")), "")
    head = last[: -len("weight")]
    if last not in wrong or any(path not in (head + "weight", head + "bias") for path in wrong):
        return ""
    shape, wanted = values[last].shape, targets[last].shape
    if len(shape) != len(wanted) or shape[1:] != tuple(wanted[1:]):
        return ""
    return f"has {shape[0]} classes, the network {wanted[0]}"
