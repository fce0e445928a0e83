"""The loop: epochs, evaluation, checkpoints. It knows neither a framework nor a trick."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from gluontricks import checkpoints
from gluontricks.checkpoints import Checkpoint
from gluontricks.data.images import Images
from gluontricks.draws import Draws
from gluontricks.errors import DivergedError, IntegrityError
from gluontricks.feed import Feed
from gluontricks.files import make_folder, write_atomic
from gluontricks.learners import Learner, LearnerState
from gluontricks.metrics import evaluate_logits
from gluontricks.params_file import dump_params
from gluontricks.pipeline import Batch
from gluontricks.reporting import Reporters, clock
from gluontricks.rundir import RunDirectory, read_metrics
from gluontricks.signals import Interruption

SAVE_SECONDS = 300.0
# The first updates compile.
UNTIMED_STEPS = 3
EPOCH_LOSSES = "l/epoch"
# Images that are decoded ahead of their evaluation.
EVALUATED_AT_ONCE = 256
PARAMETERS_FOLDER = "params"


@dataclass
class Training:
    """Everything the loop needs, made by :mod:`gluontricks.builders`.

    ``evaluation`` is evaluated after each epoch; ``selects`` says whether its best epoch is
    kept, and ``rates`` holds the learning rate of every update. ``first_step`` is where a new run
    begins; after every ``save_frequency`` epochs its parameters become a file of their own.
    """

    learner: Learner
    draws: Union[Draws, Feed]
    rates: Sequence[float]
    epochs: int
    evaluation: Images
    selects: bool
    folder: RunDirectory
    reporters: Reporters
    log_interval: int
    max_steps: float = float("inf")
    first_step: int = 0
    save_frequency: int = 0


@dataclass
class Progress:
    """How far a run is: updates done, and the losses of those of the epoch it is in.

    ``recent`` is the mean of the last losses that were read, None before there is one.
    """

    step: int = 0
    losses: List[float] = field(default_factory=list)
    recent: Optional[float] = None
    best: float = float("-inf")
    saved: float = field(default_factory=time.monotonic)
    steps_here: int = 0
    speed: Speed = field(default_factory=lambda: Speed())


class Speed:
    """The time of an update, taken between moments at which losses were read.

    Only these say how far the learner is: an update that was handed over may still be waiting.

    Parameters
    ----------
    before : float, optional
        Seconds per update of the epoch before.
    """

    def __init__(self, before: Optional[float] = None) -> None:
        self.before = before
        self.started = time.monotonic()
        self.steps = 0
        self.waited = 0.0
        self.first: Optional[Tuple[int, float]] = None
        self.last = (0, self.started)

    def note(self) -> None:
        """Take note that all updates so far are done."""
        self.last = (self.steps, time.monotonic())
        if self.first is None and self.steps >= UNTIMED_STEPS:
            self.first = self.last

    def measured(self) -> Optional[float]:
        """Return the seconds of an update between the first and the last note, None without two."""
        if self.first is None or self.first == self.last:
            return None
        (early, start), (late, end) = self.first, self.last
        return (end - start) / (late - early)

    def waiting(self) -> float:
        """Return the part of the time that was spent waiting for batches."""
        return self.waited / max(time.monotonic() - self.started, 1e-9)

    def expected(self) -> Optional[float]:
        """Return the seconds that the next update will take, None before that can be told."""
        return self.measured() or self.before

    def seconds_per_step(self) -> float:
        """Return the mean time of an update, the first ones left out if there are others."""
        steps, now = self.last
        return self.measured() or (now - self.started) / max(steps, 1)


class Outcome(NamedTuple):
    """How a run ended: ``completed`` or ``stopped``, after which update, on which signal."""

    status: str
    step: int
    exit_code: int = 0


def fit(training: Training) -> Outcome:
    """Train from the newest checkpoint to the end, or until a signal or the most updates.

    Raises
    ------
    DivergedError
        If a loss is not finite; nothing is saved after it.
    """
    with Interruption() as interruption:
        progress = restore(training)
        while progress.step < len(training.rates):
            if not train_epoch(training, progress, interruption):
                save(training, progress)
                return Outcome("stopped", progress.step, interruption.exit_code or 0)
            finish_epoch(training, progress)
    return Outcome("completed", progress.step)


def train_epoch(training: Training, progress: Progress, interruption: Interruption) -> bool:
    """Do the updates that the epoch still has; return False if the run is to stop before."""
    per_epoch = training.draws.steps_per_epoch
    epoch, position = divmod(progress.step, per_epoch)
    for batch in timed(training.draws.batches(epoch, position), progress.speed):
        if interruption.exit_code is not None or progress.step >= training.max_steps:
            return False
        training.learner.step(batch)
        progress.step += 1
        progress.steps_here += 1
        progress.speed.steps += 1
        if progress.speed.steps == UNTIMED_STEPS:
            collect(training, progress)
        training.reporters.batch(describe(training, progress, epoch))
        if (batch.position + 1) % training.log_interval == 0:
            log_interval(training, progress, epoch)
        if progress.steps_here == 2 * UNTIMED_STEPS:
            report_cost(training, progress)
        # After an epoch's last update the checkpoint waits for the evaluation, or it were lost.
        last = batch.position + 1 == per_epoch
        if not last and time.monotonic() - progress.saved > SAVE_SECONDS:
            save(training, progress)
    return True


def timed(batches: Iterator[Batch], speed: Speed) -> Iterator[Batch]:
    """Yield batches; add the time that each was waited for."""
    while True:
        began = time.monotonic()
        batch = next(batches, None)
        speed.waited += time.monotonic() - began
        if batch is None:
            return
        yield batch


def collect(training: Training, progress: Progress) -> None:
    """Wait for the losses, keep them, and stop if one is not finite."""
    fresh = training.learner.losses()
    bad = np.flatnonzero(~np.isfinite(fresh))
    if len(bad):
        raise_diverged(training, progress.step - len(fresh) + int(bad[0]))
    progress.losses += fresh.tolist()
    if len(fresh):
        progress.recent = float(np.mean(fresh))
        progress.speed.note()


def raise_diverged(training: Training, step: int) -> None:
    """Raise the error that names the first bad update, its rate and its batch."""
    epoch, position = divmod(step, training.draws.steps_per_epoch)
    batch = next(training.draws.batches(epoch, position))
    images = "" if batch.indices is None else f", images {batch.indices[:8].tolist()}..."
    raise DivergedError(
        f"the loss of step {step} is not finite (epoch {epoch}, batch {position}, "
        f"lr {training.rates[step]:g}{images})",
        "give a lower --lr or a longer --warmup-epochs; the last checkpoint is from before it",
    )


def describe(training: Training, progress: Progress, epoch: int) -> Dict[str, Any]:
    """Return where the run is; what cannot be told yet is None."""
    seconds = progress.speed.expected()
    left = len(training.rates) - progress.step
    return {
        "epoch": epoch,
        "epochs": training.epochs,
        "batch": (progress.step - 1) % training.draws.steps_per_epoch + 1,
        "steps_per_epoch": training.draws.steps_per_epoch,
        "step": progress.step,
        "lr": training.rates[progress.step - 1],
        "loss": progress.recent,
        "images_per_second": seconds and training.draws.batch_size / seconds,
        "left": seconds and seconds * left,
    }


def log_interval(training: Training, progress: Progress, epoch: int) -> None:
    """Write a log point: the mean loss since the last one."""
    collect(training, progress)
    event = describe(training, progress, epoch)
    event["loss"] = float(np.mean(progress.losses[-training.log_interval :]))
    event["images_per_second"] = training.draws.batch_size / progress.speed.seconds_per_step()
    training.reporters.interval(event)
    kept = ("epoch", "batch", "step", "lr", "loss", "images_per_second")
    training.folder.append_metrics({"event": "interval", **{key: event[key] for key in kept}})


def report_cost(training: Training, progress: Progress) -> None:
    """Tell what the first updates showed of the run's time and memory."""
    import psutil

    collect(training, progress)
    memory = psutil.Process().memory_info().rss / 2**30
    left = progress.speed.seconds_per_step() * (len(training.rates) - progress.step)
    waiting = ""
    if isinstance(training.draws, Feed):
        waiting = f", {progress.speed.waiting():.0%} of the time spent waiting for images"
    training.reporters.message(
        f"{training.draws.steps_per_epoch} updates an epoch, {training.epochs} epochs, about "
        f"{clock(left)} left without evaluation; {memory:.1f} GB of memory in use{waiting}"
    )


