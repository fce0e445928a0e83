"""One of GluonCV's training logs as data: flags, curve, final and best, and what not to trust."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from gluontricks.errors import DataError
from gluontricks.files import sha256_bytes
from gluontricks.results import distrust
from gluontricks.results.distrust import Distrust
from gluontricks.results.logformats import Event, events, percent

RATES = ("accuracy", "err-top1", "top1-err")
CURVE = ("epoch", "lr", "loss", "top1", "top5", "seconds", "train", "images_per_second")
EXTRA = {"detection": ("map",), "segmentation": ("pixacc", "miou")}
RESULT = {"detection": "map", "segmentation": "miou"}
EXTRACTED = ".extracted.csv"


@dataclass(frozen=True)
class AuthorLog:
    """What one log says.

    Attributes
    ----------
    name : str
        The file within the repository of logs, or its base name; empty for a text.
    sha256 : str
        Of the file.
    kind : str
        imagenet, cifar, horovod, detection or segmentation: the script that wrote it.
    namespace : dict or None
        Its flags as parsed; of the last start that reached the end of an epoch.
    epochs : tuple of dict
        The curve, in the form of a run record: ``epoch``, ``lr`` (the last one printed), ``loss``,
        ``top1``, ``top5`` (percent, validation), ``seconds``, ``train`` and
        ``images_per_second``; with detection ``map``, with segmentation ``pixacc`` and ``miou``
        (percent). None where the log does not say.
    train_metric : str or None
        What ``train`` is: ``accuracy`` and ``err-top1`` in percent, ``rmse`` as printed.
    restarts : int
        Starts after the first. An epoch that was run again counts as in the last start.
    planned : int or None
        The number of epochs that was asked for.
    distrust : tuple of Distrust
        What is not to be trusted, by rule. ``str`` gives a sentence.
    skipped : int
        Lines of other forms, which were passed over.
    """

    name: str
    sha256: str
    kind: str
    namespace: Optional[Dict[str, Any]]
    epochs: Tuple[Dict[str, Any], ...]
    train_metric: Optional[str]
    restarts: int
    planned: Optional[int]
    distrust: Tuple[Distrust, ...]
    skipped: int

    @property
    def metric(self) -> str:
        """The name of the result: top1, map or miou."""
        return RESULT.get(self.kind, "top1")

    @property
    def validated(self) -> Tuple[Dict[str, Any], ...]:
        """The epochs with a result."""
        return tuple(epoch for epoch in self.epochs if epoch[self.metric] is not None)

    @property
    def final(self) -> Dict[str, Any]:
        """The last epoch with a result."""
        return self.validated[-1]

    @property
    def best(self) -> Dict[str, Any]:
        """The epoch with the best result; the first of equals."""
        return max(self.validated, key=lambda epoch: epoch[self.metric])

    @property
    def seconds_per_epoch(self) -> Optional[float]:
        """The median over the epochs but for the first, or None."""
        times = [epoch["seconds"] for epoch in self.epochs[1:] if epoch["seconds"] is not None]
        return statistics.median(times) if times else None

    @property
    def model(self) -> Optional[str]:
        """The network: as the flags name it, otherwise as the file does."""
        flags = self.namespace or {}
        name = flags.get("model") or flags.get("save_prefix")
        if not isinstance(name, str) or not name:
            return re.sub(r"(_train)?(\.extracted)?$", "", PurePath(self.name).stem) or None
        squeezed = bool(flags.get("use_se")) and not name.startswith("se_")
        return f"se_{name}" if squeezed else name

    def trusts(self, column: str) -> bool:
        """Return whether no rule speaks against a column of the curve, ``flags`` or ``final``."""
        return not any(column in doubt.columns for doubt in self.distrust)


def parse(content: bytes, name: str) -> AuthorLog:
    """Return what the bytes of a log say; the errors are those of :func:`read_log`."""
    shown = name or "the text"
    if not content.strip():
        raise DataError(f"'{shown}' is empty", "name the log of a training")
    if b"\0" in content:
        raise DataError(f"'{shown}' is no text", "name a log; weights and archives are none")
    text = content.decode("utf-8", errors="replace")
    *lines, _cut = re.split(r"[\r\n]+", text)
    reader = _Reader()
    for event in events([line for line in lines if line]):
        reader.take(event)
    if len(reader.kinds) > 1:
        raise DataError(
            f"'{shown}' mixes logs of {' and '.join(sorted(reader.kinds))}",
            "split it into its logs",
        )
    return reader.log(name, sha256_bytes(content))


@dataclass
class _Batches:
    """What the batches of the current epoch said."""

    epoch: Optional[int]
    lr: Optional[float] = None
    speeds: List[float] = field(default_factory=list)


@dataclass
class _Reader:
    """The state of reading a log from its first event to its last."""

    kinds: Dict[str, None] = field(default_factory=dict)
    pending: Optional[Dict[str, Any]] = None
    parts: List[Tuple[int, Dict[str, Any]]] = field(default_factory=list)
    rows: Dict[int, Dict[str, Any]] = field(default_factory=dict)
    batches: _Batches = field(default_factory=lambda: _Batches(None))
    current: Optional[int] = None
    train_metric: Optional[str] = None
    planned: Optional[int] = None
    starts: int = 0
    jumps: int = 0
    over: bool = False
    unread: bool = False
    skipped: int = 0

    def take(self, event: Event) -> None:
        """Add what one line says."""
        if event.what == "flags" or (event.what == "start" and self.pending is None):
            self._start(event)
        elif self.over:
            self.skipped += 1
        elif event.what == "planned":
            self.planned = event.values["epochs"]
        elif event.what == "evaluation":
            self.over = True
        elif event.what == "batch":
            self._batch(event)
        elif event.what == "epoch":
            self._epoch(event)
        else:
            self.skipped += 1

    def _start(self, event: Event) -> None:
        """Note that a run begins; what was before counts until it has ended an epoch."""
        found = event.values.get("flags", {})
        self.starts += 1
        self.pending, self.unread = found or {}, found is None
        self.over, self.batches = False, _Batches(None)

    def _batch(self, event: Event) -> None:
        """Note what a line says of an epoch that goes on."""
        if event.epoch != self.batches.epoch:
            self.batches = _Batches(event.epoch)
        self.train_metric = event.values.get("train_metric", self.train_metric)
        self.batches.lr = event.values.get("lr")
        if "speed" in event.values:
            self.batches.speeds.append(event.values["speed"])

    def _epoch(self, event: Event) -> None:
        """Add what a line says of an epoch that has ended; if it names none, of the last named."""
        epoch = event.epoch
        if epoch is None and self.batches.epoch is not None:
            epoch = self.batches.epoch
        elif epoch is None and self.pending is None:
            epoch = self.current
        if epoch is None:
            self.skipped += 1
            return
        if event.kind:
            self.kinds[event.kind] = None
        if epoch != self.current or self.pending is not None:
            self._begin(epoch)
        values = dict(event.values)
        self.train_metric = values.pop("train_metric", self.train_metric)
        row = self.rows.setdefault(epoch, {})
        row.update(values)
        if self.batches.epoch == epoch:
            row["lr"] = self.batches.lr
            if self.batches.speeds:
                row["images_per_second"] = statistics.median(self.batches.speeds)

    def _begin(self, epoch: int) -> None:
        """Go on to an epoch; if it is not after the last one, the run was started again."""
        if self.pending is None and self.current is not None and epoch < self.current:
            self.jumps += 1
        self.rows = {known: row for known, row in self.rows.items() if known < epoch}
        self.parts = [part for part in self.parts if part[0] < epoch]
        if self.pending is not None:
            self.parts.append((epoch, self.pending))
            self.pending = None
        self.current = epoch

    def log(self, name: str, sha256: str) -> AuthorLog:
        """Return all of it.

        Raises
        ------
        DataError
            If there is no epoch with a result, or a rate that cannot be.
        """
        shown = name or "the text"
        kind = next(iter(self.kinds), "")
        flags = self.parts[-1][1] if self.parts else {}
        metric = self.train_metric
        if kind == "cifar" and flags:
            # The CIFAR scripts print no name; only the one with mixup has this flag.
            metric = "rmse" if "logging_dir" in flags else "accuracy"
        epochs = tuple(_curve(self.rows, kind, metric, shown))
        if not any(epoch[RESULT.get(kind, "top1")] is not None for epoch in epochs):
            raise DataError(
                f"'{shown}' holds no validated epoch in a format of GluonCV's logs",
                "name a log of its ImageNet, CIFAR, horovod, Faster R-CNN or FCN script",
            )
        planned = flags.get("num_epochs", flags.get("epochs", self.planned))
        log = AuthorLog(
            name, sha256, kind, flags or None, epochs, metric,
            max(0, self.starts - 1) + self.jumps,
            planned if isinstance(planned, int) else None, (), self.skipped,
        )  # fmt: skip
        return replace(log, distrust=tuple(self._doubts(log)))

    def _doubts(self, log: AuthorLog) -> Iterator[Distrust]:
        """Yield what is not to be trusted."""
        flags = log.namespace or {}
        yield from distrust.training_accuracy(log.epochs, log.train_metric)
        # What was never measured can lie on any grid.
        invented = tuple(distrust.linear_validation(log.epochs))
        yield from invented or distrust.padded_validation(log.epochs, flags)
        yield from distrust.other_model(flags, log.name)
        yield from distrust.changed_flags(self.parts)
        yield from distrust.unfinished(log.epochs, log.planned, log.metric)
        if self.unread:
            yield Distrust("unread-flags", ("flags",), "the Namespace is not one of plain values")
        if log.name.endswith(EXTRACTED):
            yield Distrust("extract", ("final",), "a table made from a log, with three digits")


def _curve(
    rows: Mapping[int, Mapping[str, Any]], kind: str, metric: Optional[str], shown: str
) -> Iterator[Dict[str, Any]]:
    """Yield the epochs in order, each with all columns; what is not finite is None."""
    rates = ("top1", "top5", *EXTRA.get(kind, ()))
    for epoch, row in sorted(rows.items()):
        values = {name: row.get(name) for name in dict.fromkeys((*CURVE, *rates))}
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                values[name] = None
        values["epoch"] = epoch
        for name in rates:
            rate = values[name]
            if rate is not None and not 0 <= rate <= 100:
                raise DataError(
                    f"'{shown}' has {name} {rate:g} % in epoch {epoch}",
                    "the log is damaged; take it anew from where it came",
                )
        if metric in RATES and values["train"] is not None:
            values["train"] = percent(values["train"])
        yield values
