"""What MXNet 1.9.1 misses on newer Pythons and NumPys: names before, functions after its import.

Measured by importing it and running its operators on NumPy 1.19 to 2.5. Nothing that exists
is replaced, so that other packages see the NumPy they expect.
"""

from __future__ import annotations

import importlib
import re
import struct
import sys
import types
import warnings
from typing import Any, Callable, Dict, List

import numpy as np

CONSTANTS = {
    "bool": bool,
    "int": int,
    "float": float,
    "PZERO": 0.0,
    "NZERO": -0.0,
    "PINF": np.inf,
    "NINF": -np.inf,
    "NAN": np.nan,
    "NaN": np.nan,
    "Inf": np.inf,
}
RENAMED = {
    "alltrue": "all",
    "sometrue": "any",
    "round_": "round",
    "product": "prod",
    "in1d": "isin",
    "trapz": "trapezoid",
}
FINANCIAL = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")


def patch_before() -> Dict[str, Any]:
    """Put back the names that ``import mxnet`` needs, and return which those were.

    Returns
    -------
    dict
        ``numpy_names``: list of names added to NumPy; ``distutils``: ``native`` or ``stub``.
    """
    distutils = _provide_distutils()
    names: Dict[str, Any] = dict(CONSTANTS)
    names.update({old: getattr(np, new) for old, new in RENAMED.items() if hasattr(np, new)})
    names.update({name: _missing_function(name) for name in FINANCIAL})
    names["msort"] = _sort_first_axis
    names["compat"] = types.SimpleNamespace(basestring=str)
    added = [name for name in names if not _numpy_has(name)]
    for name in added:
        setattr(np, name, names[name])
    return {"numpy_names": added, "distutils": distutils}


def patch_modules() -> List[str]:
    """Replace the functions of MXNet that NumPy 2 breaks, and return their names."""
    patched: List[str] = []
    if int(np.__version__.split(".")[0]) >= 2:
        # NumPy 2 prints np.int64(4) inside a tuple; operators get their attributes as text.
        for name in ("mxnet._ctypes.ndarray", "mxnet._ctypes.symbol"):
            vars(importlib.import_module(name))["str"] = attribute_text
        patched.append("operator attributes")
    if not hasattr(np.ndarray, "tostring"):
        _patch_recordio(importlib.import_module("mxnet.recordio"))
        patched.append("recordio.pack")
    return patched


def attribute_text(value: Any) -> str:
    """Return ``str(value)`` as NumPy 1 had it: scalars print as Python numbers."""
    if isinstance(value, (np.generic, tuple, list)):
        return str(_plain(value))
    return str(value)


def _plain(value: Any) -> Any:
    """Return ``value`` with NumPy scalars, also inside lists and tuples, made Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(_plain(item) for item in value)
    return value


def _numpy_has(name: str) -> bool:
    """Return whether NumPy has ``name`` without the warning of a deprecated alias."""
    if name in vars(np):
        return True
    if name in CONSTANTS:  # NumPy 1.20 to 1.23 still answer, but warn at every use
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(np, name)


def _missing_function(name: str) -> Callable[..., Any]:
    """Return a function that says that NumPy no longer has ``name``."""

    def missing(*args: Any, **kwargs: Any) -> Any:
        given = len(args) + len(kwargs)
        raise NotImplementedError(
            f"numpy.{name} (called with {given} arguments) left NumPy in 1.20 and this is "
            f"NumPy {np.__version__}; use the package numpy-financial"
        )

    return missing


def _sort_first_axis(array: Any) -> Any:
    """Return a copy sorted along its first axis."""
    return np.sort(array, axis=0)


def _provide_distutils() -> str:
    """Make ``distutils.version`` importable; MXNet compares version numbers with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("distutils.version")
        return "native"
    except ImportError:
        package: Any = types.ModuleType("distutils")
        version: Any = types.ModuleType("distutils.version")
        package.__path__ = []
        package.version = version
        version.LooseVersion = version.StrictVersion = _Version
        sys.modules.update({"distutils": package, "distutils.version": version})
        return "stub"


class _Version(tuple):
    """A version number that compares by its first three numbers."""

    def __new__(cls, text: str) -> _Version:
        numbers = (int(number) for number in re.findall(r"\d+", text)[:3])
        return super().__new__(cls, numbers)


def _patch_recordio(recordio: Any) -> None:
    """Give ``mxnet.recordio`` packers that do not call ``ndarray.tostring``."""

    def pack(header: Any, s: bytes) -> bytes:
        """Return one image record: the header, a vector of labels if there is one, ``s``."""
        header = recordio.IRHeader(*header)
        scalar = np.ndim(header.label) == 0
        labels = b"" if scalar else np.asarray(header.label, np.float32).tobytes()
        flag, label = (0, header.label) if scalar else (len(labels) // 4, 0.0)
        fields = struct.pack(recordio._IR_FORMAT, flag, label, header.id, header.id2)
        return fields + labels + s

    def pack_img(header: Any, img: Any, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
        """Return one record of ``img`` encoded by OpenCV; PNG takes ``quality`` 0 to 9."""
        import cv2

        png = img_fmt.lower() == ".png"
        option = cv2.IMWRITE_PNG_COMPRESSION if png else cv2.IMWRITE_JPEG_QUALITY
        encoded, buffer = cv2.imencode(img_fmt, img, [option, quality])
        if not encoded:
            raise ValueError(f"OpenCV cannot encode an image of shape {img.shape} as {img_fmt}")
        return pack(header, buffer.tobytes())

    recordio.pack, recordio.pack_img = pack, pack_img
