"""The learner on PyTorch: attach, step, predict, and its state."""

from __future__ import annotations

from itertools import chain
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch

from gluontricks import streams
from gluontricks.arrays import like
from gluontricks.learners import SLOTS, LearnerSpec, LearnerState, check_shapes
from gluontricks.learners.optimizers import decay_of
from gluontricks.learners.torch.blocks import Block, joined
from gluontricks.learners.torch.devices import autocast, device_of, set_up
from gluontricks.learners.torch.group import Group
from gluontricks.learners.torch.multi import foreach
from gluontricks.learners.torch.networks import (
    Predictor,
    Teacher,
    TrainingNetwork,
    channels_last,
    initial_values,
    precision_of,
)
from gluontricks.learners.torch.recorded import Recorded
from gluontricks.learners.torch.sources import run_graphs
from gluontricks.learners.torch.updates import UPDATES, numbers
from gluontricks.pipeline import Batch, shard_of
from gluontricks.scaling import LossScaler

# Values that an update works on at a time on a CPU: a piece of each tensor stays in its cache.
CACHED = 2**19


class TorchLearner:
    """A network, its loss and its optimizer on PyTorch; see :class:`gluontricks.learners.Learner`.

    Parameters
    ----------
    spec : LearnerSpec
    group : Group, optional
        The processes that share every batch; by default this one is alone.
    """

    def __init__(self, spec: LearnerSpec, group: Optional[Group] = None) -> None:
        self.spec = spec
        self.device = device_of(spec)
        set_up(self.device, deterministic=spec.deterministic)
        self.group = group or Group()
        graphs = run_graphs(spec)
        self.values = initial_values(graphs.network, spec, self.device)
        self.training = TrainingNetwork(
            graphs.training, self.values, example=self.example(), compiled=spec.compile
        )
        self.averages = copies(self.values) if spec.ema else {}
        self.predictor = Predictor(graphs.network, self.averages or self.values)
        self.teacher = Teacher(graphs, spec, self.device) if spec.teacher else None
        self.scaler = LossScaler(spec.loss_scale) if spec.dtype == "float16" else None
        self.trained = {path: v for path, v in self.values.items() if v.requires_grad}
        self.blocks = [
            Block(wd, {path: self.trained[path] for path in paths}, spec.optimizer)
            for wd, paths in self.decays().items()
        ]
        views = dict(chain.from_iterable(block.views.items() for block in self.blocks))
        self.slots = {path: views[path] for path in self.trained}
        self.updates = 0
        self.pending: List[torch.Tensor] = []
        self.compute: Any = self.forward_backward
        self.apply: Any = self.update_all
        if self.device.type == "cuda":
            self.compute = Recorded(self.forward_backward)
            self.apply = Recorded(self.update_all, changed=list(self.tensors().values()))

    def example(self) -> List[torch.Tensor]:
        """Return two black images with what the training graph takes beside them."""
        kind = {"device": self.device, "dtype": precision_of(self.spec.dtype)}
        size, classes = self.spec.image_size, self.spec.classes
        beside = [torch.zeros(2, classes, **kind) for _ in range(2 if self.spec.teacher else 1)]
        return [channels_last(torch.zeros(2, 3, size, size, **kind)), *beside]

    def attach(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take the training set that batches index; a GPU holds it in its own memory."""
        del labels  # every batch brings its own
        self.images: Any = images
        if self.device.type == "cuda":
            self.images = torch.from_numpy(images).to(self.device)

    def begin(self, rates: Sequence[float], momenta: Sequence[float]) -> None:
        """Take the learning rate and the momentum of every step."""
        self.rates, self.momenta = rates, momenta

    def step(self, batch: Batch) -> None:
        """Do one update: forward and backward of each shard, their sums, the optimizer."""
        sums: List[torch.Tensor] = []
        scale = self.scaler.scale if self.scaler else 1.0
        for number, part in self.shards_of(batch):
            torch.manual_seed(streams.operator_seed(self.spec.seed, number))
            found = self.found(self.compute(*self.inputs(part), scale=scale))
            sums = added(sums, found) if self.spec.shards > 1 else found
        if self.spec.shards > 1:
            self.group.add_up(sums)
            self.take(sums)
        count = len(batch.labels)
        self.pending.append(sums[0] / count)
        self.update(batch.step, count)

    def shards_of(self, batch: Batch) -> Iterator[Tuple[int, Batch]]:
        """Yield the shards of a batch that are this process's, each with a number of its own."""
        shards = self.spec.shards
        for shard in self.group.own(shards):
            yield batch.step * shards + shard, shard_of(batch, shard, shards)

    def inputs(self, batch: Batch) -> List[torch.Tensor]:
        """Return what the training graph takes: images, targets, and the teacher's logits."""
        images, labels = self.pixels_of(batch), batch.labels
        if self.device.type == "cuda":
            labels = like(labels, images)
        pixels, targets = self.spec.pipeline.prepare(images, labels, batch)
        precision = precision_of(self.spec.dtype)
        inputs = channels_last(torch.as_tensor(pixels).to(precision))
        beside = [torch.as_tensor(targets).to(precision)]
        if self.teacher is not None:
            beside.append(self.teacher_logits(batch, inputs))
        return [inputs, *beside]

    def pixels_of(self, batch: Batch) -> Any:
        """Return the batch's images where they are to be worked on."""
        if batch.images is not None:
            on_gpu = self.device.type == "cuda"
            return like(batch.images, self.images) if on_gpu else batch.images
        assert batch.indices is not None
        return self.images[like(batch.indices, self.images)]

    def teacher_logits(self, batch: Batch, inputs: torch.Tensor) -> torch.Tensor:
        """Return the teacher's logits, from the cache where there is one."""
        assert self.spec.teacher is not None
        assert self.teacher is not None
        cache = self.spec.teacher.cache
        if cache is None:
            return self.teacher.logits(inputs)
        stored = cache.get(batch)
        if stored is None:
            stored = cache.put(batch, self.teacher.logits(inputs).cpu().numpy())
        return like(stored, inputs).to(inputs.dtype)

    def forward_backward(self, *inputs: torch.Tensor, scale: Any) -> torch.Tensor:
        """Return the sum of the losses; leave gradients and the batch's statistics behind.

        Gradients are those of ``scale`` times the loss.
        """
        for value in self.trained.values():
            value.grad = None
        with autocast(self.spec.dtype, self.device):
            losses = self.training.losses(*inputs)
        total = losses.sum()
        (total * scale).backward()
        return total.detach()

    def found(self, loss: torch.Tensor) -> List[torch.Tensor]:
        """Return the loss, the batch's statistics and the gradients: what shards add up."""
        return [loss, *self.training.batch_statistics, *self.grads()]

    def grads(self) -> List[torch.Tensor]:
        """Return the gradients of all that is trained, in its order."""
        return [torch.zeros_like(v) if v.grad is None else v.grad for v in self.trained.values()]

    def take(self, sums: List[torch.Tensor]) -> None:
        """Take the sums over all shards as the gradients, and the mean of their statistics."""
        own = self.found(sums[0])
        statistics = slice(1, 1 + len(self.training.batch_statistics))
        foreach._foreach_div_(sums[statistics], float(self.spec.shards))
        foreach._foreach_copy_(own[1:], sums[1:])

    def update(self, step: int, count: int) -> None:
        """Change every parameter by its gradient, summed over ``count`` images."""
        rescale = 1.0 / count
        if self.scaler is not None:
            rescale /= self.scaler.scale
            largest = torch.stack(foreach._foreach_norm(self.grads(), float("inf")))
            if not self.scaler.update(bool(torch.isfinite(largest).all())):
                return
        self.updates += 1
        self.apply(
            **numbers(
                self.spec.optimizer,
                lr=self.rates[step],
                momentum=self.momenta[step],
                step=self.updates,
                rescale=rescale,
            )
        )

    def update_all(self, **given: Any) -> None:
        """Do the update that the numbers describe; bring statistics and averages up to date."""
        with torch.no_grad():
            grads = dict(zip(self.trained, self.grads()))
            for block in self.blocks:
                own = joined([grads[path] for path in block.paths])
                for weights, grad, *slots in self.pieces(block.weights, own, *block.slots):
                    grad.mul_(given["rescale"])
                    UPDATES[self.spec.optimizer](weights, grad, slots, given, block.wd)
            self.training.keep_statistics()
            if self.averages:
                averages, values = list(self.averages.values()), list(self.values.values())
                foreach._foreach_lerp_(averages, values, 1 - self.spec.ema)

    def pieces(self, *tensors: torch.Tensor) -> Iterator[Tuple[torch.Tensor, ...]]:
        """Return tensors of one length in pieces that are updated together."""
        cached = self.device.type == "cpu"
        return zip(*(tensor.split(CACHED if cached else len(tensor)) for tensor in tensors))

    def decays(self) -> Dict[float, List[str]]:
        """Return the paths that share a weight decay."""
        groups: Dict[float, List[str]] = {}
        for path in self.trained:
            wd = decay_of(path, wd=self.spec.wd, no_wd=self.spec.no_wd)
            groups.setdefault(wd, []).append(path)
        return groups

    def losses(self) -> np.ndarray:
        """Return the mean loss of each step since the last call, shape (steps,)."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        values = torch.stack(self.pending).cpu().numpy() if self.pending else np.zeros(0)
        self.pending = []
        return values

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the logits (N, classes) of uint8 images (N, H, W, 3)."""
        return self.predictor.predict(images, self.spec.pipeline.plain, self.spec.batch_size)

    def gradients(self) -> Dict[str, np.ndarray]:
        """Return the gradients of the last update, summed over its images, by path."""
        return dict(zip(self.trained, map(array_of, self.grads())))

    def state(self) -> LearnerState:
        """Return a copy of all that an update changes, and the counters."""
        arrays = {key: array_of(tensor) for key, tensor in self.tensors().items()}
        return LearnerState(arrays, self.counters())

    def counters(self) -> Dict[str, float]:
        """Return the numbers of a checkpoint."""
        scaling = {} if self.scaler is None else self.scaler.state()
        return {"updates": self.updates, **scaling}

    def take_counters(self, counters: Mapping[str, float]) -> None:
        """Go on from the numbers of a checkpoint."""
        self.updates = int(counters["updates"])
        if self.scaler is not None:
            self.scaler.load_state(dict(counters))

    def tensors(self) -> Dict[str, torch.Tensor]:
        """Return all that an update changes, by the keys of a checkpoint."""
        found = {f"p/{path}": value.detach() for path, value in self.values.items()}
        found.update({f"e/{path}": average for path, average in self.averages.items()})
        names = SLOTS[self.spec.optimizer]
        for path, slots in self.slots.items():
            found.update({f"o/{path}/{name}": slot for name, slot in zip(names, slots)})
        return found

    def load_state(self, state: LearnerState) -> None:
        """Go on from ``state``.

        Raises
        ------
        IntegrityError
            If it is of another network or optimizer; nothing is changed.
        """
        own = self.tensors()
        check_shapes(own, state.arrays)
        for key, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(state.arrays[key])))
        self.take_counters(state.counters)


def added(sums: List[torch.Tensor], found: List[torch.Tensor]) -> List[torch.Tensor]:
    """Return the sums with one more shard; the first is copied, since the next overwrites it."""
    if not sums:
        return [tensor.clone() for tensor in found]
    foreach._foreach_add_(sums, found)
    return sums


def copies(values: Mapping[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Return copies that nothing is trained by."""
    return {path: value.detach().clone() for path, value in values.items()}


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """Return a copy of a tensor as an array."""
    return np.array(tensor.detach().cpu().numpy(), order="C")
