"""Ctrl-C and SIGTERM as a wish that the loop looks at, not as an exception anywhere."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Dict, Optional


class Catcher:
    """Catches SIGINT and SIGTERM while open, in the main thread; a subclass says what follows."""

    def __init__(self) -> None:
        self.before: Dict[int, Any] = {}

    def __enter__(self) -> Any:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.catch)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def catch(self, number: int, frame: Any) -> None:
        """Do what is to follow from a signal."""
        raise NotImplementedError


class Interruption(Catcher):
    """Notes SIGINT and SIGTERM while open; the second one ends the process at once.

    Attributes
    ----------
    exit_code : int or None
        130 or 143 once a signal came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exit_code: Optional[int] = None

    def catch(self, number: int, frame: Any) -> None:
        """Note the signal."""
        del frame
        if self.exit_code is not None:
            os._exit(128 + number)
        self.exit_code = 128 + number
