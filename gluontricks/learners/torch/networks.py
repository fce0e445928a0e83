"""Networks and their parameters as the learner needs them: trained, predicting, teaching."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from torch import fx
from torch.nn import functional

from gluontricks.errors import UsageError, one_line
from gluontricks.graphs import Graph, Parameter, RunGraphs, TracedNetwork
from gluontricks.initializers import initial_value
from gluontricks.learners import LearnerSpec
from gluontricks.learners.torch.convert import Norm, convert
from gluontricks.learners.torch.devices import autocast
from gluontricks.learners.torch.multi import foreach
from gluontricks.models.matching import Target, fitting_values
from gluontricks.pipeline import in_batches, renormalisation

# Images of a teacher's forward pass at a time on a CPU: what fits beside a student in 3 GB.
TEACHER_CHUNK = 16
PREDICTED_AT_ONCE = 256
Values = Dict[str, torch.Tensor]


def precision_of(dtype: str) -> torch.dtype:
    """Return the type of parameters and losses where the network computes in ``dtype``."""
    return torch.float64 if dtype == "float64" else torch.float32


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Return images, or weights of convolutions, with their channels innermost in memory."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def tensor_of(value: Any, device: torch.device, precision: torch.dtype) -> torch.Tensor:
    """Return an array of numbers as a new tensor of the device."""
    return channels_last(torch.tensor(np.asarray(value)).to(device, precision))


def initial_values(network: TracedNetwork, spec: LearnerSpec, device: torch.device) -> Values:
    """Return the parameters of a new network, those that are trained ready for gradients."""
    values: Values = {}
    for row in network.parameters:
        how = {"drawn": spec.init, "constant": "zeros"}.get(row.init, row.init)
        value: Any = row.value
        if value is None:
            value = initial_value(row.path, row.shape, seed=spec.seed, init=how)
        values[row.path] = tensor_of(value, device, precision_of(spec.dtype))
        values[row.path].requires_grad_(row.trainable)
    return values


def loaded_values(
    network: TracedNetwork,
    arrays: Any,
    *,
    name: Optional[str] = None,
    device: torch.device,
    precision: torch.dtype = torch.float32,
) -> Values:
    """Return the parameters of a network from a file or a mapping.

    Raises
    ------
    DataError
        As :func:`gluontricks.models.matching.fitting_values`.
    """
    targets = {row.path: Target(row.shape, row.name) for row in network.parameters}
    found = fitting_values(arrays, targets, name=name)
    return {path: tensor_of(value, device, precision) for path, value in found.items()}


def constant_values(rows: Sequence[Parameter], device: torch.device) -> Values:
    """Return constants by path."""
    return {row.path: tensor_of(row.value, device, torch.float32) for row in rows}


class Sizes(fx.Interpreter):
    """Runs a graph and notes how many values each of its batch norms has per channel and image."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: Dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Compute one node."""
        if n.target is functional.batch_norm:
            images = self.env[n.args[0]]  # type: ignore[index]
            self.found[str(n.args[1])] = images[0, 0].numel()
        return super().run_node(n)


