"""The batches of a run on images on disk: drawn as always, then decoded by processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Sequence, Tuple

import numpy as np

from gluontricks.data.loader import Loader
from gluontricks.draws import Draws
from gluontricks.pipeline import Batch, shard_of


class Feed:
    """Draws whose batches bring their images.

    Parameters
    ----------
    draws : Draws
    loader : Loader
    shards : int
        Parts that every batch is divided into.
    own : sequence of int
        Those of them that this process computes: only what they need is decoded.
    """

    def __init__(self, draws: Draws, loader: Loader, *, shards: int, own: Sequence[int]) -> None:
        self.draws, self.loader, self.shards, self.own = draws, loader, shards, own
        self.batch_size = draws.batch_size
        self.steps_per_epoch = draws.steps_per_epoch

    @property
    def size(self) -> Tuple[int, int]:
        """Return the height and the width of the network's input."""
        return self.draws.size

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` from position ``start`` on, with their images."""
        drawn = self.draws.batches(epoch, start)
        return self.loader.batches(drawn, needed=self.needed)

    def close(self) -> None:
        """End the processes that decode."""
        self.loader.close()

    def needed(self, batch: Batch) -> np.ndarray:
        """Return the places in a batch of the images that this process works on."""
        count = len(batch.labels)
        if len(self.own) == self.shards:
            return np.arange(count)
        numbered = replace(batch, indices=np.arange(count))
        parts = [shard_of(numbered, shard, self.shards) for shard in self.own]
        return np.unique(np.concatenate([p.indices for p in parts if p.indices is not None]))
