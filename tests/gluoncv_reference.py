"""The only place that imports GluonCV: what tests compare this package with."""

import importlib
import sys
import types
import warnings

import pytest


def _refuse(*_):
    raise ImportError("GluonCV's parts that need PyTorch are not used here")


def _check_module():
    """Return a stand-in for GluonCV's version checks, which refuse every torch from 2.0 on."""
    module = types.ModuleType("gluoncv.check")
    module._deprecate_python2 = lambda: None
    module._require_mxnet_version = lambda *_: None
    module._require_pytorch_version = _refuse
    return module


def gluoncv(module="gluoncv"):
    """Return GluonCV, or one of its modules; skip the test where it is not installed."""
    from gluontricks import mxnet_shim  # noqa: F401  prepares NumPy and MXNet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.modules.setdefault("gluoncv.check", _check_module())
        try:
            return importlib.import_module(module)
        except ImportError as error:
            return pytest.skip(f"GluonCV is not installed: {error}")


def zoo_network(name, **options):
    """Return a network of GluonCV's zoo, without weights."""
    return gluoncv("gluoncv.model_zoo").get_model(name, pretrained=False, **options)