class TrainingNetwork:
    """Network and loss in one module, and what the batch norms in it gather.

    Parameters
    ----------
    graph : Graph
        (images, targets[, teacher's logits]) to losses.
    values : mapping of str to Tensor
        Parameters and running statistics by path; shared, and changed by :meth:`keep_statistics`.
    example : sequence of Tensor
        Two of what the graph takes, to find the sizes within.
    compiled : bool
        Whether ``torch.compile`` makes it faster first.
    """

    def __init__(
        self,
        graph: Graph,
        values: Values,
        *,
        example: Sequence[torch.Tensor],
        compiled: bool = False,
    ) -> None:
        converted = convert(graph, values, training=True)
        self.module: Any = compile_module(converted.module) if compiled else converted.module
        self.norms: List[Norm] = list(converted.norms.values())
        self.batch_statistics: List[torch.Tensor] = [n.batch_mean for n in self.norms]
        self.batch_statistics += [n.batch_variance for n in self.norms]
        self.running = [values[n.mean] for n in self.norms]
        self.running += [values[n.variance] for n in self.norms]
        sizes = Sizes(converted.module)
        with torch.no_grad():
            sizes.run(*example)
        self.values_per_image = list(sizes.found.values())
        self.images = 0

    def losses(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the loss of each image."""
        self.images = len(inputs[0])
        return self.module(*inputs)

    def keep_statistics(self) -> None:
        """Bring the running statistics up to date with those of the last batch."""
        places = range(len(self.norms))
        for momentum in sorted({n.momentum for n in self.norms}):
            self.keep_some([i for i in places if self.norms[i].momentum == momentum], momentum)

    def keep_some(self, chosen: Sequence[int], momentum: float) -> None:
        """Bring those of the batch norms of one momentum up to date."""
        both = [*chosen, *(i + len(self.norms) for i in chosen)]
        # PyTorch gathers the unbiased variance, MXNet keeps the biased.
        counts = [self.images * self.values_per_image[i] for i in chosen]
        factors = [1.0] * len(chosen) + [(count - 1) / count for count in counts]
        batch = foreach._foreach_mul([self.batch_statistics[i] for i in both], factors)
        running = [self.running[i] for i in both]
        foreach._foreach_mul_(running, momentum)
        # MXNet has the momentum, and what it leaves, in float32.
        foreach._foreach_add_(running, batch, alpha=float(np.float32(1) - np.float32(momentum)))


def compile_module(module: fx.GraphModule) -> Any:
    """Return the module compiled for fixed shapes.

    Raises
    ------
    UsageError
        If there is no compiler, or this PyTorch has none for this Python.
    """
    try:
        compiled = torch.compile(module, dynamic=False)
    except RuntimeError as error:
        raise cannot_compile(error) from error

    def call(*inputs: torch.Tensor) -> torch.Tensor:
        try:
            return compiled(*inputs)
        except Exception as error:
            if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise cannot_compile(error) from error
            raise

    return call


def cannot_compile(error: Exception) -> UsageError:
    """Return the error for a machine on which ``torch.compile`` does not work."""
    return UsageError(
        f"torch.compile does not work here ({one_line(error)})",
        "leave --compile out; it needs a C++ compiler",
    )


class Predictor:
    """A network that predicts: running statistics, nothing recorded.

    Parameters
    ----------
    network : TracedNetwork
    values : mapping of str to Tensor
        Parameters and running statistics by path.
    """

    def __init__(self, network: TracedNetwork, values: Values) -> None:
        self.module = convert(network.graph, values, training=False).module
        value = next(iter(values.values()))
        self.device, self.precision = value.device, value.dtype

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) of normalised images (N, 3, H, W)."""
        with torch.no_grad():
            return self.module(channels_last(inputs.to(self.device, self.precision)))

    def predict(self, images: np.ndarray, plain: Any, batch_size: int) -> np.ndarray:
        """Return the logits of uint8 images (N, H, W, 3), which ``plain`` normalises."""

        def one(part: np.ndarray) -> np.ndarray:
            return self.logits(torch.from_numpy(np.ascontiguousarray(plain(part)))).cpu().numpy()

        return in_batches(one, images, min(batch_size, PREDICTED_AT_ONCE, len(images)))


class Teacher:
    """A trained network that only predicts, in the precision of the run.

    Parameters
    ----------
    graphs : RunGraphs
    spec : LearnerSpec
        With a teacher.
    device : torch.device
    """

    def __init__(self, graphs: RunGraphs, spec: LearnerSpec, device: torch.device) -> None:
        teacher = spec.teacher
        assert teacher is not None
        assert graphs.teacher is not None
        self.spec, self.device = spec, device
        precision = precision_of(spec.dtype)
        values = loaded_values(
            graphs.teacher, teacher.parameters, name=teacher.source, device=device,
            precision=precision,
        )  # fmt: skip
        self.predictor = Predictor(graphs.teacher, values)
        student = (spec.pipeline.mean, spec.pipeline.std)
        change = renormalisation(student, teacher.normalization)
        self.change = change and tuple(
            torch.tensor(v, dtype=precision, device=device).reshape(1, 3, 1, 1) for v in change
        )

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) of the student's inputs (N, 3, H, W)."""
        if self.change:
            inputs = inputs * self.change[0] + self.change[1]
        chunk = TEACHER_CHUNK if self.device.type == "cpu" else len(inputs)
        with autocast(self.spec.dtype, self.device):
            pieces = [self.predictor.logits(part) for part in inputs.split(chunk)]
        return torch.cat(pieces).to(inputs.dtype)
