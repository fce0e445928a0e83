"""Learners: a network, its loss and its optimizer on one framework; all the loop knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

import numpy as np

from gluontricks.errors import unknown
from gluontricks.pipeline import Batch, Pipeline, Statistics

ENGINES = {"mxnet": "gluontricks.learners.mxnet"}

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

    ``arrays`` has the keys ``p/<path>`` (parameters and running statistics) and
    ``o/<path>/<slot>`` (optimizer); ``counters`` the numbers ``updates`` and, with loss
    scaling, those of the scaler.
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
    """What a learner is made of, in plain values."""

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


class Learner(Protocol):
    """A network, its loss (a teacher inside it) and its optimizer, on one framework."""

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

    def state(self) -> LearnerState:
        """Return a copy of everything an update depends on."""
        ...

    def load_state(self, state: LearnerState) -> None:
        """Go on from ``state``."""
        ...


def engine_module(engine: str) -> Any:
    """Return the module of an engine.

    It offers ``make_learner(spec)``, ``memory_needed(spec)`` and ``fitting_batch(spec, free)`` in
    bytes, and ``summary_of(model, classes, size)``.

    Raises
    ------
    UsageError
        If there is no such engine.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    return import_module(ENGINES[engine])
