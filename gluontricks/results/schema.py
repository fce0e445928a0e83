"""The form of a run record, ``gluontricks.run/1``, and what is wrong with one that differs."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

from gluontricks.files import sha256_bytes
from gluontricks.results.declared import recipe_of
from gluontricks.results.logformats import KINDS
from gluontricks.results.plain import absolute_paths, canonical

SCHEMA = "gluontricks.run/1"
OTHER_VERSION = "config.resolved is no recipe of this version"
STATUSES = ("completed", "failed", "diverged", "stopped")
SCALES = ("full", "reduced", "smoke")
LABELS = (
    "PAPER", "AUTHOR-LOG", "AUTHOR-WEIGHTS", "AUTHOR-REPO",
    "MEASURED-FULL", "MEASURED-REDUCED", "SMOKE", "NOT RUN",
)  # fmt: skip
OURS = ("MEASURED-FULL", "MEASURED-REDUCED", "SMOKE", "NOT RUN")

# Every field of a record. A group holds at least these keys; null says "not known".
FIELDS: Mapping[str, Any] = {
    "schema": "text",
    "run_id": "text",
    "supersedes": "text",
    "source": {"file": "text", "sha256": "text", "origin": "text"},
    "label": "text",
    "recipe": "text",
    "rows": ["text"],
    "fingerprint": "text",
    "labels": "text",
    "scale": "text",
    "protocol": "text",
    "engine": "text",
    "device": "text",
    "dtype": "text",
    "status": "text",
    "reason": "text",
    "started": "text",
    "ended": "text",
    "resumes": "integer",
    "bitwise": "boolean",
    "code": {"version": "text", "commit": "text", "dirty": "boolean", "command": ["text"]},
    "config": {"sha256": "text", "resolved": {}},
    "seed": {"root": "integer", "scheme": "text", "varied": ["text"]},
    "data": {
        "name": "text", "split": "text", "selection": "text", "n_train": "integer",
        "n_eval": "integer", "subset": "text", "train_sha256": "text", "eval_sha256": "text",
        "files": ["any"],
    },
    "model": {
        "name": "text", "params": "integer", "macs": "integer", "classes_sha256": "text",
        "teacher": {"name": "text", "sha256": "text", "fingerprint": "text"},
    },
    "metrics": {
        "top1": "number", "top5": "number", "nll": "number", "n": "integer", "loss": "number",
        "ece15": "number", "top1_best": "number", "best_epoch": "integer",
        "predictions_sha256": "text",
    },
    "epochs": [
        {"epoch": "integer", "lr": "number", "loss": "number", "top1": "number",
         "top5": "number", "seconds": "number"},
    ],
    "budget": {
        "epochs": "integer", "steps": "integer", "samples_seen": "integer", "wall_s": "number",
        "cpu_s": "number", "img_per_s": "number", "peak_rss_mb": "number",
    },
    "hardware": {
        "cpu": "text", "cores": "integer", "threads": "integer", "isa": ["text"], "gpu": "text",
        "ram_gb": "number",
    },
    "software": {"python": "text", "numpy": "text", "mxnet": "text", "os": "text", "env": {}},
    "artefacts": [{"path": "text", "sha256": "text", "bytes": "integer"}],
    "checks": {},
}  # fmt: skip

# What ``source`` holds besides, if a run is known by its log.
LOG: Mapping[str, Any] = {
    "kind": "text", "flags": {}, "train_metric": "text", "planned": "integer",
    "restarts": "integer", "skipped": "integer",
    "distrust": [{"rule": "text", "columns": ["text"], "reason": "text"}],
}  # fmt: skip
# A log's flags are no recipe, so its record stands for no row and meets no run of ours.
NOT_IN_LOGS = ("recipe", "fingerprint", "config", "rows")

# The registry adds these two to a record.
CHAIN = ("prev_sha256", "line_sha256")
KNOWN = ("schema", "run_id", "label", "status", "config", "metrics", "fingerprint", "scale")

CHECKS: Dict[str, Callable[[Any], bool]] = {
    "text": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e300,
    "boolean": lambda v: isinstance(v, bool),
    "any": lambda _: True,
}


def validate(record: Any) -> List[str]:
    """Return what is wrong with a run record, one sentence each; an empty list if nothing is."""
    if not isinstance(record, dict):
        return [f"a record is an object, not {type(record).__name__}"]
    problems = list(_shape(record, FIELDS, ""))
    problems += [f"unknown field '{k}'" for k in record if k not in FIELDS and k not in CHAIN]
    if problems:
        return problems
    problems += _words(record)
    problems += _consistency(record)
    if record["label"] == "AUTHOR-LOG" and record["source"] is not None:
        problems += _author_log(record)
    problems += [f"an absolute path: '{text}'" for text in absolute_paths(record)]
    return problems


def _shape(value: Any, form: Any, where: str) -> Iterator[str]:
    """Yield where ``value`` has not the form ``form``."""
    if value is None:
        return
    if isinstance(form, str):
        if not CHECKS[form](value):
            yield f"'{where}' is no {form}: {str(value)[:60]!r}"
    elif not isinstance(value, type(form)):
        yield f"'{where}' is no {'list' if isinstance(form, list) else 'object'}"
    elif isinstance(form, list):
        for index, item in enumerate(value):
            if item is None:
                yield f"'{where}[{index}]' is null"
            yield from _shape(item, form[0], f"{where}[{index}]")
    else:
        yield from _group(value, form, where)


def _group(value: Dict[str, Any], form: Dict[str, Any], where: str) -> Iterator[str]:
    """Yield keys of ``form`` that ``value`` lacks or has in another form."""
    for key, part in form.items():
        name = f"{where}.{key}".lstrip(".")
        if key in value:
            yield from _shape(value[key], part, name)
        else:
            yield f"'{name}' is missing"


def _words(record: Dict[str, Any]) -> Iterator[str]:
    """Yield fields that must be known and are not, and words outside their closed lists."""
    if record["schema"] != SCHEMA:
        yield f"schema is {record['schema']!r}, this version reads {SCHEMA!r}"
    if not re.fullmatch(r"\w[\w.-]{0,63}", record["run_id"] or ""):
        yield f"run_id is {record['run_id']!r}, not a plain name"
    if record["source"] is None:
        yield from (f"'{name}' is not known" for name in KNOWN if record[name] is None)
        if (record["seed"] or {}).get("root") is None:
            yield "'seed.root' is not known"
        closed: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
            ("status", STATUSES), ("scale", SCALES), ("label", OURS),
        )  # fmt: skip
    else:
        theirs = tuple(word for word in LABELS if word not in OURS)
        closed = (("label", theirs), ("status", STATUSES), ("scale", SCALES))
    for name, words in closed:
        if record[name] is not None and record[name] not in words:
            yield f"{name} is {record[name]!r}, not one of {', '.join(words)}"


def _consistency(record: Dict[str, Any]) -> Iterator[str]:
    """Yield results and times that cannot be."""
    metrics = record["metrics"] or {}
    for name in ("top1", "top5", "top1_best"):
        if metrics.get(name) is not None and not 0 <= metrics[name] <= 100:
            yield f"metrics.{name} is {metrics[name]}, not a percentage"
    ours = record["source"] is None
    if ours and record["status"] == "completed" and metrics.get("top1") is None:
        yield "the run is completed and has no top1"
    if record["started"] and record["ended"] and record["started"] > record["ended"]:
        yield f"the run ended ({record['ended']}) before it started ({record['started']})"
    if record["config"] and record["config"]["resolved"] is not None:
        yield from _identity(record, record["config"])


def _author_log(record: Dict[str, Any]) -> Iterator[str]:
    """Yield what cannot be in the record of an author's log."""
    source, log = record["source"], record["source"].get("log")
    if not isinstance(log, dict):
        yield "'source.log' is missing"
        return
    problems = list(_shape(log, LOG, "source.log"))
    yield from problems
    if problems:
        return
    if log["kind"] not in KINDS:
        yield f"source.log.kind is {log['kind']!r}, not one of {', '.join(KINDS)}"
    if not source["file"] or not re.fullmatch(r"[0-9a-f]{64}", source["sha256"] or ""):
        yield "source names no file and its SHA-256"
    yield from (f"'{name}' of an author's log is not empty" for name in NOT_IN_LOGS if record[name])
    yield from _curve(record["epochs"] or [], record["metrics"] or {})


