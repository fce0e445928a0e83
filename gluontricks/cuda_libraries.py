"""The CUDA 11 libraries of PyPI, loaded by path so that no ``LD_LIBRARY_PATH`` is needed.

And which GPUs the build of MXNet that needs them has code for.
"""

from __future__ import annotations

import ctypes
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import List, Optional, Sequence

from gluontricks.machine import Gpu

# Compiled into the CUDA wheels of MXNet 1.9.1, without PTX: code of sm_8x runs on every 8.x,
# and nothing can be compiled for another generation.
GPU_CODE = "5.0, 6.0, 7.0, 8.0 and 8.6, without PTX"
GPU_GENERATIONS = (5, 8)

# A library comes after those it needs, and the sonames are those MXNet 1.9.1 was linked with.
LIBRARIES = (
    "cuda_runtime/lib/libcudart.so.11.0",
    "nvtx/lib/libnvToolsExt.so.1",
    "cuda_nvrtc/lib/libnvrtc.so.11.2",
    "cublas/lib/libcublasLt.so.11",
    "cublas/lib/libcublas.so.11",
    "cufft/lib/libcufft.so.10",
    "curand/lib/libcurand.so.10",
    "cusparse/lib/libcusparse.so.11",
    "cusolver/lib/libcusolver.so.11",
    "nccl/lib/libnccl.so.2",
    "cudnn/lib/libcudnn.so.8",
)


def cuda_build() -> Optional[str]:
    """Return the name of the installed CUDA build of MXNet, such as ``mxnet-cu112``, or None."""
    for name in ("mxnet-cu112", "mxnet-cu117"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return None


def has_code(gpu: Gpu) -> bool:
    """Return whether MXNet's CUDA build has code for a GPU, as far as can be told."""
    oldest, newest = GPU_GENERATIONS
    return gpu.capability is None or oldest <= gpu.capability[0] <= newest


def without_code(graphics: Sequence[Gpu]) -> str:
    """Return what to add to an error where MXNet has code for none of the GPUs; else nothing."""
    if not graphics or any(has_code(gpu) for gpu in graphics):
        return ""
    gpu = graphics[0]
    capability = ".".join(str(number) for number in gpu.capability or ())
    return f"; it has no code for {gpu.name} (compute capability {capability}), only for {GPU_CODE}"


def find() -> List[Path]:
    """Return the installed libraries in the order in which they must be loaded."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    candidates = (root / library for library in LIBRARIES for root in roots)
    return [path for path in candidates if path.is_file()]


def preload() -> List[str]:
    """Load the libraries if MXNet's CUDA build is installed, and return their file names.

    A library that is missing is left to the system's loader, which names it if it finds none.
    """
    if cuda_build() is None:
        return []
    loaded = []
    for path in find():
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        loaded.append(path.name)
    return loaded
