"""What a network costs: parameters, multiply-adds, activations and memory."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np

from gluontricks.errors import UsageError
from gluontricks.mxnet_shim import mx

INPUT = "data"
# MXNet and NumPy themselves, loaded, with one small network.
PROCESS_BYTES = 290 << 20
# Multiply-adds per element: of the output from (weight's size / outputs), or, where a layer goes
# from small to large, of the input.
_PER_OUTPUT = ("Convolution", "FullyConnected")
_PER_INPUT = ("Deconvolution",)


def summarize(net: mx.gluon.HybridBlock, input_shape: Sequence[int]) -> Dict[str, Any]:
    """Return the size and the cost of a network, read off its traced graph.

    Parameters
    ----------
    net : HybridBlock
        Any one with a single input; it need not be initialised, nor know its parameters' shapes.
    input_shape : sequence of int
        Shape of one image, such as (3, 32, 32).

    Returns
    -------
    dict
        ``params``: elements of all parameters but running statistics. ``running``: elements of
        those. ``macs``: multiply-adds of convolutions and fully connected layers for one image
        (biases not counted), which papers also call FLOPs. ``activations``: elements of all
        operators' outputs for one image. ``largest``: the most of them that one operator gives.
        ``layers``: one dict per operator, in order, with ``name``, ``operator``,
        ``output_shape`` (without the batch), ``params``, ``macs`` and ``activations``.

    Raises
    ------
    UsageError
        If the network does not take such an input.
    """
    graph = net(mx.sym.var(INPUT))
    if isinstance(graph, (list, tuple)):
        graph = mx.sym.Group(graph)
    internals = graph.get_internals()
    nodes, heads = _nodes(internals)
    shapes = _shapes(internals, heads, tuple(input_shape))
    arguments = set(graph.list_arguments()) - {INPUT}
    statistics = set(graph.list_auxiliary_states())
    layers = _layers(nodes, shapes, arguments)
    variables = [i for i, node in enumerate(nodes) if node["op"] == "null"]
    return {
        "params": sum(_size(shapes[i][0]) for i in variables if nodes[i]["name"] in arguments),
        "running": sum(_size(shapes[i][0]) for i in variables if nodes[i]["name"] in statistics),
        "macs": sum(layer["macs"] for layer in layers),
        "activations": sum(layer["activations"] for layer in layers),
        "largest": max((layer["activations"] for layer in layers), default=0),
        "layers": layers,
    }


def estimate_memory(summary: Mapping[str, Any], *, batch_size: int, training: bool) -> int:
    """Return the bytes of memory that a process needs to run a network on a CPU.

    A model with constants measured on CIFAR networks from 0.3 to 68 million parameters, whose peak
    it meets within a tenth: the process itself, the parameters (with gradients, momentum and
    oneDNN's copies of weights), the outputs that backward needs, and a few of the largest outputs
    in use at one time. A data set in memory and the framework of a second network come on top.

    Parameters
    ----------
    summary : mapping
        What :func:`summarize` returns.
    batch_size : int
        Images that pass through the network at once.
    training : bool
        With backward and update, or the forward pass alone.
    """
    return (
        PROCESS_BYTES
        + _parameter_bytes(summary, training)
        + batch_size * image_bytes(summary, training=training)
    )


def fitting_batch(summary: Mapping[str, Any], *, memory: int, training: bool) -> int:
    """Return the largest batch whose estimate is at most ``memory`` bytes; 0 if there is none."""
    free = memory - PROCESS_BYTES - _parameter_bytes(summary, training)
    return max(0, free // image_bytes(summary, training=training))


def image_bytes(summary: Mapping[str, Any], *, training: bool) -> int:
    """Return the estimated bytes of memory that every further image of a batch needs."""
    kept, live = (0.6, 5.0) if training else (0.0, 4.0)
    return int(4 * (kept * summary["activations"] + live * summary["largest"])) + 1


def _parameter_bytes(summary: Mapping[str, Any], training: bool) -> int:
    return 4 * (4 if training else 2) * summary["params"]


def _layers(
    nodes: Sequence[Mapping[str, Any]],
    shapes: Mapping[int, Sequence[Tuple[int, ...]]],
    arguments: Set[str],
) -> List[Dict[str, Any]]:
    """Return one row per operator; a shared parameter counts where it is used first."""
    layers: List[Dict[str, Any]] = []
    counted: Set[int] = set()
    for index, node in enumerate(nodes):
        if node["op"] == "null":
            continue
        sources = [source for source, *_ in node["inputs"]]
        own = [s for s in sources if nodes[s]["name"] in arguments and s not in counted]
        counted.update(own)
        layers.append(
            {
                "name": node["name"],
                "operator": node["op"],
                "output_shape": list(shapes[index][0][1:]),
                "params": sum(_size(shapes[s][0]) for s in own),
                "macs": _macs(node["op"], shapes[index][0], [shapes[s][0] for s in sources]),
                "activations": sum(_size(shape) for shape in shapes[index]),
            }
        )
    return layers


def _nodes(internals: Any) -> Tuple[List[Mapping[str, Any]], List[int]]:
    """Return the graph's nodes, and for each of its visible outputs the node it comes from."""
    graph = json.loads(internals.tojson())
    return graph["nodes"], [head[0] for head in graph["heads"]]


def _shapes(
    internals: Any, heads: Sequence[int], image: Tuple[int, ...]
) -> Dict[int, List[Tuple[int, ...]]]:
    """Return node -> shapes of its visible outputs, for a batch of one image."""
    try:
        # Before its error MXNet prints the arguments, which are no part of a document.
        with redirect_stdout(io.StringIO()):
            _, outputs, _ = internals.infer_shape(**{INPUT: (1, *image)})
    except mx.base.MXNetError as error:
        raise UsageError(
            f"the network does not take images of shape {image}",
            "give the size it is made for, such as 32, 224 or 299",
        ) from error
    shapes: Dict[int, List[Tuple[int, ...]]] = {}
    for node, shape in zip(heads, outputs):
        shapes.setdefault(node, []).append(tuple(shape))
    return shapes


def _macs(operator: str, output: Tuple[int, ...], inputs: Sequence[Tuple[int, ...]]) -> int:
    """Return the multiply-adds of one operator; its second input is the weight."""
    if operator in _PER_OUTPUT:
        return _size(output) * _size(inputs[1][1:])
    if operator in _PER_INPUT:
        return _size(inputs[0]) * _size(inputs[1][1:])
    return 0


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))
