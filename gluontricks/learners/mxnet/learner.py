"""The learner on MXNet: attach, step, predict, and its state."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluontricks import streams
from gluontricks.errors import UsageError
from gluontricks.learners import RUNNING, SLOTS, LearnerSpec, LearnerState, check_shapes
from gluontricks.learners.mxnet.graphs import (
    STATIC,
    Predictor,
    Teacher,
    devices_of,
    draws_numbers,
    in_precision,
    trainable,
)
from gluontricks.learners.mxnet.group import Group
from gluontricks.learners.mxnet.sums import StatisticsSums, Sums, settle
from gluontricks.learners.mxnet.updates import UPDATES
from gluontricks.learners.optimizers import Setting, decay_of
from gluontricks.models import get_model
from gluontricks.models.layers import without_dropout
from gluontricks.models.weights import initialize, parameter_paths
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import Batch, shard_of
from gluontricks.scaling import LossScaler
from gluontricks.tracing import TrainingGraph, loss_precision, make_loss

# Updates handed to MXNet before waiting for the oldest: more would only hold memory.
IN_FLIGHT = 2


def refuse_others(spec: LearnerSpec) -> None:
    """Raise UsageError for options of the other engine."""
    for name, value in {"--compile": spec.compile, "--deterministic": spec.deterministic}.items():
        if value:
            raise without_effect(name)


def without_effect(name: str) -> UsageError:
    """Return the error for an option that MXNet's learner does not have."""
    return UsageError(
        f"{name} would have no effect on MXNet", "leave it out, or use --engine torch"
    )


