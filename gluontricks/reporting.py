"""What a run tells while it goes on: GluonCV's log lines, a live line, TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Protocol, TextIO

from gluontricks.errors import UsageError
from gluontricks.files import write_error
from gluontricks.recipes.spec import Recipe


class Reporter(Protocol):
    """Something that is told what happens."""

    def header(self, text: str) -> None:
        """Take the first line of a log."""
        ...

    def message(self, text: str) -> None:
        """Take a sentence for the user."""
        ...

    def batch(self, event: Dict[str, Any]) -> None:
        """Take note of an update.

        ``loss``, ``images_per_second`` and ``left`` (seconds) are None until they are known.
        """
        ...

    def interval(self, event: Dict[str, Any]) -> None:
        """Take the mean loss since the last log point."""
        ...

    def epoch(self, event: Dict[str, Any]) -> None:
        """Take the results of an epoch."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


def namespace_line(recipe: Recipe) -> str:
    """Return a recipe as the first line of GluonCV's logs."""
    return "Namespace(" + ", ".join(f"{k}={v!r}" for k, v in recipe.as_dict().items()) + ")"


def interval_line(event: Dict[str, Any]) -> str:
    """Return GluonCV's line of a log point."""
    return (
        f"Epoch[{event['epoch']}] Batch [{event['batch']}]\t"
        f"Speed: {event['images_per_second']:f} samples/sec\t"
        f"loss={event['loss']:f}\tlr={event['lr']:f}"
    )


def epoch_lines(event: Dict[str, Any]) -> List[str]:
    """Return GluonCV's three lines of an epoch."""
    return [
        f"[Epoch {event['epoch']}] training: loss={event['loss']:f}",
        f"[Epoch {event['epoch']}] speed: {event['images_per_second']:.0f} samples/sec\t"
        f"time cost: {event['seconds']:f}",
        f"[Epoch {event['epoch']}] validation: err-top1={1 - event['top1'] / 100:f} "
        f"err-top5={1 - event['top5'] / 100:f}",
    ]


def live_parts(event: Dict[str, Any]) -> List[str]:
    """Return what the live line says of an update, as far as it is known."""
    parts = [] if event["loss"] is None else [f"loss {event['loss']:.3f}"]
    parts.append(f"lr {event['lr']:.4f}")
    if event["left"] is not None:
        parts += [f"{event['images_per_second']:.0f} images/s", f"{clock(event['left'])} left"]
    return parts


class LineReporter:
    """GluonCV's log lines into a stream, such as a file or a pipe."""

    def __init__(self, stream: TextIO, *, owned: bool = False) -> None:
        self.stream, self.owned = stream, owned

    def write(self, line: str) -> None:
        """Write a line at once."""
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except OSError as error:
            raise write_error(error, Path(getattr(self.stream, "name", "log"))) from error

    def header(self, text: str) -> None:
        """Write the first line."""
        self.write(text)

    def message(self, text: str) -> None:
        """Write a sentence."""
        self.write(text)

    def batch(self, event: Dict[str, Any]) -> None:
        """Write nothing."""

    def interval(self, event: Dict[str, Any]) -> None:
        """Write the line of a log point."""
        self.write(interval_line(event))

    def epoch(self, event: Dict[str, Any]) -> None:
        """Write the lines of an epoch."""
        for line in epoch_lines(event):
            self.write(line)

    def close(self) -> None:
        """Close the stream if it is this object's own."""
        if self.owned:
            self.stream.close()


class LiveReporter:
    """One line on a terminal that is kept up to date, and one per epoch that stays."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.console = Console(highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f}%  {task.fields[rest]}"),
            console=self.console,
            transient=True,
        )
        self.task: Optional[Any] = None

    def header(self, text: str) -> None:
        """Print nothing: it is in the log file."""

    def message(self, text: str) -> None:
        """Print a sentence above the line."""
        self.console.print(text, markup=False)

    def batch(self, event: Dict[str, Any]) -> None:
        """Move the line on."""
        if self.task is None:
            self.progress.start()
            self.task = self.progress.add_task("", rest="")
        self.progress.update(
            self.task,
            description=f"epoch {event['epoch'] + 1}/{event['epochs']}",
            total=event["steps_per_epoch"],
            completed=event["batch"],
            rest="  ".join(live_parts(event)),
        )

    def interval(self, event: Dict[str, Any]) -> None:
        """Print nothing: the line shows the loss."""

    def epoch(self, event: Dict[str, Any]) -> None:
        """Print the epoch's results."""
        self.message(
            f"epoch {event['epoch'] + 1}  loss {event['loss']:.3f}  "
            f"top-1 {event['top1']:.2f} %  top-5 {event['top5']:.2f} %  "
            f"nll {event['nll']:.3f}  {event['images_per_second']:.0f} images/s  "
            f"{clock(event['seconds'])}"
        )

    def close(self) -> None:
        """Give the terminal back."""
        self.progress.stop()


class TensorBoardReporter:
    """Scalars for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "--tensorboard needs tensorboardX", "install it: pip install 'gluontricks[track]'"
            ) from error
        self.writer = SummaryWriter(str(folder))

    def header(self, text: str) -> None:
        """Write nothing."""

    def message(self, text: str) -> None:
        """Write nothing."""

    def batch(self, event: Dict[str, Any]) -> None:
        """Write nothing."""

    def interval(self, event: Dict[str, Any]) -> None:
        """Write loss and rate."""
        for name in ("loss", "lr"):
            self.writer.add_scalar(f"train/{name}", event[name], event["step"])

    def epoch(self, event: Dict[str, Any]) -> None:
        """Write the results of an epoch."""
        for name in ("top1", "top5", "nll"):
            self.writer.add_scalar(f"{event['split']}/{name}", event[name], event["step"])

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class Reporters:
    """Several reporters as one."""

    def __init__(self, reporters: List[Reporter]) -> None:
        self.reporters = reporters

    def header(self, text: str) -> None:
        """Pass the first line on."""
        for reporter in self.reporters:
            reporter.header(text)

    def message(self, text: str) -> None:
        """Pass a sentence on."""
        for reporter in self.reporters:
            reporter.message(text)

    def batch(self, event: Dict[str, Any]) -> None:
        """Pass an update on."""
        for reporter in self.reporters:
            reporter.batch(event)

    def interval(self, event: Dict[str, Any]) -> None:
        """Pass a log point on."""
        for reporter in self.reporters:
            reporter.interval(event)

    def epoch(self, event: Dict[str, Any]) -> None:
        """Pass an epoch on."""
        for reporter in self.reporters:
            reporter.epoch(event)

    def close(self) -> None:
        """Close them all."""
        for reporter in self.reporters:
            reporter.close()


def make_reporters(
    log: Path, *, quiet: bool, tensorboard: Optional[Path], stream: Optional[TextIO] = None
) -> Reporters:
    """Return the reporters of a run: its log file, the terminal or pipe, TensorBoard."""
    shown: TextIO = stream or sys.stdout
    try:
        handle = open(log, "a", encoding="utf-8")  # noqa: SIM115 (closed with the reporters)
    except OSError as error:
        raise write_error(error, log) from error
    reporters: List[Reporter] = [LineReporter(handle, owned=True)]
    if not quiet:
        reporters.append(LiveReporter() if shown.isatty() else LineReporter(shown))
    if tensorboard is not None:
        reporters.append(TensorBoardReporter(tensorboard))
    return Reporters(reporters)


def clock(seconds: float) -> str:
    """Return a duration such as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
