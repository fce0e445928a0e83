"""Learners: a network, its loss and its optimizer on one framework; all the loop knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

import numpy as np

from gluontricks.errors import IntegrityError, UsageError, unknown
from gluontricks.graphs import RunGraphs
from gluontricks.pipeline import Batch, Pipeline, Statistics

ENGINES = {"mxnet": "gluontricks.learners.mxnet", "torch": "gluontricks.learners.torch"}

# Names of batch norm's running statistics, which no gradient changes.
RUNNING = ("running_mean", "running_var")

# Slots of each optimizer's state per parameter, in checkpoints of every engine.
SLOTS: Dict[str, Tuple[str, ...]] = {
    "sgd": ("mom",),
    "nag": ("mom",),
    "adam": ("mean", "var"),
    "nadam": ("mean", "var"),
    "adadelta": ("acc_g", "acc_delta"),
    "rmsprop": ("n",),
}


class LearnerState(NamedTuple):
    """Everything an update depends on.

    ``arrays`` has the keys ``p/<path>`` (parameters and running statistics),
    ``o/<path>/<slot>`` (optimizer) and ``e/<path>`` (moving average); ``counters`` the numbers
    ``updates`` and, with loss scaling, those of the scaler.
    """

    arrays: Dict[str, np.ndarray]
    counters: Dict[str, float]


class TeacherCache(Protocol):
    """A store of the teacher's logits."""

    def get(self, batch: Batch) -> Optional[np.ndarray]:
        """Return the logits (N, K) of ``batch``, or None if they are not stored."""
        ...

    def put(self, batch: Batch, logits: np.ndarray) -> np.ndarray:
        """Store the logits of ``batch``; return them as they will be read again."""
        ...


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher: a network with its parameters, and how it is imitated."""

    model: str
    classes: int
    parameters: Mapping[str, np.ndarray]
    normalization: Statistics
    temperature: float
    hard_weight: Optional[float]
    form: str
    source: str = "the teacher's file"
    cache: Optional[TeacherCache] = None


@dataclass(frozen=True)
class LearnerSpec:
    """What a learner is made of, in plain values.

    Attributes
    ----------
    dtype : str
        A recipe's, or ``float64``, in which engines are compared.
    graphs : RunGraphs, optional
        Of a run that was prepared for a machine without MXNet.
    compile, deterministic : bool
        For engines that can.
    shards : int
        Parts of every batch that pass through the network one after the other, or on several
        devices at once; batch norm sees one at a time.
    device : str
        ``cpu`` or ``cuda[:N]``; several, with commas between them, on MXNet.
    ema : float
        Decay of the moving average of parameters and running statistics, with which the learner
        then predicts; 0 for none.
    loss_scale : float, optional
        Constant loss scale of float16; dynamic if not given.
    dropout : bool
        Whether layers of dropout drop. Engines draw with generators of their own, so they are
        compared without.
    """

    model: str
    classes: int
    last_gamma: bool
    init: str
    seed: int
    image_size: int
    batch_size: int
    optimizer: str
    wd: float
    no_wd: bool
    dtype: str
    pipeline: Pipeline
    teacher: Optional[TeacherSpec] = None
    device: str = "cpu"
    graphs: Optional[RunGraphs] = None
    compile: bool = False
    deterministic: bool = False
    shards: int = 1
    ema: float = 0.0
    loss_scale: Optional[float] = None
    dropout: bool = True


@dataclass(frozen=True)
class NetworkSpec:
    """A trained network outside training.

    Attributes
    ----------
    model : str
    classes : int
    parameters : path or mapping
        As :func:`gluontricks.models.matching.fitting_values` takes them.
    name : str, optional
        What errors call the parameters: where they come from.
    device : str
    graphs : RunGraphs, optional
        Of the prepared run that the parameters are from.
    image_size : int, optional
        Height and width of its images; the network's natural size if not given.
    crop_ratio : float, optional
        Part of the shorter side that it sees of an image file; all of it, squeezed into a square,
        if not given.
    """

    model: str
    classes: int
    parameters: Any
    name: Optional[str] = None
    device: str = "cpu"
    graphs: Optional[RunGraphs] = None
    image_size: Optional[int] = None
    crop_ratio: Optional[float] = None


class Exportable(NamedTuple):
    """The two files of an exported model, and what it must predict for some images.

    ``others`` are the predictions of the same network computed otherwise, by a name each.
    """

    symbol: str
    params: bytes
    expected: np.ndarray
    others: Dict[str, np.ndarray]


class Learner(Protocol):
    """A network, its loss (a teacher inside it) and its optimizer, on one framework."""

    spec: LearnerSpec

    def attach(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take the training set, uint8 (M, H, W, 3) and int64 (M,), that batches index."""
        ...

    def begin(self, rates: Sequence[float], momenta: Sequence[float]) -> None:
        """Take the learning rate and the momentum of every step of the run."""
        ...

    def step(self, batch: Batch) -> None:
        """Do one update."""
        ...

    def losses(self) -> np.ndarray:
        """Return the mean loss of each step since the last call.

        This alone waits: when it returns, the updates are done.
        """
        ...

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the logits (N, classes) of uint8 images (N, H, W, 3), not augmented."""
        ...

    def gradients(self) -> Dict[str, np.ndarray]:
        """Return the gradients of the last update, summed over its images, by path."""
        ...

    def state(self) -> LearnerState:
        """Return a copy of everything an update depends on."""
        ...

    def load_state(self, state: LearnerState) -> None:
        """Go on from ``state``."""
        ...


def check_shapes(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise IntegrityError unless a checkpoint's arrays are those of this learner."""
    here = {key: tuple(value.shape) for key, value in own.items()}
    there = {key: tuple(value.shape) for key, value in given.items()}
    odd = sorted(key for key in {**here, **there} if here.get(key) != there.get(key))
    if odd:
        raise IntegrityError(
            f"the checkpoint is of another network or optimizer: '{odd[0]}' has shape "
            f"{there.get(odd[0], 'none')}, here {here.get(odd[0], 'none')}",
            "it belongs to another run: choose another --out",
        )


