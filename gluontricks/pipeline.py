"""What happens to a batch between the data set and the network, written once for every engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Optional, Tuple

import numpy as np

from gluontricks.data.augment import Augmentation, normalise
from gluontricks.mixing.plan import Plan, mix
from gluontricks.targets import smooth_targets

Statistics = Tuple[Tuple[float, ...], Tuple[float, ...]]


@dataclass(frozen=True)
class Batch:
    """What is drawn for one update: numbers, not pixels.

    Attributes
    ----------
    step : int
        0-based number of the update in the run.
    epoch, position : int
        Epoch, and number of the batch in it.
    labels : ndarray of int64, shape (N,)
    indices : ndarray of int64, shape (N,), optional
        Places in the attached data set; or
    images : ndarray of uint8, shape (N, H, W, 3), optional
        images that have just been decoded.
    augment : mapping of str to ndarray, each of shape (N,)
        Draws of the augmentation.
    plans : tuple of Plan
        Mixing plans, to be carried out in turn.
    """

    step: int
    epoch: int
    position: int
    labels: np.ndarray
    indices: Optional[np.ndarray] = None
    images: Optional[np.ndarray] = None
    augment: Mapping[str, np.ndarray] = field(default_factory=dict)
    plans: Tuple[Plan, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """Augment, normalise, make targets, mix: in this order.

    Attributes
    ----------
    augmentation : Augmentation
    mean, std : tuple of three floats
        Of pixel values in [0, 1].
    classes : int
        Length of a target.
    label_smoothing : float
    smoothing_form : str
        See :func:`gluontricks.targets.smooth_targets`.
    """

    augmentation: Augmentation
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    classes: int
    label_smoothing: float = 0.0
    smoothing_form: str = "gluoncv"

    def prepare(self, images: Any, labels: Any, batch: Batch) -> Tuple[Any, Any]:
        """Return the network's input and its targets.

        Parameters
        ----------
        images : uint8 array or tensor, shape (N, H, W, 3)
            The batch's images, NumPy's or torch's.
        labels : integer array or tensor, shape (N,)
        batch : Batch
            The draws.

        Returns
        -------
        (inputs, targets)
            float32, shapes (N, 3, H, W) and (N, classes).
        """
        inputs = normalise(self.augmentation.apply(images, batch.augment), self.mean, self.std)
        targets = smooth_targets(
            labels, self.classes, epsilon=self.label_smoothing, form=self.smoothing_form
        )
        for plan in batch.plans:
            inputs, targets = mix(inputs, targets, plan)
        return inputs, targets

    def plain(self, images: Any) -> Any:
        """Return images as the network sees them in evaluation: normalised only."""
        return normalise(images, self.mean, self.std)


def restrict(batch: Batch, places: slice) -> Batch:
    """Return the part of a batch that makes its images at ``places``, partners included.

    Partners are drawn over the whole batch, so a part may need more images than it gives.
    """
    rows = np.arange(len(batch.labels))[places]
    plans = []
    for plan in reversed(batch.plans):
        wanted = plan.sources[:, rows]
        rows, inverse = np.unique(wanted, return_inverse=True)
        plans.append(replace(plan, sources=inverse.reshape(wanted.shape)))
    return replace(
        batch,
        labels=batch.labels[rows],
        indices=None if batch.indices is None else batch.indices[rows],
        images=None if batch.images is None else batch.images[rows],
        augment={name: values[rows] for name, values in batch.augment.items()},
        plans=tuple(reversed(plans)),
    )


def shard_of(batch: Batch, number: int, count: int) -> Batch:
    """Return one of ``count`` equal parts of a batch; the batch itself if there is one."""
    if count == 1:
        return batch
    total = len(batch.labels)
    return restrict(batch, slice(number * total // count, (number + 1) * total // count))


def renormalisation(student: Statistics, teacher: Statistics) -> Optional[Statistics]:
    """Return (scale, shift) per channel from one normalisation to another, None if equal.

    Mixing is a weighted mean, so it may come before or after.
    """
    if student == teacher:
        return None
    (mean, std), (other_mean, other_std) = student, teacher
    scale = tuple(s / o for s, o in zip(std, other_std))
    shift = tuple((m - om) / o for m, om, o in zip(mean, other_mean, other_std))
    return scale, shift


def in_batches(
    call: Callable[[np.ndarray], np.ndarray], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """Return ``call``'s output for every image once; a short last batch is filled up.

    Parameters
    ----------
    call : callable
        Takes images (batch_size, ...) as they are in ``images`` and returns an ndarray.
    images : ndarray, shape (N, H, W, 3)
    batch_size : int
    """
    pieces = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        count = len(part)
        if count < batch_size:
            part = np.concatenate([part, np.repeat(part[:1], batch_size - count, axis=0)])
        pieces.append(call(part)[:count])
    return np.concatenate(pieces)
