"""The random draws of a run, an epoch at a time: order, augmentation and mixing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

import numpy as np

from gluontricks import streams
from gluontricks.data.augment import Augmentation
from gluontricks.errors import UsageError
from gluontricks.mixing import draw_plans, uniforms_needed
from gluontricks.mixing.plan import Plan
from gluontricks.pipeline import Batch


@dataclass(frozen=True)
class Mixing:
    """When a run mixes, and how.

    Attributes
    ----------
    mixup_type, alpha, grid
        As in :func:`gluontricks.mixing.draw_plans`.
    first, last : int
        Epochs ``first <= epoch < last`` are mixed.
    """

    mixup_type: str = "none"
    alpha: Optional[float] = None
    grid: Optional[str] = None
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Draws:
    """Every draw of a run, as a function of (seed, epoch).

    Attributes
    ----------
    seed : int
    labels : ndarray of int64, shape (M,)
        Of the training set.
    size : (int, int)
        Height and width of the network's input.
    batch_size : int
        An incomplete last batch is dropped.
    augmentation : Augmentation
    mixing : Mixing
    """

    seed: int
    labels: np.ndarray
    size: Tuple[int, int]
    batch_size: int
    augmentation: Augmentation
    mixing: Mixing

    def __post_init__(self) -> None:
        if len(self.labels) < self.batch_size:
            raise UsageError(
                f"--batch-size {self.batch_size} is more than the {len(self.labels)} "
                "training images",
                f"give --batch-size {len(self.labels)} or less",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Updates of one epoch."""
        return len(self.labels) // self.batch_size

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` from position ``start`` on."""
        count = len(self.labels)
        order = streams.permutation(self.seed, "order", epoch, count)
        augment = self.augmentation.draw(self.seed, epoch, count)
        for position in range(start, self.steps_per_epoch):
            places = order[position * self.batch_size : (position + 1) * self.batch_size]
            yield Batch(
                step=epoch * self.steps_per_epoch + position,
                epoch=epoch,
                position=position,
                labels=self.labels[places],
                indices=places,
                augment={name: values[places] for name, values in augment.items()},
                plans=self.plans(epoch, position),
            )

    def close(self) -> None:
        """Release nothing: draws hold nothing."""

    def plans(self, epoch: int, position: int) -> Tuple[Plan, ...]:
        """Return the mixing plans of one batch."""
        mixing = self.mixing
        if mixing.mixup_type == "none" or not mixing.first <= epoch < mixing.last:
            return ()
        needed = uniforms_needed(mixing.mixup_type, mixing.grid)
        u = streams.uniforms(self.seed, "mixing", epoch, (position + 1) * needed)[-needed:]
        return draw_plans(
            mixing.mixup_type, self.batch_size, self.size, u, alpha=mixing.alpha, grid=mixing.grid
        )