def check_shards(spec: LearnerSpec, count: int, kind: str) -> None:
    """Raise UsageError unless ``count`` devices or processes can share every batch evenly."""
    for name, value in (("--batch-size", spec.batch_size), ("--shards", spec.shards)):
        if value % count:
            raise UsageError(
                f"{name} {value} cannot be shared by {count} {kind}",
                "give a multiple of their number",
            )
    if spec.batch_size % spec.shards:
        raise UsageError(
            f"--batch-size {spec.batch_size} cannot be divided into {spec.shards} shards",
            "give a multiple of their number",
        )
    if spec.shards > 1 and spec.teacher and spec.teacher.cache:
        raise UsageError(
            f"--teacher-cache holds the logits of whole batches, and these have {spec.shards} "
            "shards",
            "leave it out, or train in one process without --shards",
        )


def engine_module(engine: str) -> Any:
    """Return the module of an engine.

    It offers ``make_learner(spec)``; ``join()`` for the processes of one run, which PyTorch's
    ``launch(count, command)`` starts; ``gpu_count()``, the GPUs it finds, and ``gpu_trouble()``,
    why it cannot use them; of a learner's costs ``memory_needed(spec)``,
    ``fitting_batch(spec, free)``, ``free_memory(spec)`` in bytes, and ``summary_of(spec)``; for
    prediction ``load_network(spec)``, ``load_export(symbol, params, device)`` and
    ``exportable(spec, normalization, images)``.

    Raises
    ------
    UsageError
        If there is no such engine, or what it needs is not installed.
    """
    check_engine(engine)
    return import_module(ENGINES[engine])


def check_engine(engine: str) -> None:
    """Raise unless there is an engine of that name, and what it needs."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "torch" and find_spec("torch") is None:
        raise UsageError(
            "the PyTorch engine needs PyTorch, which is not installed",
            "pip install 'gluontricks[torch]'; --engine mxnet does without",
        )


def make_learner(spec: LearnerSpec, engine: str) -> Learner:
    """Return the learner of ``spec``, if the memory that is free suffices.

    Raises
    ------
    UsageError
        If it does not; the largest batch that fits is named.
    """
    module = engine_module(engine)
    # The engines' estimates are of float32; what a process needs anyway is small beside it.
    width = 2 if spec.dtype == "float64" else 1
    needed, free = width * module.memory_needed(spec), module.free_memory(spec)
    if needed > free:
        fits = module.fitting_batch(spec, free // width)
        remedy = (
            f"give --batch-size {fits} or less"
            if fits
            else f"use a machine with {needed / 2**30:.0f} GB"
        )
        precision = " in float64" if width == 2 else ""
        raise UsageError(
            f"--batch-size {spec.batch_size} needs about {needed / 2**30:.1f} GB of memory"
            f"{precision}, {free / 2**30:.1f} are free",
            remedy,
        )
    learner: Learner = module.make_learner(spec)
    return learner


def installed_engine() -> str:
    """Return the engine for work that either does alike: MXNet, or PyTorch where there is none."""
    return "mxnet" if find_spec("mxnet") or not find_spec("torch") else "torch"
