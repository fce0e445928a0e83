"""Traced networks as data: all that executes one where MXNet is not installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from gluontricks.errors import IntegrityError, UsageError
from gluontricks.files import sha256_bytes, write_atomic

SCHEMA = "gluontricks.graphs/1"
FILE = "graphs.json"


class Parameter(NamedTuple):
    """One row of a network's table of parameters.

    Attributes
    ----------
    path : str
        Attribute path such as ``features.0.weight``; its last part is the role.
    name : str
        Name in an exported file, without the network's prefix.
    shape : tuple of int
    init : {'drawn', 'zeros', 'ones', 'constant'}
        How it starts; ``drawn`` is the run's own rule.
    trainable : bool
    value : nested list of float, optional
        Of a constant.
    """

    path: str
    name: str
    shape: Tuple[int, ...]
    init: str
    trainable: bool
    value: Any = None


class Graph(NamedTuple):
    """A symbol: MXNet's JSON as a dict, whose variables are named by their paths, and its inputs.

    The first input is the images.
    """

    symbol: Dict[str, Any]
    inputs: Tuple[str, ...]


@dataclass(frozen=True)
class TracedNetwork:
    """A network: images (N, 3, H, W), normalised, to logits (N, classes).

    Attributes
    ----------
    model : str
    classes : int
    graph : Graph
    parameters : tuple of Parameter
        In the network's order.
    summary : dict
        ``params``, ``macs``, ``activations`` and ``largest`` as in
        :func:`gluontricks.summary.summarize`, for images of the size that the run has.
    """

    model: str
    classes: int
    graph: Graph
    parameters: Tuple[Parameter, ...]
    summary: Dict[str, int]


@dataclass(frozen=True)
class RunGraphs:
    """Everything a run executes.

    Attributes
    ----------
    network : TracedNetwork
    training : Graph
        (images, targets[, teacher's logits]) to losses (N,).
    inference : Graph
        uint8 images (N, H, W, 3) to probabilities, with the constants ``constants``.
    constants : tuple of Parameter
    teacher : TracedNetwork, optional
    """

    network: TracedNetwork
    training: Graph
    inference: Graph
    constants: Tuple[Parameter, ...]
    teacher: Optional[TracedNetwork] = None


def write_graphs(folder: Path, graphs: RunGraphs) -> str:
    """Write ``graphs.json`` into ``folder``; return the hash of its content."""
    content = {
        "network": network_dict(graphs.network),
        "training": graphs.training._asdict(),
        "inference": graphs.inference._asdict(),
        "constants": [p._asdict() for p in graphs.constants],
        "teacher": graphs.teacher and network_dict(graphs.teacher),
    }
    digest = content_hash(content)
    document = {"schema": SCHEMA, "sha256": digest, "content": content}
    write_atomic(folder / FILE, json.dumps(document) + "\n")
    return digest


def network_dict(network: TracedNetwork) -> Dict[str, Any]:
    """Return a network as plain JSON values."""
    return {
        "model": network.model,
        "classes": network.classes,
        "graph": network.graph._asdict(),
        "parameters": [p._asdict() for p in network.parameters],
        "summary": network.summary,
    }


def content_hash(content: Any) -> str:
    """Return the SHA-256 of JSON values, written in one way."""
    return sha256_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def read_graphs(folder: Path) -> Optional[RunGraphs]:
    """Return the graphs of a prepared run's directory, None where there are none.

    Raises
    ------
    IntegrityError
        If they are damaged, or of another version.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    try:
        document = json.loads(text)
        schema = document["schema"]
        whole = content_hash(document["content"]) == document["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path) from error
    if schema != SCHEMA:
        raise IntegrityError(
            f"'{path}' was made by another version ({schema}, not {SCHEMA})",
            "use that version, or 'gluontricks prepare' the run again",
        )
    if not whole:
        raise damaged(path)
    return parse_graphs(document["content"])


def damaged(path: Path) -> IntegrityError:
    """Return the error for a file that is not what was written."""
    return IntegrityError(
        f"'{path}' is damaged", "copy it again, or 'gluontricks prepare' the run again"
    )


def parse_graphs(content: Mapping[str, Any]) -> RunGraphs:
    """Return what :func:`write_graphs` wrote."""
    return RunGraphs(
        network=parse_network(content["network"]),
        training=parse_graph(content["training"]),
        inference=parse_graph(content["inference"]),
        constants=parse_parameters(content["constants"]),
        teacher=parse_network(content["teacher"]) if content["teacher"] else None,
    )


def parse_network(content: Mapping[str, Any]) -> TracedNetwork:
    """Return what :func:`network_dict` gave."""
    return TracedNetwork(
        model=content["model"],
        classes=content["classes"],
        graph=parse_graph(content["graph"]),
        parameters=parse_parameters(content["parameters"]),
        summary=dict(content["summary"]),
    )


def parse_graph(content: Mapping[str, Any]) -> Graph:
    """Return a graph from its fields."""
    return Graph(dict(content["symbol"]), tuple(content["inputs"]))


def parse_parameters(rows: List[Mapping[str, Any]]) -> Tuple[Parameter, ...]:
    """Return a table of parameters from its rows."""
    return tuple(Parameter(**{**row, "shape": tuple(row["shape"])}) for row in rows)


def check_network(graphs: RunGraphs, model: str, classes: int) -> None:
    """Raise UsageError unless the graphs are those of this network."""
    found = (graphs.network.model, graphs.network.classes)
    if found != (model, classes):
        raise UsageError(
            f"the prepared graphs are of {found[0]} with {found[1]} outputs, the run is of "
            f"{model} with {classes}",
            "'gluontricks prepare' the run again, into another folder",
        )