def _curve(epochs: List[Dict[str, Any]], metrics: Dict[str, Any]) -> Iterator[str]:
    """Yield how last and best result differ from those of the curve."""
    numbers = [epoch["epoch"] for epoch in epochs]
    if not numbers or None in numbers or sorted(set(numbers)) != numbers:
        yield "epochs are missing or out of order"
        return
    for name in ("top1", "map", "miou"):
        found = [epoch[name] for epoch in epochs if epoch.get(name) is not None]
        if found and (metrics.get(name), metrics.get(f"{name}_best")) != (found[-1], max(found)):
            yield f"metrics.{name} or its best is not that of the epochs"


def _identity(record: Dict[str, Any], config: Dict[str, Any]) -> Iterator[str]:
    """Yield how the recipe's hash and the fingerprint differ from what they should be."""
    if config["sha256"] != sha256_bytes(canonical(config["resolved"]).encode()):
        yield "config.sha256 is not that of config.resolved"
    recipe = recipe_of(record)
    if recipe is None:
        yield OTHER_VERSION
    elif record["fingerprint"] != recipe.fingerprint(teacher_sha256(record)):
        yield "fingerprint is not that of config.resolved and its teacher"


def teacher_sha256(record: Mapping[str, Any]) -> Any:
    """Return the SHA-256 of the parameters of a record's teacher, or None without a teacher."""
    return ((record.get("model") or {}).get("teacher") or {}).get("sha256")
