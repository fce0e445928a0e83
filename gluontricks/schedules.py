"""Learning rates as pure functions of the step, and the table of a whole run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence, Tuple

from gluontricks.errors import unknown

# Each takes t in [0, 1), the part of the steps after warm-up that is over, and gives a factor.
DECAYS: Dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda t: 1.0 - t,
    "poly": lambda t: (1.0 - t) ** 2,
    "cosine": lambda t: 0.5 * (1.0 + math.cos(math.pi * t)),
}


def rate(
    step: int,
    *,
    mode: str,
    peak: float,
    steps: int,
    warmup_steps: int = 0,
    decay: float = 0.1,
    decay_steps: Sequence[int] = (),
) -> float:
    """Return the learning rate of one step.

    With ``m`` warm-up steps and ``T`` steps after them, step ``i`` has ``peak * (i + 1) / m``
    while ``i < m``; then, for ``t = i - m``, cosine ``peak * (1 + cos(pi * t / T)) / 2``, poly
    ``peak * (1 - t / T)**2``, linear ``peak * (1 - t / T)``; step multiplies by ``decay`` from
    the first step of each entry of ``decay_steps`` on. So the peak is reached exactly, and the
    last update is not 0.

    Parameters
    ----------
    step : int
        0-based number of the update.
    mode : {'step', 'poly', 'cosine', 'linear', 'constant'}
    peak : float
        Highest rate.
    steps : int
        Updates of the whole run, warm-up included.
    warmup_steps : int
        Updates of the linear warm-up.
    decay : float
        Factor of each step of mode ``step``.
    decay_steps : sequence of int
        Updates from which mode ``step`` decays, counted from the start of the run.

    Raises
    ------
    UsageError
        If ``mode`` is unknown.

    References
    ----------
    He et al., Bag of Tricks for Image Classification with CNNs, 2019, sections 3.1 and 5.1.
    """
    if step < warmup_steps:
        return peak * ((step + 1) / warmup_steps)
    if mode == "step":
        return peak * decay ** sum(step >= s for s in decay_steps)
    if mode not in DECAYS:
        raise unknown("schedule", mode, [*DECAYS, "step"])
    return peak * DECAYS[mode]((step - warmup_steps) / (steps - warmup_steps))


def rate_gluoncv(
    step: int,
    *,
    mode: str,
    peak: float,
    steps: int,
    warmup_steps: int = 0,
    decay: float = 0.1,
    decay_steps: Sequence[int] = (),
) -> float:
    """Return what ``gluoncv.utils.LRSequential`` gives inside a trainer at the same step.

    Its counter is increased before it is asked, and it divides by one step less: warm-up starts
    at ``peak / (m - 1)`` and ends one step early, a step decay comes one update early, and the
    last update has rate 0. Parameters as in :func:`rate`; a phase of one step, where GluonCV
    divides by zero, has the value of its end.
    """
    count = min(step + 1, steps - 1)
    if count < warmup_steps:
        return peak * count / max(warmup_steps - 1, 1)
    done = count - warmup_steps
    if mode == "step":
        return peak * decay ** sum(count >= s for s in decay_steps)
    if mode not in DECAYS:
        raise unknown("schedule", mode, [*DECAYS, "step"])
    last = steps - warmup_steps - 1
    return peak * DECAYS[mode](done / last if last else 1.0)


FORMS: Dict[str, Callable[..., float]] = {"exact": rate, "gluoncv": rate_gluoncv}


@dataclass(frozen=True)
class Schedule:
    """A schedule in epochs.

    Attributes
    ----------
    mode : {'step', 'poly', 'cosine', 'linear', 'constant'}
    peak : float
        Highest rate.
    form : {'exact', 'gluoncv'}
        :func:`rate` or :func:`rate_gluoncv`.
    warmup_epochs : int
        Epochs of linear warm-up.
    warmup_lr : float
        Rate that it starts from, one step before the first.
    decay, decay_epochs
        Factor of mode ``step``, and the epochs that it is applied from.
    decay_from : {'start', 'warmup'}
        Whether ``decay_epochs`` count from the start of the run or from the end of warm-up.
    """

    mode: str
    peak: float
    form: str = "exact"
    warmup_epochs: int = 0
    warmup_lr: float = 0.0
    decay: float = 0.1
    decay_epochs: Tuple[int, ...] = ()
    decay_from: str = "start"


def rate_table(schedule: Schedule, *, epochs: int, steps_per_epoch: int) -> List[float]:
    """Return the learning rate of each of the ``epochs * steps_per_epoch`` updates of a run.

    Raises
    ------
    UsageError
        If the mode or the form is unknown.
    """
    if schedule.form not in FORMS:
        raise unknown("form of schedule", schedule.form, FORMS)
    offset = schedule.warmup_epochs if schedule.decay_from == "warmup" else 0
    decay_steps = [(epoch + offset) * steps_per_epoch for epoch in schedule.decay_epochs]
    total = epochs * steps_per_epoch
    rates = [
        FORMS[schedule.form](
            step,
            mode=schedule.mode,
            peak=schedule.peak,
            steps=total,
            warmup_steps=schedule.warmup_epochs * steps_per_epoch,
            decay=schedule.decay,
            decay_steps=decay_steps,
        )
        for step in range(total)
    ]
    for step in range(schedule.warmup_epochs * steps_per_epoch):
        rates[step] = schedule.warmup_lr + rates[step] * (1 - schedule.warmup_lr / schedule.peak)
    return rates
