"""glibc's allocator, told to keep freed memory: PyTorch on a CPU is slow without it."""

from __future__ import annotations

import ctypes
import os

# mallopt's parameters, and a size that no block reaches.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
NEVER = 2**31 - 1


def can_keep_memory() -> bool:
    """Return whether this system's C library has the setting."""
    return os.name == "posix" and hasattr(ctypes.CDLL(None), "mallopt")


def keep_memory() -> bool:
    """Have freed memory kept for the next block; return whether the C library does so.

    Otherwise glibc gives every large block back to the system, which clears and maps it anew at
    the next operation.
    """
    if not can_keep_memory():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER), (MMAP_THRESHOLD, NEVER))
    # With no blocks mapped the last one has no effect, and may be refused.
    return all([bool(mallopt(name, value)) for name, value in settings][:2])