def finish_epoch(training: Training, progress: Progress) -> None:
    """Evaluate, write the epoch's line, keep the best, save."""
    collect(training, progress)
    epoch = progress.step // training.draws.steps_per_epoch - 1
    seconds = progress.speed.seconds_per_step()
    waiting = progress.speed.waiting()
    logits = predicted(training.learner, training.evaluation)
    result = evaluate_logits(logits, training.evaluation.labels)
    event = {
        "event": "epoch",
        "epoch": epoch,
        "step": progress.step,
        "lr": training.rates[progress.step - 1],
        "loss": float(np.mean(progress.losses)),
        "split": training.evaluation.split,
        **result,
        "seconds": seconds * training.draws.steps_per_epoch,
        "images_per_second": training.draws.batch_size / seconds,
        "waiting": waiting,
    }
    training.reporters.epoch(event)
    training.folder.append_metrics(event)
    progress.losses = []
    progress.speed = Speed(seconds)
    if training.selects and result["top1"] > progress.best:
        progress.best = result["top1"]
        checkpoints.write_best(training.folder.path, progress.step, snapshot(training, progress))
    if training.save_frequency and (epoch + 1) % training.save_frequency == 0:
        write_parameters(training, epoch)
    save(training, progress)


def predicted(learner: Learner, images: Images) -> np.ndarray:
    """Return the logits (N, classes) of all images of a data set, each once."""
    batch = learner.spec.batch_size
    pieces = images.chunks(max(EVALUATED_AT_ONCE // batch, 1) * batch)
    return np.concatenate([learner.predict(piece) for piece in pieces])


def write_parameters(training: Training, epoch: int) -> None:
    """Write what is evaluated after an epoch as a ``.params`` file."""
    arrays = checkpoints.network_of(training.learner.state().arrays)
    folder = make_folder(training.folder.path / PARAMETERS_FOLDER)
    write_atomic(folder / f"{training.learner.spec.model}-{epoch:04d}.params", dump_params(arrays))


def snapshot(training: Training, progress: Progress) -> Checkpoint:
    """Return the state of the run: a function of recipe, seed and step.

    Raises
    ------
    DivergedError
        If a parameter is not finite.
    """
    collect(training, progress)
    state = training.learner.state()
    for key, value in state.arrays.items():
        if not np.isfinite(value).all():
            raise DivergedError(
                f"'{key}' is not finite after step {progress.step - 1} "
                f"(lr {training.rates[progress.step - 1]:g})",
                "give a lower --lr; the last checkpoint is from before it",
            )
    arrays = {**state.arrays, EPOCH_LOSSES: np.array(progress.losses, dtype=np.float32)}
    return Checkpoint(arrays, {"step": progress.step, **state.counters})


def save(training: Training, progress: Progress) -> None:
    """Write a checkpoint."""
    checkpoints.write(training.folder.path, progress.step, snapshot(training, progress))
    progress.saved = time.monotonic()


def restore(training: Training) -> Progress:
    """Go on from the newest checkpoint; write the first one where there is none.

    The first one, before any update, proves that there is a place to write to.
    """
    progress = Progress(step=training.first_step)
    found = checkpoints.newest(training.folder.path, training.reporters.message)
    if found is None:
        if read_metrics(training.folder.path):
            raise IntegrityError(
                f"'{training.folder.path}' has metrics and no checkpoint",
                "--no-resume starts again and keeps this folder aside",
            )
        save(training, progress)
        return progress
    arrays = dict(found.arrays)
    progress.losses = arrays.pop(EPOCH_LOSSES).tolist()
    progress.step = int(found.counters["step"])
    training.learner.load_state(LearnerState(arrays, found.counters))
    kept = training.folder.cut_metrics(progress.step)
    epochs = [event for event in kept if event["event"] == "epoch"]
    progress.best = max((event["top1"] for event in epochs), default=float("-inf"))
    training.reporters.message(f"resumed after step {progress.step} of {len(training.rates)}")
    return progress
