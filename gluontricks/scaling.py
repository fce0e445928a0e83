"""Loss scaling: keeps small float16 gradients above zero, on any engine."""

from __future__ import annotations

from typing import Dict, Optional

from gluontricks.errors import DivergedError

START = 2.0**16
GROWTH_INTERVAL = 2000
MOST_SKIPPED = 20


class LossScaler:
    """A factor on the loss: doubled after 2,000 good steps, halved when gradients overflow.

    Parameters
    ----------
    scale : float, optional
        A factor that stays. An update whose gradients overflow is left out all the same.

    Attributes
    ----------
    scale : float
        The factor now.
    good : int
        Steps without an overflow since the factor last changed.
    skipped : int
        Updates that were left out in all.
    in_a_row : int
        Updates that were left out without a good one between them.
    """

    def __init__(self, scale: Optional[float] = None) -> None:
        self.dynamic = scale is None
        self.scale = START if scale is None else scale
        self.good = 0
        self.skipped = 0
        self.in_a_row = 0

    def update(self, finite: bool) -> bool:
        """Take note of one step; return whether its update is to be done.

        Raises
        ------
        DivergedError
            At the 20th overflow in a row.
        """
        if finite:
            self.in_a_row = 0
            self.good += 1
            if self.dynamic and self.good == GROWTH_INTERVAL:
                self.scale, self.good = self.scale * 2, 0
            return True
        self.good = 0
        if self.dynamic:
            self.scale /= 2
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row == MOST_SKIPPED:
            raise DivergedError(
                f"the gradients overflowed {MOST_SKIPPED} times in a row",
                "give a lower --lr, or --dtype float32"
                if self.dynamic
                else f"give a smaller --loss-scale than {self.scale:g}, or none for a dynamic one",
            )
        return False

    def state(self) -> Dict[str, float]:
        """Return the counters as plain numbers."""
        return {
            "scale": self.scale,
            "scale_good": self.good,
            "scale_skipped": self.skipped,
            "scale_in_a_row": self.in_a_row,
        }

    def load_state(self, counters: Dict[str, float]) -> None:
        """Go on from what :meth:`state` gave."""
        self.scale = float(counters["scale"])
        self.good = int(counters["scale_good"])
        self.skipped = int(counters["scale_skipped"])
        self.in_a_row = int(counters["scale_in_a_row"])
