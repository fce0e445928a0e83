"""The graphs a learner executes: the network in its precision, with its loss, and a teacher."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any, Dict, List, Mapping

import numpy as np

from gluontricks import machine
from gluontricks.cuda_libraries import without_code
from gluontricks.errors import UsageError
from gluontricks.learners import LearnerSpec, check_shards
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
    """Return MXNet's context of a device: ``cpu[:N]``, or ``cuda[:N]`` where it has such a GPU.

    On a CPU a number names a queue of its own, as if there were several devices.

    Raises
    ------
    UsageError
        If it has not.
    """
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit():
        raise UsageError(f"unknown device '{device}'", "give cpu, cuda or cuda:N")
    if kind == "cpu":
        return mx.cpu(int(number or 0))
    reason = gpu_trouble()
    if int(number or 0) >= gpu_count() or reason:
        raise UsageError(
            f"MXNet finds {gpu_count()} GPUs here, and --device is {device}{reason}",
            "use --engine torch" if reason else "'gluontricks doctor' tells why; use --device cpu",
        )
    return mx.gpu(int(number or 0))


def gpu_count() -> int:
    """Return the number of GPUs that MXNet finds."""
    return int(mx.context.num_gpus())


def gpu_trouble() -> str:
    """Return why MXNet cannot use the GPUs of this machine, to be added to an error, if so."""
    return without_code(machine.gpus())


def devices_of(spec: LearnerSpec) -> List[Any]:
    """Return MXNet's contexts of the devices of a learner, over which its shards are spread.

    Raises
    ------
    UsageError
        If there is no such device, one is named twice, or they cannot share the batch.
    """
    names = spec.device.split(",")
    devices = [context_of(name) for name in names]
    if len(set(devices)) < len(devices):
        raise UsageError(f"--device {spec.device} names a device twice", "name each once")
    check_shards(spec, len(devices), "devices")
    return devices


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
    if dtype == "float16" and device.device_type == "cpu":
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
        With a teacher, which every one of its devices has.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        teacher = spec.teacher
        assert teacher is not None
        net = get_model(teacher.model, classes=teacher.classes)
        devices = devices_of(spec)
        # Before the parameters are there: gradients would double their memory.
        net.collect_params().setattr("grad_req", "null")
        load_parameters(net, teacher.parameters, name=teacher.source, ctx=devices)
        self.chunk = min(TEACHER_CHUNK, spec.batch_size // spec.shards)
        self.precision = loss_precision(spec.dtype)
        self.net = in_precision(net, spec.dtype, devices[0])
        self.net.hybridize(**STATIC)
        student = (spec.pipeline.mean, spec.pipeline.std)
        change = renormalisation(student, teacher.normalization)
        self.change = change and {device: self.constants(change, device) for device in devices}

    def constants(self, values: Any, device: Any) -> List[Any]:
        """Return numbers per channel as arrays of a device."""
        return [
            mx.nd.array(np.reshape(v, (1, 3, 1, 1)), ctx=device, dtype=self.precision)
            for v in values
        ]

    def logits(self, inputs: Any) -> Any:
        """Return the logits (N, classes) of the student's inputs (N, 3, H, W)."""
        if self.change:
            scale, shift = self.change[inputs.context]
            inputs = inputs * scale + shift
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

    def logits(self, images: np.ndarray, values: Mapping[str, Any]) -> np.ndarray:
        """Return the logits (N, classes) of uint8 images (N, H, W, 3) with the arrays of paths."""
        for path, parameter in parameter_paths(self.net).items():
            parameter.set_data(values[path])
        return in_batches(self.batch, images, self.size)

    def batch(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of one full batch."""
        pixels = self.spec.pipeline.plain(images)
        inputs = mx.nd.array(pixels, ctx=self.device, dtype=self.precision)
        return self.net(inputs).asnumpy()


def trainable(paths: Dict[str, Any]) -> Dict[str, Any]:
    """Return the parameters that have a gradient."""
    return {path: p for path, p in paths.items() if p.grad_req != "null"}
