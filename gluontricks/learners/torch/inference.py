"""Prediction outside training on PyTorch, and what an export is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, Mapping

import numpy as np
import torch

from gluontricks.data.augment import normalise
from gluontricks.errors import IntegrityError
from gluontricks.graphs import Graph
from gluontricks.learners import RUNNING, Exportable, NetworkSpec
from gluontricks.learners.torch.convert import convert
from gluontricks.learners.torch.devices import named_device, set_up
from gluontricks.learners.torch.networks import Predictor, constant_values, loaded_values
from gluontricks.learners.torch.sources import inference_graph, network_graph
from gluontricks.params_file import dump_params, read_params
from gluontricks.pipeline import Statistics

# What MXNet keeps apart in an exported file: state, not arguments.
Function = Callable[[np.ndarray], np.ndarray]


def load_network(spec: NetworkSpec) -> Function:
    """Return the function from normalised float32 images (N, 3, H, W) to logits."""
    device = named_device(spec.device)
    set_up(device)
    network = network_graph(spec)
    values = loaded_values(network, spec.parameters, name=spec.name, device=device)
    predictor = Predictor(network, values)
    return lambda images: predictor.logits(torch.from_numpy(images)).cpu().numpy()


def load_export(symbol: Path, params: Path, device: str = "cpu") -> Function:
    """Return the function of an exported model, from uint8 images (N, H, W, 3).

    Raises
    ------
    DataError, IntegrityError, UsageError
        If a file is damaged, or holds an operator that this engine does not know.
    """
    place = named_device(device)
    set_up(place)
    arrays = {name.split(":", 1)[-1]: value for name, value in read_params(params).items()}
    return function_of(Graph(read_symbol(symbol), ("data",)), arrays, place)


def read_symbol(path: Path) -> Dict[str, object]:
    """Return a symbol's JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"'{path}' is damaged ({error})", "export the run again") from error


def function_of(graph: Graph, arrays: Mapping[str, np.ndarray], device: torch.device) -> Function:
    """Return the function of a graph of one input, with arrays for its variables."""
    values = {name: torch.tensor(value, device=device) for name, value in arrays.items()}
    module = convert(graph, values, training=False).module

    def predict(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(images).to(device)).cpu().numpy()

    return predict


def exportable(spec: NetworkSpec, normalization: Statistics, images: np.ndarray) -> Exportable:
    """Return the files of an export, and what it must predict for uint8 images (N, H, W, 3)."""
    network = network_graph(spec)
    graph, constants = inference_graph(spec, normalization)
    device = torch.device("cpu")
    values = loaded_values(network, spec.parameters, name=spec.name, device=device)
    logits = Predictor(network, values).logits(torch.from_numpy(normalise(images, *normalization)))
    arrays = {**values, **constant_values(constants, device)}
    params = dump_params({marked(name): value.numpy() for name, value in arrays.items()})
    expected = torch.softmax(logits, dim=-1).numpy()
    return Exportable(json.dumps(graph.symbol, indent=2), params, expected, {})


def marked(path: str) -> str:
    """Return a name in an exported file: of an argument, or of a running statistic."""
    return f"{'aux' if path.endswith(RUNNING) else 'arg'}:{path}"