class MXNetLearner:
    """A network, its loss and its optimizer on MXNet; see :class:`gluontricks.learners.Learner`.

    Parameters
    ----------
    spec : LearnerSpec
    group : Group, optional
        The workers that share every batch, if there are others.
    """

    def __init__(self, spec: LearnerSpec, group: Optional[Group] = None) -> None:
        refuse_others(spec)
        self.spec, self.group = spec, group or Group()
        self.net = get_model(spec.model, classes=spec.classes, last_gamma=spec.last_gamma)
        if not spec.dropout:
            without_dropout(self.net)
        self.paths: Dict[str, Any] = parameter_paths(self.net)
        self.devices = devices_of(spec)
        self.device = self.devices[0]
        initialize(self.net, seed=spec.seed, init=spec.init, ctx=self.devices)
        self.precision = loss_precision(spec.dtype)
        net = in_precision(self.net, spec.dtype, self.device)
        self.graph = TrainingGraph(net, make_loss(spec.teacher), self.precision)
        self.graph.hybridize(**STATIC)
        self.predictor: Optional[Predictor] = None
        # Seeding empties MXNet's queue, so only networks that draw numbers pay for it.
        self.draws_numbers = draws_numbers(self.net)
        self.teacher = Teacher(spec) if spec.teacher else None
        self.scaler = LossScaler(spec.loss_scale) if spec.dtype == "float16" else None
        self.trained = trainable(self.paths)
        self.slots = {
            path: tuple(
                mx.nd.zeros(p.shape, ctx=self.device, dtype=p.dtype) for _ in SLOTS[spec.optimizer]
            )
            for path, p in self.trained.items()
        }
        self.decay = {path: decay_of(path, wd=spec.wd, no_wd=spec.no_wd) for path in self.trained}
        self.averages = {path: a.copy() for path, a in self.arrays().items()} if spec.ema else {}
        self.make_sums()
        self.updates = 0
        self.pending: List[Any] = []
        self.in_flight: Deque[Any] = deque()

    def make_sums(self) -> None:
        """Make what adds up the shards of an update."""
        trained = self.trained.values()
        running = [p for path, p in self.paths.items() if path.endswith(RUNNING)]
        self.weights = Sums({d: [p.data(d) for p in trained] for d in self.devices})
        self.grads = Sums({d: [p.grad(d) for p in trained] for d in self.devices})
        self.statistics = StatisticsSums({d: [p.data(d) for p in running] for d in self.devices})

    def attach(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take the training set that batches index."""
        self.images, self.labels = images, labels

    def begin(self, rates: Sequence[float], momenta: Sequence[float]) -> None:
        """Take the learning rate and the momentum of every step."""
        self.rates, self.momenta = rates, momenta

    def step(self, batch: Batch) -> None:
        """Do one update: forward and backward of each shard, their sums, the optimizer."""
        if self.spec.shards > 1 or self.scaler:
            self.step_in_shards(batch)
        else:
            losses = self.forward_backward(batch, batch.step, self.device)
            self.update(batch.step, len(batch.labels))
            self.pending.append(losses.mean())
        self.wait_for_oldest()

    def step_in_shards(self, batch: Batch) -> None:
        """Do one update of shards that take turns on the devices, which compute at once."""
        shards, count = self.spec.shards, len(batch.labels)
        self.grads.clear()
        self.statistics.clear()
        loss: Any = 0.0
        for place, shard in enumerate(self.group.own(shards)):
            device = self.devices[place % len(self.devices)]
            part = shard_of(batch, shard, shards)
            losses = self.forward_backward(part, batch.step * shards + shard, device)
            loss = losses.sum().as_in_context(self.device) + loss
            self.statistics.add(device)
            if shards > 1:
                self.grads.add(device)
        loss = self.add_up(loss)
        self.grads.put(self.grads.totals, self.device)
        self.update(batch.step, count)
        self.pending.append(loss / count)

    def add_up(self, loss: Any) -> Any:
        """Add up with the other workers what the shards left; return the sum of the losses."""
        grads, statistics = self.grads.totals, self.statistics.totals
        loss, *sums = self.group.add_up("update", [loss, *grads, *statistics])
        self.grads.totals, self.statistics.totals = sums[: len(grads)], sums[len(grads) :]
        return loss

    def forward_backward(self, batch: Batch, number: int, device: Any) -> Any:
        """Return the loss of each image; leave gradients and running statistics behind.

        ``number`` is the shard's, from which its random numbers follow.
        """
        inputs, targets = self.inputs(batch, device)
        if self.draws_numbers:
            mx.random.seed(streams.operator_seed(self.spec.seed, number), ctx=device)
        with mx.autograd.record():
            losses = self.graph(inputs, *targets)
            objective = losses * self.scaler.scale if self.scaler else losses
        objective.backward()
        return losses

    def inputs(self, batch: Batch, device: Any) -> Tuple[Any, List[Any]]:
        """Return the network's input, and what the loss takes beside the logits."""
        images = self.images[batch.indices] if batch.images is None else batch.images
        pixels, targets = self.spec.pipeline.prepare(images, batch.labels, batch)
        inputs = self.array(pixels, device)
        beside = [self.array(targets, device)]
        if self.teacher is not None:
            beside.append(self.teacher_logits(batch, inputs))
        return inputs, beside

    def array(self, values: np.ndarray, device: Any) -> Any:
        """Return ``values`` on a device, in the precision of the loss."""
        return mx.nd.array(values, ctx=device, dtype=self.precision)

    def teacher_logits(self, batch: Batch, inputs: Any) -> Any:
        """Return the teacher's logits, from the cache where there is one."""
        assert self.spec.teacher is not None
        assert self.teacher is not None
        cache = self.spec.teacher.cache
        if cache is None:
            return self.teacher.logits(inputs)
        stored = cache.get(batch)
        if stored is None:
            stored = cache.put(batch, self.teacher.logits(inputs).asnumpy())
        return self.array(stored, inputs.context)

    def update(self, step: int, count: int) -> None:
        """Change every parameter by its gradient, summed over ``count`` images."""
        rescale = 1.0 / count
        if self.scaler is not None:
            gradients = self.grads.arrays[self.device]
            rescale /= self.scaler.scale
            finite = mx.nd.multi_all_finite(*gradients, num_arrays=len(gradients))
            if not self.scaler.update(bool(finite.asscalar())):
                return
        self.updates += 1
        apply = UPDATES[self.spec.optimizer]
        lr, momentum = self.rates[step], self.momenta[step]
        for path, parameter in self.trained.items():
            setting = Setting(lr, momentum, self.decay[path], rescale, self.updates)
            weight, grad = parameter.data(self.device), parameter.grad(self.device)
            apply(weight, grad, self.slots[path], setting)
        self.weights.spread()
        if self.statistics.totals:
            self.statistics.keep(self.spec.shards)
        if self.averages:
            self.average()

    def average(self) -> None:
        """Move the averages towards the parameters and running statistics of now."""
        for path, value in self.arrays().items():
            if path.endswith(RUNNING):
                settle(value)
            self.averages[path] += (1 - self.spec.ema) * (value - self.averages[path])

    def wait_for_oldest(self) -> None:
        """Keep the number of unfinished updates, and so the memory, bounded."""
        self.in_flight.append(self.pending[-1])
        if len(self.in_flight) > IN_FLIGHT:
            self.in_flight.popleft().wait_to_read()

    def losses(self) -> np.ndarray:
        """Return the mean loss of each step since the last call, shape (steps,)."""
        # A loss may be there long before its update is done, and whoever waits takes the time.
        mx.nd.waitall()
        values = [loss.asscalar() for loss in self.pending]
        self.pending = []
        self.in_flight.clear()
        return np.array(values, dtype=self.precision)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the float32 logits (N, classes) of uint8 images (N, H, W, 3)."""
        # Running statistics change in backward, for which a copy of them does not wait.
        mx.nd.waitall()
        if self.predictor is None:
            self.predictor = Predictor(self.spec, self.device)
        return self.predictor.logits(images, self.averages or self.arrays())

    def arrays(self) -> Dict[str, Any]:
        """Return parameters and running statistics by path, as the first device has them."""
        return {path: p.data(self.device) for path, p in self.paths.items()}

    def gradients(self) -> Dict[str, np.ndarray]:
        """Return the gradients of the last update, summed over its images, by path."""
        return {path: p.grad(self.device).asnumpy() for path, p in self.trained.items()}

    def state(self) -> LearnerState:
        """Return a copy of all that an update changes, and the counters."""
        mx.nd.waitall()
        arrays = {f"p/{path}": array.asnumpy() for path, array in self.arrays().items()}
        arrays.update({f"e/{path}": array.asnumpy() for path, array in self.averages.items()})
        names = SLOTS[self.spec.optimizer]
        for path, slots in self.slots.items():
            arrays.update({f"o/{path}/{n}": s.asnumpy() for n, s in zip(names, slots)})
        counters: Dict[str, float] = {"updates": self.updates}
        if self.scaler is not None:
            counters.update(self.scaler.state())
        return LearnerState(arrays, counters)

    def load_state(self, state: LearnerState) -> None:
        """Go on from ``state``.

        Raises
        ------
        IntegrityError
            If it holds other arrays than this learner, which is then unchanged.
        """
        check_shapes(self.state().arrays, state.arrays)
        for path, parameter in self.paths.items():
            parameter.set_data(mx.nd.array(state.arrays[f"p/{path}"], dtype=parameter.dtype))
        for path, average in self.averages.items():
            average[:] = mx.nd.array(state.arrays[f"e/{path}"], dtype=average.dtype)
        for path, slots in self.slots.items():
            for name, slot in zip(SLOTS[self.spec.optimizer], slots):
                slot[:] = mx.nd.array(state.arrays[f"o/{path}/{name}"], dtype=slot.dtype)
        self.updates = int(state.counters["updates"])
        if self.scaler is not None:
            self.scaler.load_state(state.counters)
