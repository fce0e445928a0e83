"""Networks, losses and whole runs as graphs, traced by MXNet from the Gluon blocks."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluontricks.graphs import Graph, Parameter, RunGraphs, TracedNetwork
from gluontricks.learners import LearnerSpec, TeacherSpec
from gluontricks.losses import DistillationLoss, SoftCrossEntropy
from gluontricks.models import get_model, input_size
from gluontricks.models.layers import without_dropout
from gluontricks.models.weights import parameter_paths, starts_at_zero
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import Statistics
from gluontricks.summary import summarize

DATA = "data"
BESIDE = ("targets", "teacher_logits")
SUMMARY = ("params", "running", "macs", "activations", "largest")


class TrainingGraph(mx.gluon.HybridBlock):
    """Network and loss in one graph: (images, targets[, teacher's logits]) -> losses (N,).

    Whatever the network computes in, the loss is computed in ``precision``.
    """

    def __init__(self, net: Any, loss: Any, precision: str = "float32") -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        self.precision = precision

    def hybrid_forward(self, F: Any, images: Any, *targets: Any) -> Any:
        """Return the loss of each image."""
        return self.loss(F.cast(self.net(images), self.precision), *targets)


class Inference(mx.gluon.HybridBlock):
    """uint8 images (N, H, W, 3) to probabilities (N, classes).

    Parameters
    ----------
    net : HybridBlock
        Normalised float32 images (N, 3, H, W) to logits.
    normalization : (mean, std)
        Of pixel values in [0, 1].
    """

    def __init__(self, net: Any, normalization: Statistics) -> None:
        super().__init__()
        mean, std = (np.asarray(v, dtype=np.float64) for v in normalization)
        self.scale = self.params.get_constant(
            "scale", (1 / (255 * std)).astype(np.float32).reshape(1, 1, 1, 3)
        )
        self.shift = self.params.get_constant(
            "shift", (-mean / std).astype(np.float32).reshape(1, 1, 1, 3)
        )
        self.net = net

    def hybrid_forward(self, F: Any, images: Any, scale: Any, shift: Any) -> Any:
        """Return the probabilities."""
        pixels = F.broadcast_add(F.broadcast_mul(F.cast(images, "float32"), scale), shift)
        return F.softmax(self.net(F.transpose(pixels, axes=(0, 3, 1, 2))), axis=-1)


def loss_precision(dtype: str) -> str:
    """Return the precision of the loss where the network computes in ``dtype``."""
    return "float64" if dtype == "float64" else "float32"


def make_loss(teacher: Optional[TeacherSpec]) -> Any:
    """Return the loss block: cross-entropy, or distillation where there is a teacher."""
    if teacher is None:
        return SoftCrossEntropy()
    return DistillationLoss(
        temperature=teacher.temperature, hard_weight=teacher.hard_weight, form=teacher.form
    )


def trace_run(spec: LearnerSpec) -> RunGraphs:
    """Return the graphs of all that a learner executes."""
    net = get_model(spec.model, classes=spec.classes, last_gamma=spec.last_gamma)
    if not spec.dropout:
        without_dropout(net)
    inference, constants = trace_inference(net, (spec.pipeline.mean, spec.pipeline.std))
    training = TrainingGraph(net, make_loss(spec.teacher), loss_precision(spec.dtype))
    beside = BESIDE[: 2 if spec.teacher else 1]
    teacher = spec.teacher and trace_network(
        get_model(spec.teacher.model, classes=spec.teacher.classes),
        spec.teacher.model,
        spec.teacher.classes,
        spec.image_size,
    )
    return RunGraphs(
        network=trace_network(net, spec.model, spec.classes, spec.image_size),
        training=trace(training, net, (DATA, *beside)),
        inference=inference,
        constants=constants,
        teacher=teacher,
    )


def trace_model(model: str, *, classes: int) -> TracedNetwork:
    """Return the graph of a network by name, its summary that of images of its own size."""
    return trace_network(get_model(model, classes=classes), model, classes, input_size(model))


def trace_preprocessed(
    model: str, classes: int, normalization: Statistics
) -> Tuple[Graph, Tuple[Parameter, ...]]:
    """Return the graph of a network by name from uint8 images, and its constants."""
    return trace_inference(get_model(model, classes=classes), normalization)


def trace_network(net: Any, model: str, classes: int, size: int) -> TracedNetwork:
    """Return the graph of a network with the table of its parameters, and its cost at ``size``."""
    summary = summarize(net, (3, size, size))
    return TracedNetwork(
        model=model,
        classes=classes,
        graph=trace(net, net, (DATA,)),
        parameters=tuple(
            row_of(path, parameter, net.prefix) for path, parameter in parameter_paths(net).items()
        ),
        summary={key: int(summary[key]) for key in SUMMARY},
    )


def trace(block: Any, net: Any, inputs: Sequence[str]) -> Graph:
    """Return the graph of ``block``, in which the parameters of ``net`` have their paths.

    Other names lose the prefixes that MXNet counts up, so that equal networks have equal graphs.
    """
    symbol = json.loads(block(*[mx.sym.var(name) for name in inputs]).tojson())
    paths = {p.name: path for path, p in parameter_paths(net).items()}
    children = [child.prefix for child in block._children.values()]
    prefixes = (net.prefix, block.prefix, *children)
    return Graph(renamed(symbol, paths, prefixes), tuple(inputs))


def renamed(symbol: Dict[str, Any], paths: Dict[str, str], prefixes: Tuple[str, ...]) -> Any:
    """Return a symbol with every node's name as it is to be."""
    nodes: List[Dict[str, Any]] = []
    taken = set()
    for node in symbol["nodes"]:
        name = paths.get(node["name"]) or without_prefix(node["name"], prefixes)
        if name in taken:
            name = f"{name}_{len(nodes)}"
        taken.add(name)
        attrs = {k: v for k, v in node.get("attrs", {}).items() if not k.startswith("__")}
        nodes.append({"op": node["op"], "name": name, "inputs": node["inputs"], "attrs": attrs})
    return {**symbol, "nodes": nodes}


def without_prefix(name: str, prefixes: Tuple[str, ...]) -> str:
    """Return a node's name without the first of ``prefixes`` that it has."""
    return next((name[len(p) :] for p in prefixes if p and name.startswith(p)), name)


def row_of(path: str, parameter: Any, prefix: str) -> Parameter:
    """Return one row of the table of parameters."""
    value, init = None, "drawn"
    if isinstance(parameter, mx.gluon.Constant):
        value, init = parameter.value.asnumpy().tolist(), "constant"
    elif starts_at_zero(parameter) or path.endswith((".beta", ".bias", ".running_mean")):
        init = "zeros"
    elif path.endswith((".gamma", ".running_var")):
        init = "ones"
    return Parameter(
        path=path,
        name=without_prefix(parameter.name, (prefix,)),
        shape=tuple(int(n) for n in parameter.shape),
        init=init,
        trainable=parameter.grad_req != "null",
        value=value,
    )


def trace_inference(net: Any, normalization: Statistics) -> Tuple[Graph, Tuple[Parameter, ...]]:
    """Return the graph from uint8 images to probabilities, and its constants."""
    block = Inference(net, normalization)
    rows = [row_of(short, getattr(block, short), block.prefix) for short in ("scale", "shift")]
    return trace(block, net, (DATA,)), tuple(row._replace(path=row.name) for row in rows)
