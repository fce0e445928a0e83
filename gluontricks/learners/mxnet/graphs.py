"""The graphs a learner executes: the network in its precision, with its loss, and a teacher."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any, Dict, Mapping

import numpy as np

from gluontricks.errors import UsageError
from gluontricks.learners import LearnerSpec
from gluontricks.models import get_model
from gluontricks.models.weights import load_parameters, parameter_paths
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import in_batches, renormalisation
from gluontricks.tracing import loss_precision

# Images of a teacher's forward pass at a time: what fits beside a student in 3 GB.
TEACHER_CHUNK = 16
PREDICTED_AT_ONCE = 256
STATIC = {"static_alloc": True, "static_shape": True}


def context_of(device: str) -> Any:
    """Return MXNet's context of a device: ``cpu``, or ``cuda[:N]`` where it has such a GPU.

    Raises
    ------
    UsageError
        If it has not.
    """
    kind, _, number = device.partition(":")
    if device == "cpu":
        return mx.cpu()
    if kind != "cuda" or not (number or "0").isdigit():
        raise UsageError(f"unknown device '{device}'", "give cpu, cuda or cuda:N")
    if int(number or 0) >= mx.context.num_gpus():
        raise UsageError(
            f"MXNet finds {mx.context.num_gpus()} GPUs here, and --device is {device}",
            "'gluontricks doctor' tells why; use --device cpu",
        )
    return mx.gpu(int(number or 0))


def in_precision(net: Any, dtype: str, device: Any) -> Any:
    """Return a block that computes ``net`` in ``dtype`` and shares its float32 parameters.

    float64, for comparisons of engines, converts the parameters themselves.

    One graph is traced and converted: ``amp.init`` would change every later network for good.

    Raises
    ------
    UsageError
        For float16 on a CPU, for which MXNet has no float16 matrix product.
    """
    if dtype == "float32":
        return net
    if dtype == "float64":
        net.cast(dtype)
        return net
    if dtype == "float16" and device == mx.cpu():
        raise UsageError(
            "--dtype float16 needs a GPU: MXNet has no float16 matrix product on a CPU",
            "use --dtype bfloat16 or float32, or --device cuda",
        )
    from mxnet.contrib import amp

    data = mx.sym.var("data")
    symbol = amp.convert_symbol(net(data), target_dtype=dtype, data_names=["data"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mx.gluon.SymbolBlock(symbol, data, params=net.collect_params())


def draws_numbers(net: Any) -> bool:
    """Return whether a network's graph has operators that draw random numbers, such as dropout."""
    nodes = json.loads(net(mx.sym.var("data")).tojson())["nodes"]
    return any(re.search("dropout|random|sample|shuffle", node["op"].lower()) for node in nodes)


class Teacher:
    """A trained network that only predicts: outside the recording, in chunks of the batch.

    Parameters
    ----------
    spec : LearnerSpec
        With a teacher.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        teacher = spec.teacher
        assert teacher is not None
        net = get_model(teacher.model, classes=teacher.classes)
        device = context_of(spec.device)
        # Before the parameters are there: gradients would double their memory.
        net.collect_params().setattr("grad_req", "null")
        load_parameters(net, teacher.parameters, name=teacher.source, ctx=device)
        self.chunk = min(TEACHER_CHUNK, spec.batch_size)
        self.precision = loss_precision(spec.dtype)
        self.net = in_precision(net, spec.dtype, device)
        self.net.hybridize(**STATIC)
        student = (spec.pipeline.mean, spec.pipeline.std)
        change = renormalisation(student, teacher.normalization)
        self.change = change and tuple(
            mx.nd.array(np.reshape(v, (1, 3, 1, 1)), ctx=device, dtype=self.precision)
            for v in change
        )

    def logits(self, inputs: Any) -> Any:
        """Return the logits (N, classes) of the student's inputs (N, 3, H, W)."""
        if self.change:
            inputs = inputs * self.change[0] + self.change[1]
        count = inputs.shape[0]
        return mx.nd.concat(
            *[self.piece(inputs, start, count) for start in range(0, count, self.chunk)], dim=0
        )

    def piece(self, inputs: Any, start: int, count: int) -> Any:
        """Return the logits of one chunk; a short last one is filled up to keep the shape."""
        part = inputs[start : start + self.chunk]
        missing = start + self.chunk - count
        if missing > 0:
            part = mx.nd.concat(part, inputs[:missing], dim=0)
        return self.net(part).astype(self.precision)[: min(self.chunk, count - start)]


class Predictor:
    """The network in float32 for evaluation, with a copy of the parameters that are trained.

    A copy, since predicting makes oneDNN rearrange weights in place, unordered with the next
    update: a run that was evaluated would end with other bits than one that was not.

    Parameters
    ----------
    spec : LearnerSpec
    device : Context
    """

    def __init__(self, spec: LearnerSpec, device: Any) -> None:
        self.spec, self.device = spec, device
        self.size = min(spec.batch_size, PREDICTED_AT_ONCE)
        self.net = get_model(spec.model, classes=spec.classes)
        self.precision = loss_precision(spec.dtype)
        self.net.cast(self.precision)
        self.net.initialize(mx.init.Zero(), ctx=device)
        self.net.hybridize(**STATIC)

    def logits(self, images: np.ndarray, trained: Mapping[str, Any]) -> np.ndarray:
        """Return the logits (N, classes) of uint8 images (N, H, W, 3) with ``trained``."""
        for path, parameter in parameter_paths(self.net).items():
            parameter.set_data(trained[path].data())
        return in_batches(self.batch, images, self.size)

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of one full batch."""
        pixels = self.spec.pipeline.plain(images)
        inputs = mx.nd.array(pixels, ctx=self.device, dtype=self.precision)
        return self.net(inputs).asnumpy()


def trainable(paths: Dict[str, Any]) -> Dict[str, Any]:
    """Return the parameters that have a gradient."""
    return {path: p for path, p in paths.items() if p.grad_req != "null"}
