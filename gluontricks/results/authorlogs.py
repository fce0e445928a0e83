"""GluonCV's training logs: reading them, and keeping them as records labelled AUTHOR-LOG."""

from __future__ import annotations

import re
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from gluontricks.errors import DataError
from gluontricks.results import registry
from gluontricks.results.distrust import Distrust
from gluontricks.results.logreader import EXTRA, EXTRACTED, AuthorLog, parse
from gluontricks.results.plain import map_texts, plain, without_paths
from gluontricks.results.records import checked, completed
from gluontricks.results.schema import SCHEMA

__all__ = [
    "AuthorLog", "Distrust", "Imported", "author_records", "find_logs", "import_logs", "read_log",
]  # fmt: skip

LABEL = "AUTHOR-LOG"
WRITER = "author-logs"
REPOSITORY = "dmlc/web-data"
# A log of 600 epochs with a line every 50 batches has 10 MB.
LIMIT_BYTES = 50_000_000
# The folders of GluonCV's repository of logs, and of older revisions beside it.
PLACE = re.compile(
    r"(?:(?:^|/)history/(?P<commit>[0-9a-f]{7,40}))?(?:^|/)(?P<file>gluoncv/logs/.+)$"
)
IMAGES = {"imagenet": "imagenet", "horovod": "imagenet", "cifar": "cifar10"}


@dataclass(frozen=True)
class Imported:
    """A log that was imported: as read, its entry in the registry, and whether that is new."""

    log: AuthorLog
    entry: Mapping[str, Any]
    new: bool


def import_logs(
    paths: Sequence[Path], results_dir: Union[str, Path], *, origin: Optional[str] = None
) -> List[Imported]:
    """Read logs and add their records to the registry, all of them or, if one is bad, none.

    A log that is there already, by its SHA-256, adds nothing. One that is now read otherwise is
    added and supersedes the record that was made of it before.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders of them.
    results_dir : str or Path
        The folder of the registry.
    origin : str, optional
        ``repository@commit`` that the logs are from. By default GluonCV's repository of logs for
        files in its folders, without a commit. Files below ``history/COMMIT`` have that commit.

    Raises
    ------
    DataError
        If a log cannot be read.
    IntegrityError
        If the chain of the authors' logs lost lines.
    """
    found = find_logs(paths)
    logs = [read_log(path) for path in found]
    records = [make_record(log, origin_of(path, origin)) for path, log in zip(found, logs)]
    added = registry.add_foreign(records, results_dir, writer=WRITER)
    return [Imported(log, entry, new) for log, (entry, new) in zip(logs, added)]


def author_records(results_dir: Union[str, Path]) -> List[Dict[str, Any]]:
    """Return the records of authors' logs in the registry of ``results_dir``.

    ``record["source"]["log"]`` has the log's kind, flags and what not to trust;
    ``record["epochs"]`` is the curve.
    """
    return [record for record in registry.load(results_dir) if record["label"] == LABEL]


def make_record(log: AuthorLog, origin: Optional[str]) -> Dict[str, Any]:
    """Return the run record of a log. What the log does not say is null.

    Raises
    ------
    IntegrityError
        If the result is no valid record: a fault of this program.
    """
    flags = log.namespace or {}
    images = IMAGES.get(log.kind, flags.get("dataset"))
    record: Dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": f"log-{log.sha256[:16]}",
        "source": {
            "file": log.name, "sha256": log.sha256, "origin": origin, "log": _said(log),
        },
        "label": LABEL,
        "rows": [],
        "labels": images,
        "engine": "mxnet",
        "device": _device(flags),
        "dtype": flags.get("dtype"),
        "status": _status(log),
        "seed": {"root": flags.get("seed")},
        "data": {"name": images},
        "model": {"name": log.model},
        "metrics": _metrics(log),
        "epochs": list(log.epochs),
        "budget": _budget(log),
        "artefacts": [],
        "checks": {},
    }  # fmt: skip
    return checked(map_texts(completed(plain(record)), without_paths))


def _said(log: AuthorLog) -> Dict[str, Any]:
    """Return what only a log's record holds; flags that JSON cannot say become text."""
    flags = None if log.namespace is None else {k: _json(v) for k, v in log.namespace.items()}
    return {
        "kind": log.kind, "flags": flags, "train_metric": log.train_metric,
        "planned": log.planned, "restarts": log.restarts, "skipped": log.skipped,
        "distrust": [asdict(doubt) for doubt in log.distrust],
    }  # fmt: skip


def _json(value: Any) -> Any:
    """Return a flag's value, or its text if JSON cannot say it."""
    try:
        return plain(value)
    except TypeError:
        return repr(value)


def _device(flags: Mapping[str, Any]) -> Optional[str]:
    """Return cuda or cpu, or None where no flag tells."""
    devices = flags.get("num_gpus", flags.get("gpus"))
    if devices is None:
        return None
    return "cpu" if devices in (0, "", "-1") else "cuda"


def _status(log: AuthorLog) -> Optional[str]:
    if log.planned is None:
        return None
    return "stopped" if any(d.rule == "unfinished" for d in log.distrust) else "completed"


def _metrics(log: AuthorLog) -> Dict[str, Any]:
    """Return the last result and the best one."""
    names = ("top1", "top5", "loss", *EXTRA.get(log.kind, ()))
    last = {name: log.final[name] for name in names}
    return {**last, f"{log.metric}_best": log.best[log.metric], "best_epoch": log.best["epoch"]}


def _budget(log: AuthorLog) -> Dict[str, Any]:
    """Return what the run has cost, as far as every epoch says it."""
    times = [epoch["seconds"] for epoch in log.epochs]
    speeds = [e["images_per_second"] for e in log.epochs if e["images_per_second"] is not None]
    return {
        "epochs": len(log.epochs),
        "wall_s": None if None in times else round(sum(times), 3),
        "img_per_s": statistics.median(speeds) if speeds else None,
    }


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
    return parse(read_bytes(Path(source)), name_of(Path(source)))


def read_bytes(path: Path) -> bytes:
    """Return the content of a log's file.

    Raises
    ------
    DataError
        If it cannot be read or is too large for a log.
    """
    if not path.is_file():
        raise DataError(f"there is no log '{path}'", "name a file or a folder of logs")
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise DataError(
            f"'{path}' has {size / 1e6:,.0f} MB, logs have at most {LIMIT_BYTES / 1e6:.0f}",
            "name the log of one training",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}", "make it readable, or name another"
        ) from None


def name_of(path: Path) -> str:
    """Return a log's file within GluonCV's repository of logs; from elsewhere, its base name."""
    found = PLACE.search(path.absolute().as_posix())
    return found["file"] if found else path.name


def origin_of(path: Path, origin: Optional[str]) -> Optional[str]:
    """Return ``repository@commit`` of a log, as far as its folders and ``origin`` tell."""
    found = PLACE.search(path.absolute().as_posix())
    if found is None:
        return origin
    repository = (origin or REPOSITORY).split("@")[0]
    return f"{repository}@{found['commit']}" if found["commit"] else origin or repository


def find_logs(paths: Sequence[Path]) -> List[Path]:
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
            raise DataError(
                f"there is no log in the folder '{path}'", "name a folder of *.log files"
            )
        found += inside
    return list(dict.fromkeys(found))
