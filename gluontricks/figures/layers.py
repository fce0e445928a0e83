"""A residual network as the layers that a diagram shows, and its stem, blocks and head.

Both are read off the traced graph; nothing here knows a network by name.
"""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from gluontricks.errors import UsageError

# Batch norm and activations follow every convolution; a diagram leaves them out.
LEFT_OUT = ("BatchNorm", "Activation", "relu", "Flatten", "Dropout")
ADDITIONS = ("elemwise_add", "broadcast_add", "_plus", "_Plus")


@dataclass(frozen=True)
class Layer:
    """One layer of a diagram.

    ``kind`` is input, convolution, max pooling, average pooling, dense or addition; ``kernel`` and
    ``stride`` are 0 where it has none; ``channels`` and ``size`` (height, 1 for vectors) are its
    output's. ``inputs`` are places in the list of layers.
    """

    kind: str
    kernel: int
    stride: int
    channels: int
    size: int
    inputs: Tuple[int, ...]

    @property
    def form(self) -> Tuple[Any, ...]:
        """What two layers that do the same share."""
        return (self.kind, self.kernel, self.stride, self.channels, self.size)


@dataclass(frozen=True)
class ResidualBlock:
    """One block: the layers of path A, and those of path B, which are none if it is an identity."""

    main: Tuple[Layer, ...]
    shortcut: Tuple[Layer, ...]
    addition: Layer

    @property
    def form(self) -> Tuple[Any, ...]:
        """What two equal blocks share."""
        return tuple(x.form for x in self.main), tuple(x.form for x in self.shortcut)


@dataclass(frozen=True)
class Residual:
    """A residual network: its stem (without the input), stages of blocks, and the layers after."""

    image: Layer
    stem: Tuple[Layer, ...]
    stages: Tuple[Tuple[ResidualBlock, ...], ...]
    head: Tuple[Layer, ...]


def contract(
    symbol: Mapping[str, Any], shapes: Mapping[int, Sequence[int]], image: Sequence[int]
) -> List[Layer]:
    """Return the layers of a traced graph in order, those of ``LEFT_OUT`` passed over.

    Parameters
    ----------
    symbol : mapping
        MXNet's JSON as a dict, its input called ``data``.
    shapes : mapping
        Place of each operator among the nodes -> shape of its output, without the batch.
    image : (int, int, int)
        Channels, height and width of the input.

    Raises
    ------
    UsageError
        If the graph has an operator that no residual network's diagram shows.
    """
    layers: List[Layer] = []
    place: Dict[int, int] = {}
    parameters = set()
    for index, node in enumerate(symbol["nodes"]):
        sources = [source for source, *_ in node["inputs"]]
        inputs = tuple(place[source] for source in sources if source in place)
        if node["op"] == "null" and node["name"] != "data":
            parameters.add(index)
        elif node["op"] in LEFT_OUT:
            (place[index],) = inputs
        else:
            place[index] = len(layers)
            shape = image if node["op"] == "null" else shapes[index]
            layers.append(_layer(node, inputs, shape, layers))
    return layers


def _layer(
    node: Mapping[str, Any],
    inputs: Tuple[int, ...],
    shape: Sequence[int],
    before: Sequence[Layer],
) -> Layer:
    attrs, op = node["attrs"], node["op"]
    channels, size = shape[0], shape[1] if len(shape) > 1 else 1
    if op == "null":
        return Layer("input", 0, 0, channels, size, inputs)
    if op in ADDITIONS:
        return Layer("addition", 0, 0, channels, size, inputs)
    if op == "FullyConnected":
        return Layer("dense", 0, 0, channels, size, inputs)
    if op == "Convolution":
        kernel, stride = _square(attrs, "kernel"), _square(attrs, "stride", 1)
        return Layer("convolution", kernel, stride, channels, size, inputs)
    if op == "mean":
        return Layer("average pooling", before[inputs[0]].size, 1, channels, size, inputs)
    if op == "Pooling":
        kind = {"max": "max pooling", "avg": "average pooling"}[attrs["pool_type"]]
        whole = attrs.get("global_pool") in ("True", "1")
        kernel = before[inputs[0]].size if whole else _square(attrs, "kernel")
        stride = 1 if whole else _square(attrs, "stride", 1)
        return Layer(kind, kernel, stride, channels, size, inputs)
    raise UsageError(
        f"a network with the operator {op} cannot be drawn", "draw a residual network without it"
    )


def _square(attrs: Mapping[str, str], name: str, default: int = 0) -> int:
    """Return the height of an attribute such as ``(3, 3)``."""
    if name not in attrs:
        return default
    value = ast.literal_eval(attrs[name])
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def residual(layers: Sequence[Layer]) -> Residual:
    """Return the parts of a residual network; a stage is a run of blocks of one output shape."""
    additions = [i for i, layer in enumerate(layers) if layer.kind == "addition"]
    blocks = [_block(layers, index) for index in additions]
    stages: List[List[ResidualBlock]] = []
    for _, block in blocks:
        out = (block.addition.channels, block.addition.size)
        if stages and out == (stages[-1][0].addition.channels, stages[-1][0].addition.size):
            stages[-1].append(block)
        else:
            stages.append([block])
    first = blocks[0][0]
    return Residual(
        image=layers[0],
        stem=tuple(layers[1 : first + 1]),
        stages=tuple(tuple(stage) for stage in stages),
        head=tuple(layers[additions[-1] + 1 :]),
    )


def _block(layers: Sequence[Layer], addition: int) -> Tuple[int, ResidualBlock]:
    """Return where the two paths that meet in an addition part, and the block between."""
    one, other = (_trunk(layers, source) for source in layers[addition].inputs)
    fork = max(set(one) & set(other))
    paths = [tuple(layers[i] for i in reversed(path) if i > fork) for path in (one, other)]
    shortcut, main = sorted(paths, key=_reach)
    return fork, ResidualBlock(main, shortcut, layers[addition])


def _trunk(layers: Sequence[Layer], index: int) -> List[int]:
    """Return ``index`` and what precedes it, along one side of every addition."""
    path = [index]
    while layers[path[-1]].inputs:
        path.append(layers[path[-1]].inputs[0])
    return path


def _reach(path: Sequence[Layer]) -> int:
    """Return how far the convolutions of a path see; a shortcut's see less."""
    return sum(layer.kernel for layer in path if layer.kind == "convolution")


def as_rows(layers: Sequence[Layer]) -> List[Dict[str, Any]]:
    """Return layers as JSON values."""
    return [{**asdict(layer), "inputs": list(layer.inputs)} for layer in layers]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> List[Layer]:
    """Return the layers that :func:`as_rows` wrote."""
    return [Layer(**{**row, "inputs": tuple(row["inputs"])}) for row in rows]
