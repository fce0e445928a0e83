"""What NumPy arrays and torch tensors share, so that batch code is written once for both."""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any, Tuple

import numpy as np


def namespace(array: Any) -> ModuleType:
    """Return the module whose functions take ``array``: ``numpy``, or ``torch`` if it is a tensor.

    torch is never imported here: who holds a tensor has imported it.
    """
    return sys.modules[type(array).__module__.split(".", 1)[0]]


def like(values: Any, array: Any) -> Any:
    """Return the NumPy array ``values`` as what ``array`` is, on the device of ``array``."""
    module = namespace(array)
    if module.__name__ == "numpy":
        return values
    copy = module.from_numpy(values.copy())
    if array.device.type == "cuda":
        # From pinned memory the copy waits in the device's queue, and the processor does not.
        return copy.pin_memory().to(array.device, non_blocking=True)
    return copy.to(array.device)


def cast(array: Any, dtype: str) -> Any:
    """Return ``array`` converted to the dtype named ``dtype``, such as ``'float32'``."""
    module = namespace(array)
    if module.__name__ == "numpy":
        return array.astype(dtype)
    return array.to(getattr(module, dtype))


def clip(array: Any, low: float, high: float) -> None:
    """Cut a float32 array off at ``low`` and ``high``, in place."""
    if namespace(array).__name__ == "numpy":
        # NumPy is four times as fast with arrays as with numbers.
        np.maximum(array, _filled(array.shape, low), out=array)
        np.minimum(array, _filled(array.shape, high), out=array)
    else:
        array.clamp_(low, high)


@lru_cache(maxsize=8)
def _filled(shape: Tuple[int, ...], value: float) -> np.ndarray:
    """Return a float32 array that has one value everywhere, which nobody may change."""
    filled = np.full(shape, value, dtype=np.float32)
    filled.flags.writeable = False
    return filled
