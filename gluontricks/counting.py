"""The costs of all ImageNet networks and the layers of the drawn ones, from their traced graphs."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from gluontricks.figures.layers import as_rows, contract
from gluontricks.models import get_model, input_size
from gluontricks.models.names import IMAGENET
from gluontricks.results.complexity import document

CLASSES = 1000
DRAWN = ("resnet50_v1", "resnet50_v1b", "resnet50_v1c", "resnet50_v1d")


def complexity() -> Dict[str, Any]:
    """Return the document of :mod:`gluontricks.results.complexity`; needs MXNet."""
    counted = [cost(model) for model in IMAGENET]
    return document(counted, {model: layers_of(model) for model in DRAWN}, classes=CLASSES)


def cost(model: str) -> Dict[str, Any]:
    """Return what one network costs."""
    from gluontricks.summary import summarize

    size = input_size(model)
    found = summarize(get_model(model, classes=CLASSES), (3, size, size))
    counts = {name: int(found[name]) for name in ("params", "running", "macs")}
    return {"model": model, "size": size, **counts}


def layers_of(model: str) -> List[Dict[str, Any]]:
    """Return the layers of a network for its diagram, as JSON values."""
    from gluontricks.summary import summarize
    from gluontricks.tracing import DATA, trace

    net = get_model(model, classes=CLASSES)
    image = (3, input_size(model), input_size(model))
    symbol = trace(net, net, (DATA,)).symbol
    operators = [i for i, node in enumerate(symbol["nodes"]) if node["op"] != "null"]
    shapes: Dict[int, Tuple[int, ...]] = {}
    for index, layer in zip(operators, summarize(net, image)["layers"]):
        assert symbol["nodes"][index]["op"] == layer["operator"]
        shapes[index] = tuple(layer["output_shape"])
    return as_rows(contract(symbol, shapes, image))
