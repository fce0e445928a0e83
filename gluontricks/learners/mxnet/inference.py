"""Prediction outside training on MXNet, and what an export is made of."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Tuple

import numpy as np

from gluontricks.learners import Exportable, NetworkSpec
from gluontricks.learners.mxnet.graphs import STATIC, context_of
from gluontricks.models import get_model
from gluontricks.models.weights import load_parameters
from gluontricks.mxnet_shim import mx
from gluontricks.params_file import dump_params
from gluontricks.pipeline import Statistics
from gluontricks.tracing import Inference


def load_network(spec: NetworkSpec) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from normalised float32 images (N, 3, H, W) to logits."""
    device = context_of(spec.device)
    net = get_model(spec.model, classes=spec.classes)
    load_parameters(net, spec.parameters, name=spec.name, ctx=device)
    net.hybridize(**STATIC)
    return lambda images: net(mx.nd.array(images, ctx=device)).asnumpy()


def load_export(
    symbol: Path, params: Path, device: str = "cpu"
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of an exported model, from uint8 images (N, H, W, 3)."""
    context = context_of(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        block = mx.gluon.SymbolBlock.imports(str(symbol), ["data"], str(params), ctx=context)
    return lambda images: block(mx.nd.array(images, dtype="uint8", ctx=context)).asnumpy()


def exportable(spec: NetworkSpec, normalization: Statistics, images: np.ndarray) -> Exportable:
    """Return the files of an export, and what it must predict for uint8 images (N, H, W, 3)."""
    net = get_model(spec.model, classes=spec.classes)
    load_parameters(net, spec.parameters, name=spec.name)
    block = Inference(net, normalization)
    for constant in (block.scale, block.shift):
        constant.initialize(ctx=mx.cpu())
    data = mx.nd.array(images, dtype="uint8")
    imperative = block(data).asnumpy()
    block.hybridize(**STATIC)
    hybrid = block(data).asnumpy()
    return Exportable(*symbol_and_params(block), imperative, {"hybrid": hybrid})


def symbol_and_params(block: Any) -> Tuple[str, bytes]:
    """Return the contents of the two files that ``block.export`` would write.

    MXNet's own writing ends in half a file on a full disk, with or without an error.
    """
    symbol = block(mx.sym.var("data"))
    statistics = set(symbol.list_auxiliary_states())
    arrays = {
        f"{'aux' if name in statistics else 'arg'}:{name}": parameter.data().asnumpy()
        for name, parameter in block.collect_params().items()
    }
    return symbol.tojson(), dump_params(arrays)
