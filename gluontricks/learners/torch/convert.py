"""A symbol of MXNet as a ``torch.fx.GraphModule`` that computes the same."""

from __future__ import annotations

import operator
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

import torch
from torch import fx
from torch.fx.proxy import GraphAppendingTracer
from torch.nn import functional

from gluontricks.errors import IntegrityError, UsageError, nearest
from gluontricks.graphs import Graph
from gluontricks.learners.torch.attributes import Attributes, float32
from gluontricks.learners.torch.operators import DROPOUT, OPERATORS, dropout

BATCH_NORM = "BatchNorm"
# Their output is needed by none of their own gradients, so that a ReLU may overwrite it.
OVERWRITABLE = (functional.batch_norm, operator.add, functional.linear, functional.conv2d)


class Norm(NamedTuple):
    """A batch norm of a training graph: where its batch's statistics appear, and where they go.

    Attributes
    ----------
    mean, variance : str
        Paths of the running statistics.
    momentum : float
        What they keep of themselves at each update.
    batch_mean, batch_variance : Tensor
        Of the last batch; the variance is the unbiased one.
    """

    mean: str
    variance: str
    momentum: float
    batch_mean: torch.Tensor
    batch_variance: torch.Tensor


class Converted(NamedTuple):
    """A module, and its batch norms in training, by the name of their node."""

    module: fx.GraphModule
    norms: Dict[str, Norm]


def convert(graph: Graph, values: Mapping[str, torch.Tensor], *, training: bool) -> Converted:
    """Return the module of a graph, sharing the tensors of ``values``.

    Parameters
    ----------
    graph : Graph
        Its variables are inputs or keys of ``values``.
    values : mapping of str to Tensor
        Parameters, running statistics and constants by path.
    training : bool
        Batch norm with the batch's own statistics, and dropout that drops; otherwise running
        statistics, and none.

    Raises
    ------
    UsageError
        For an operator that this engine does not know; it and its node are named.
    IntegrityError
        If the graph is damaged.
    """
    try:
        return Conversion(graph, values, training).converted()
    except (LookupError, TypeError, ValueError, AttributeError, SyntaxError) as error:
        if isinstance(error, UsageError):
            raise
        raise IntegrityError(
            f"the graph is damaged ({type(error).__name__}: {error})",
            "trace it again: 'gluontricks prepare', or 'gluontricks export'",
        ) from error


class Conversion:
    """The state of one conversion; see :func:`convert`."""

    def __init__(self, graph: Graph, values: Mapping[str, torch.Tensor], training: bool) -> None:
        self.source, self.training = graph, training
        self.values: Dict[str, torch.Tensor] = dict(values)
        self.graph = fx.Graph()
        self.tracer = GraphAppendingTracer(self.graph)
        self.norms: Dict[str, Norm] = {}

    def converted(self) -> Converted:
        """Return the module, built node by node."""
        symbol = self.source.symbol
        nodes: Sequence[Mapping[str, Any]] = symbol["nodes"]
        # Placeholders come in the order of the inputs, whatever their place in the symbol.
        places = {name: self.proxy(self.graph.placeholder(name)) for name in self.source.inputs}
        outputs: List[Any] = []
        for node in nodes:
            if node["op"] == "null":
                name = node["name"]
                outputs.append(places[name] if name in places else self.variable(name))
                continue
            inputs = [output_of(outputs, *entry) for entry in node["inputs"]]
            outputs.append(self.operator(node, inputs))
        head, *more = [output_of(outputs, *entry).node for entry in symbol["heads"]]
        self.graph.output((head, *more) if more else head)
        self.graph.eliminate_dead_code()
        overwrite(self.graph)
        used = {n.target for n in self.graph.nodes if n.op == "get_attr"}
        root = {name: value for name, value in self.values.items() if name in used}
        module = fx.GraphModule(root, self.graph)
        return Converted(module, self.norms)

    def proxy(self, node: fx.Node) -> Any:
        """Return the proxy of a node."""
        return fx.Proxy(node, self.tracer)

    def variable(self, name: str) -> Any:
        """Return a parameter or a constant."""
        if name not in self.values:
            raise IntegrityError(
                f"the graph has a variable '{name}' that is no parameter",
                "it is of another network: trace it again",
            )
        return self.proxy(self.graph.get_attr(name))

    def operator(self, node: Mapping[str, Any], inputs: List[Any]) -> Any:
        """Return the output of one operator."""
        name, kind = node["name"], node["op"]
        attributes = Attributes(kind, name, node.get("attrs") or {})
        if kind == BATCH_NORM:
            output = self.batch_norm(attributes, inputs)
        elif kind == DROPOUT:
            output = dropout(attributes, *inputs, training=self.training)
        elif kind in OPERATORS:
            output = OPERATORS[kind](attributes, *inputs)
        else:
            known = nearest(kind, [*OPERATORS, BATCH_NORM, DROPOUT])
            raise UsageError(
                f"the PyTorch engine does not know the operator '{kind}' (node '{name}')",
                f"use --engine mxnet, or add it to learners/torch/operators.py; {known}",
            )
        attributes.finish()
        return output

    def batch_norm(self, a: Attributes, inputs: List[Any]) -> Any:
        """Return the normalised batch (MXNet's ``BatchNorm``)."""
        x, gamma, beta, mean, variance = inputs
        eps, momentum = a.number("eps", float32(1e-3)), float32(a.number("momentum", 0.9))
        a.require("axis", "1", "1")
        if a.flag("fix_gamma", True):
            gamma = torch.ones_like(gamma)
        if a.flag("use_global_stats", False) or not self.training:
            return functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
        # With momentum 1 the statistics that PyTorch keeps are the batch's own.
        scratch = []
        for statistic in (mean, variance):
            path = str(statistic.node.target)
            name = f"batch.{a.node}.{path.rsplit('.', 1)[-1]}"
            self.values[name] = torch.zeros_like(self.values[path])
            scratch.append(name)
        self.norms[a.node] = Norm(
            str(mean.node.target),
            str(variance.node.target),
            momentum,
            *(self.values[name] for name in scratch),
        )
        own_mean, own_variance = (self.proxy(self.graph.get_attr(name)) for name in scratch)
        return functional.batch_norm(x, own_mean, own_variance, gamma, beta, True, 1.0, eps)


def output_of(outputs: Sequence[Any], index: int, port: int, *_: Any) -> Any:
    """Return one output of an earlier node, which may have several."""
    if index < 0 or port < 0:
        raise IndexError(f"there is no output {port} of node {index}")
    value = outputs[index]
    return (value if isinstance(value, list) else [value])[port]


def overwrite(graph: fx.Graph) -> None:
    """Let every ReLU that alone uses a value compute in its place: less memory to pass through."""
    for node in graph.nodes:
        if node.op == "call_function" and node.target is functional.relu:
            source = node.args[0]
            if source.target in OVERWRITABLE and len(source.users) == 1:
                node.kwargs = {**node.kwargs, "inplace": True}
