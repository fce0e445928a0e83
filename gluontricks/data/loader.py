"""Batches of images on disk, decoded ahead of time by processes.

Results do not depend on the number of processes: an image is a function of its file and its draws.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable, Iterator, Optional

import numpy as np

from gluontricks.data.listing import Listing
from gluontricks.data.pool import Pool, Request

if TYPE_CHECKING:
    from gluontricks.pipeline import Batch

# Batches that are decoded ahead of the one that is used.
AHEAD = 2
Needed = Callable[[Any], np.ndarray]


class Loader:
    """Decodes what is asked for, in order, a little ahead.

    Parameters
    ----------
    listing : Listing
    workers : int
        Processes; 0 decodes here.
    view : PlainView or TrainView
        What is made of an image.
    """

    def __init__(self, listing: Listing, *, workers: int, view: Any) -> None:
        self.listing, self.view = listing, view
        self.count = workers
        self.pool: Optional[Pool] = None
        self.busy = False

    def batches(self, drawn: Iterable[Batch], needed: Optional[Needed] = None) -> Iterator[Batch]:
        """Yield batches with their images, augmented, in place of the draws of augmentation.

        Parameters
        ----------
        drawn : iterable of Batch
            With indices.
        needed : callable, optional
            Tells the places in a batch whose images are used here; the others stay black.

        Raises
        ------
        DataError
            If an image is damaged.
        WorkerError
            If a process has died, or does not answer.
        """
        waiting: Deque[Batch] = deque()

        def requests() -> Iterator[Request]:
            for batch in drawn:
                waiting.append(batch)
                rows = None if needed is None else needed(batch)
                assert batch.indices is not None
                yield Request(batch.indices, dict(batch.augment), rows)

        for images in self.decoded(requests()):
            yield replace(waiting.popleft(), images=images, augment={})

    def chunks(self, size: int) -> Iterator[np.ndarray]:
        """Yield all images in order, ``size`` at a time; the last may be fewer."""
        starts = range(0, len(self.listing), size)
        every = np.arange(len(self.listing))
        yield from self.decoded(Request(every[start : start + size], {}) for start in starts)

    def decoded(self, requests: Iterable[Request]) -> Iterator[np.ndarray]:
        """Return an iterator over the images of each request, uint8 (N, size, size, 3)."""
        return self.by_processes(requests) if self.count else map(self.here, requests)

    def by_processes(self, requests: Iterable[Request]) -> Iterator[np.ndarray]:
        """Yield the images of each request, made by the processes."""
        if self.busy:
            raise RuntimeError("a loader decodes one series at a time")
        self.busy, whole = True, False
        pool = self.pool
        try:
            for request in requests:
                pool = self.pool_for(len(request.indices))
                pool.ask(request)
                if len(pool.under_way) > AHEAD:
                    yield pool.answer()
            while pool is not None and pool.under_way:
                yield pool.answer()
            whole = True
        finally:
            self.busy = False
            if not whole:
                # Unread answers would be taken for those to later questions.
                self.close()

    def here(self, request: Request) -> np.ndarray:
        """Return the images of a request, made in this process."""
        job = request.piece(0, 1, 0)
        images = np.zeros((len(request.indices), self.view.size, self.view.size, 3), np.uint8)
        if len(job.indices):
            images[job.rows] = self.view.images(self.listing, job.indices.tolist(), job.draws)
        return images

    def pool_for(self, count: int) -> Pool:
        """Return the processes, with room for ``count`` images in a batch."""
        if self.pool is not None and self.pool.room < count:
            if self.pool.under_way:
                raise RuntimeError("the first batch of a series is its largest")
            self.close()
        if self.pool is None:
            self.pool = Pool(self.listing, self.view, self.count, room=count, slots=AHEAD + 1)
        return self.pool

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None
