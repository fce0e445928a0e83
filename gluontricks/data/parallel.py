"""One function over many items, in processes of its own; results come in the items' order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Deque, Iterable, Iterator

from gluontricks.errors import WorkerError

_task: Any = None


def ordered(
    function: Callable[[Any, Any], Any], shared: Any, items: Iterable[Any], jobs: int
) -> Iterator[Any]:
    """Yield ``function(shared, item)`` for every item.

    Parameters
    ----------
    function : callable
        Of a module, so that other processes find it by its name.
    shared : object
        Sent to each process once.
    items : iterable
        Taken a little ahead of what is yielded.
    jobs : int
        Processes; with 1 all is done in this one.

    Raises
    ------
    WorkerError
        If a process is killed. What ``function`` raises is raised here.
    """
    if jobs <= 1:
        for item in items:
            yield function(shared, item)
        return
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(function, shared),
    )
    waiting: Deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_do, item))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "one of the processes was killed",
            "that is often a lack of memory: give fewer with -j; the same command goes on",
        ) from error
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()


def _begin(function: Callable[[Any, Any], Any], shared: Any) -> None:
    global _task
    _task = (function, shared)
    # Ctrl-C is for the parent, which then ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _do(item: Any) -> Any:
    function, shared = _task
    return function(shared, item)
