"""Where the graphs come from: a prepared run, or MXNet's tracing here."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType
from typing import Tuple

from gluontricks.errors import DataError
from gluontricks.graphs import Graph, Parameter, RunGraphs, TracedNetwork, check_network
from gluontricks.learners import LearnerSpec, NetworkSpec
from gluontricks.pipeline import Statistics


def run_graphs(spec: LearnerSpec) -> RunGraphs:
    """Return the graphs of a learner."""
    if spec.graphs is None:
        return tracing().trace_run(spec)
    check_network(spec.graphs, spec.model, spec.classes)
    return spec.graphs


def network_graph(spec: NetworkSpec) -> TracedNetwork:
    """Return the graph of a network."""
    if spec.graphs is None:
        return tracing().trace_model(spec.model, classes=spec.classes)
    check_network(spec.graphs, spec.model, spec.classes)
    return spec.graphs.network


def inference_graph(
    spec: NetworkSpec, normalization: Statistics
) -> Tuple[Graph, Tuple[Parameter, ...]]:
    """Return the graph from uint8 images to probabilities, with its constants."""
    if spec.graphs is None:
        return tracing().trace_preprocessed(spec.model, spec.classes, normalization)
    return spec.graphs.inference, spec.graphs.constants


def tracing() -> ModuleType:
    """Return the module that traces with MXNet.

    Raises
    ------
    DataError
        If MXNet is not installed.
    """
    if find_spec("mxnet") is None:
        raise DataError(
            "the network's graph is traced by MXNet, which is not installed here",
            "run 'gluontricks prepare' where MXNet is, copy its folder here, and name that folder",
        )
    from gluontricks import tracing as found

    return found
