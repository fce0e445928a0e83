"""GluonCV's training logs as data: flags, curve, final and best, and what not to trust in them."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from gluontricks.errors import DataError
from gluontricks.files import sha256_bytes
from gluontricks.results import distrust
from gluontricks.results.distrust import Distrust
from gluontricks.results.logformats import Event, events, percent

__all__ = ["AuthorLog", "Distrust", "find_logs", "read_log"]

# A log of 600 epochs with a line every 50 batches has 10 MB.
LIMIT_BYTES = 50_000_000
RATES = ("accuracy", "err-top1", "top1-err")
CURVE = ("epoch", "lr", "loss", "top1", "top5", "seconds", "train", "images_per_second")
EXTRA = {"detection": ("map",), "segmentation": ("pixacc", "miou")}
RESULT = {"detection": "map", "segmentation": "miou"}
# The folders of GluonCV's own repository of logs, and of older revisions beside it.
PLACE = re.compile(r"(?:(?:^|/)history/(?P<commit>[0-9a-f]{7,40}))?(?:^|/)(?P<file>gluoncv/logs/.+)$")
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
            return re.sub(r"(_train)?(\.extracted)?$", "", Path(self.name).stem) or None
        squeezed = bool(flags.get("use_se")) and not name.startswith("se_")
        return f"se_{name}" if squeezed else name

    def trusts(self, column: str) -> bool:
        """Return whether no rule speaks against a column of the curve, ``flags`` or ``final``."""
        return not any(column in doubt.columns for doubt in self.distrust)


def read_log(source: Union[str, Path], *, name: Optional[str] = None) -> AuthorLog:
    """Read a log.

    A last line without an end was cut and is not read.

    Parameters
    ----------
    source : str or Path
        A file, or the text of one: a string of more than one line is a text.
    name : str, optional
        The file's name where a text is given.

    Raises
    ------
    DataError
        If there is no such file, if it is too large, no text, or holds no epoch of a known format.
    """
    if isinstance(source, str) and (re.search(r"[\r\n]", source) or not source):
        return parse(source.encode(), name or "")
    return parse(read_bytes(Path(source)), place(Path(source))[0])


def read_bytes(path: Path) -> bytes:
    """Return the content of a log's file.

    Raises
    ------
    DataError
        If it cannot be read or is too large for a log.
    """
    try:
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise DataError(
                f"'{path}' has {size / 1e6:,.0f} MB, logs have at most {LIMIT_BYTES / 1e6:.0f}",
                "name the log of one training",
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no log '{path}'", "name a file or a folder of logs") from None
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}", "name a file or a folder of logs"
        ) from None


def parse(content: bytes, name: str) -> AuthorLog:
    """Return what the bytes of a log say; the errors are those of :func:`read_log`."""
    shown = name or "the text"
    if not content.strip():
        raise DataError(f"'{shown}' is empty", "name the log of a training")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"'{shown}' is no text", "name a log; weights and archives are none")
    *lines, _cut = re.split(r"[\r\n]+", text)
    reader = _Reader()
    for event in events([line for line in lines if line]):
        reader.take(event)
    if len(reader.kinds) > 1:
        raise DataError(
            f"'{shown}' mixes logs of {' and '.join(sorted(reader.kinds))}", "split it into its logs"
        )
    return reader.log(name, sha256_bytes(content))


@dataclass
class _Reader:
    """The state of reading a log from its first event to its last."""

    kinds: Dict[str, None] = field(default_factory=dict)
    pending: Optional[Dict[str, Any]] = None
    starts: int = 0
    parts: List[Tuple[int, Dict[str, Any]]] = field(default_factory=list)
    rows: Dict[int, Dict[str, Any]] = field(default_factory=dict)
    batches: Dict[str, Any] = field(default_factory=dict)
    current: Optional[int] = None
    train_metric: Optional[str] = None
    planned: Optional[int] = None
    jumps: int = 0
    over: bool = False
    skipped: int = 0

    def take(self, event: Event) -> None:
        """Add what one line says."""
        if event.what == "flags" or (event.what == "start" and self.pending is None):
            self.starts += 1
            self.pending = event.values.get("flags") or {}
            self.over = False
        elif self.over:
            self.skipped += 1
        elif event.what == "planned":
            self.planned = event.values["epochs"]
        elif event.what == "evaluation":
            self.over = True
        elif event.what in ("epoch", "batch"):
            self._number(event)
        else:
            self.skipped += 1

    def _number(self, event: Event) -> None:
        """Add what a line says of an epoch, or of a batch in it."""
        epoch = self.current if event.epoch is None else event.epoch
        if epoch is None:
            self.skipped += 1
            return
        self._begin(epoch)
        if event.kind:
            self.kinds[event.kind] = None
        values = dict(event.values)
        self.train_metric = values.pop("train_metric", self.train_metric)
        if event.what == "epoch":
            self.rows.setdefault(epoch, {}).update(values)
            if "lr" in self.batches:
                self.rows[epoch]["lr"] = self.batches["lr"]
            return
        self.batches["lr"] = values.get("lr")
        self.batches.setdefault("speeds", []).append(values.get("speed"))

    def _begin(self, epoch: int) -> None:
        """Go on to an epoch; if it is not after the last one the run was started again."""
        again = self.pending is not None
        if epoch == self.current and not again:
            return
        self._end()
        if self.current is not None and epoch < self.current and not again:
            self.jumps += 1
        for known in [known for known in self.rows if known >= epoch]:
            del self.rows[known]
        self.parts = [part for part in self.parts if part[0] < epoch]
        if self.pending is not None:
            self.parts.append((epoch, self.pending))
            self.pending = None
        self.current = epoch

    def _end(self) -> None:
        """Note what the batches of an epoch said, if the epoch was finished."""
        speeds = [speed for speed in self.batches.get("speeds", ()) if speed is not None]
        if self.current in self.rows and speeds:
            self.rows[self.current]["images_per_second"] = statistics.median(speeds)
        self.batches = {}

    def log(self, name: str, sha256: str) -> AuthorLog:
        """Return all of it."""
        self._end()
        kind = next(iter(self.kinds), "")
        column = RESULT.get(kind, "top1")
        if not any(row.get(column) is not None for row in self.rows.values()):
            raise DataError(
                f"'{name or 'the text'}' holds no validated epoch of a format of GluonCV's logs",
                "name a log of its ImageNet, CIFAR, horovod, Faster R-CNN or FCN script",
            )
        flags = self.parts[-1][1] if self.parts else None
        metric = self._metric(kind, flags or {})
        epochs = tuple(self._curve(kind, metric))
        planned = (flags or {}).get("num_epochs", (flags or {}).get("epochs", self.planned))
        planned = planned if isinstance(planned, int) else None
        return AuthorLog(
            name, sha256, kind, flags or None, epochs, metric,
            max(0, self.starts - 1) + self.jumps, planned,
            tuple(self._doubts(name, kind, epochs, metric, planned)), self.skipped,
        )  # fmt: skip

    def _metric(self, kind: str, flags: Mapping[str, Any]) -> Optional[str]:
        """Return what the training metric is; the CIFAR scripts print no name for it."""
        if kind != "cifar":
            return self.train_metric
        return "rmse" if "logging_dir" in flags else "accuracy"

    def _curve(self, kind: str, metric: Optional[str]) -> Iterator[Dict[str, Any]]:
        """Yield the epochs in order, each with all columns."""
        for epoch, row in sorted(self.rows.items()):
            values = {name: row.get(name) for name in (*CURVE, *EXTRA.get(kind, ()))}
            values["epoch"] = epoch
            if metric in RATES and values["train"] is not None:
                values["train"] = percent(values["train"])
            yield values

    def _doubts(
        self,
        name: str,
        kind: str,
        epochs: Tuple[Dict[str, Any], ...],
        metric: Optional[str],
        planned: Optional[int],
    ) -> Iterator[Distrust]:
        """Yield what is not to be trusted."""
        flags = self.parts[-1][1] if self.parts else {}
        yield from distrust.training_accuracy(epochs, metric)
        # What was never measured can lie on any grid.
        invented = tuple(distrust.linear_validation(epochs))
        yield from invented or distrust.padded_validation(epochs, flags)
        yield from distrust.other_model(flags, name)
        yield from distrust.changed_flags(self.parts)
        yield from distrust.unfinished(epochs, planned, RESULT.get(kind, "top1"))
        if name.endswith(EXTRACTED):
            yield Distrust("extract", ("final",), "a table made from a log, with three digits")


def place(path: Path) -> Tuple[str, Optional[str]]:
    """Return a log's file within GluonCV's repository of logs, and an older commit if it is of one.

    A file from elsewhere is its base name.
    """
    found = PLACE.search(path.absolute().as_posix())
    return (found["file"], found["commit"]) if found else (path.name, None)


def find_logs(paths: List[Path]) -> List[Path]:
    """Return the logs that ``paths`` name, those of folders by name.

    Raises
    ------
    DataError
        If a folder holds none.
    """
    found: List[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted([*path.rglob("*.log"), *path.rglob(f"*{EXTRACTED}")])
        if not inside:
            raise DataError(f"there is no log in the folder '{path}'", "name a folder of *.log files")
        found += inside
    return list(dict.fromkeys(found))
