"""What NumPy arrays and torch tensors share, so that batch code is written once for both."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


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
