"""The one door to MXNet: ``from gluontricks.mxnet_shim import mx``.

MXNet 1.9.1 (2022) expects a NumPy and a Python of its time. Taking ``mx`` from here puts back
the names it misses, fixes the number of threads and loads the CUDA libraries of its GPU build
first. Importing this module alone does not import MXNet; the first use of ``mx`` does.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Dict

from gluontricks.cuda_libraries import preload
from gluontricks.errors import GluontricksError
from gluontricks.mxnet_patches import patch_before, patch_modules
from gluontricks.threads import keep_one_team, physical_cores, set_threads

if TYPE_CHECKING:
    import mxnet as mx

__all__ = ["MXNetError", "install_command", "mx", "physical_cores", "set_threads", "shim_report"]

PACKAGES = {
    "libgomp.so.1": "install it: apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp",
    "libquadmath.so.0": "install it: apt-get install libquadmath0, or dnf install libquadmath",
    "libcuda.so.1": "install NVIDIA's driver, or take the CPU build: "
    "pip uninstall -y mxnet-cu112, then pip install 'gluontricks[cpu]'",
}
_report: Dict[str, Any] = {}


class MXNetError(GluontricksError, ImportError):
    """MXNet, or a system library it needs, is not installed."""

    code = 65


def install_command() -> str:
    """Return the command that installs MXNet for this Python."""
    if sys.version_info >= (3, 13):
        return "pip install --no-deps mxnet==1.9.1 (its NumPy pin has no wheel for Python 3.13)"
    return "pip install mxnet==1.9.1 (or mxnet-cu112==1.9.1 for an NVIDIA GPU)"


def shim_report() -> Dict[str, Any]:
    """Return what was done to import MXNet; empty before it was imported.

    Keys: ``numpy_names`` (put back into NumPy), ``distutils`` (``native`` or ``stub``),
    ``patched`` (functions of MXNet replaced for NumPy 2), ``cuda_libraries`` (files loaded
    before it), ``threads`` (None if others imported MXNet before).
    """
    return dict(_report)


def _load() -> Any:
    """Import MXNet as this Python and NumPy need it, and return the module."""
    threads = None if "mxnet" in sys.modules else set_threads()
    keep_one_team()
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    report = patch_before()
    report["cuda_libraries"] = preload()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mxnet = importlib.import_module("mxnet")
        report["patched"] = patch_modules()
    except (ImportError, OSError, AttributeError) as error:
        raise _explained(error) from error
    report["threads"] = threads
    _report.update(report)
    return mxnet


def _explained(error: Exception) -> MXNetError:
    """Return the error of a failed import with what to do about it."""
    if isinstance(error, ModuleNotFoundError) and error.name == "mxnet":
        remedy = f"run `make install`, or {install_command()}; a prepared run needs PyTorch alone"
        return MXNetError("MXNet is not installed", remedy)
    text = str(error)
    library = text.split(":")[0]
    if library in PACKAGES:
        return MXNetError(f"MXNet needs the system library {library}", PACKAGES[library])
    if isinstance(error, OSError) and ".so" in library:
        remedy = "install the CUDA 11 libraries: pip install 'gluontricks[cu112]'"
        return MXNetError(f"MXNet cannot be loaded: {text}", remedy)
    return MXNetError(f"MXNet cannot be imported: {text}", f"reinstall it: {install_command()}")


def __getattr__(name: str) -> Any:
    """Import MXNet at the first use of ``mx``."""
    if name != "mx":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _load()
    globals()["mx"] = module
    return module
