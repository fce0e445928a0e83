"""The record of one run: what was run, on what, with which result, and how far to trust it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

from gluontricks.data.registry import DATASETS
from gluontricks.errors import IntegrityError
from gluontricks.files import sha256_bytes, write_atomic
from gluontricks.recipes import Recipe
from gluontricks.recipes.stitch_mixup import VARIANTS
from gluontricks.results import environment
from gluontricks.results.declared import declared, protocol_of, recipe_of, rows_of, scale_of
from gluontricks.results.plain import anonymous, canonical, map_texts, plain, without_paths
from gluontricks.results.schema import FIELDS, LABELS, OURS, SCHEMA, validate

__all__ = [
    "LABELS", "SCHEMA", "RunFacts", "build_record", "completed", "label_of", "label_set",
    "new_run_id", "utc_now", "validate", "write_record",
]  # fmt: skip

SMOKE_DATA = ("digits", "synthetic")
SEED_SCHEME = "philox-words/1"
VARIED = ("initial weights", "order", "augmentation", "mixing", "dropout")
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class RunFacts:
    """What happened to a run, apart from its recipe and its numbers.

    ``status`` is completed, failed, diverged or stopped, with a ``reason`` unless completed;
    times are UTC as :func:`utc_now` writes them. ``scale`` is full, reduced or smoke, and
    ``protocol`` says in words what a reduced run left out; where they are not given they follow
    from the row that has the recipe. ``bitwise`` says that all resumptions
    ran in the setting (versions, threads) of the first start.
    """

    run_id: str
    status: str
    started: str
    ended: str
    engine: str = "mxnet"
    device: str = "cpu"
    scale: Optional[str] = None
    protocol: Optional[str] = None
    reason: Optional[str] = None
    resumes: int = 0
    bitwise: bool = True
    command: Tuple[str, ...] = ()
    threads: Optional[int] = None
    supersedes: Optional[str] = None
    artefacts: Tuple[Mapping[str, Any], ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)


def build_record(
    recipe: Recipe,
    run: RunFacts,
    *,
    data: Mapping[str, Any],
    model: Mapping[str, Any],
    metrics: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]] = (),
    budget: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Return the record of a run, in the form of :data:`SCHEMA`.

    Keys that a group of the form has and a mapping here lacks become null. Numbers that are not
    finite become null, absolute paths their last part.

    Parameters
    ----------
    recipe : Recipe
        The resolved recipe.
    run : RunFacts
        Status, times, engine, device and so on.
    data : mapping
        ``n_train``, ``n_eval``, ``train_sha256``, ``eval_sha256``, ``files`` (pairs of a base
        name and a SHA-256), ``selection`` (``last_epoch``), ``subset`` (null for all images).
    model : mapping
        ``params``, ``macs``, ``classes_sha256``, ``teacher`` (null, or name, sha256, fingerprint).
    metrics : mapping
        The last epoch's ``top1``, ``top5`` (percent), ``nll`` (nats), ``n``, ``loss``,
        ``ece15`` (calibration error, 15 bins), and ``top1_best``, ``best_epoch``,
        ``predictions_sha256`` where there are such.
    epochs : sequence of mappings
        The curve: ``epoch``, ``lr``, ``loss``, ``top1``, ``top5``, ``seconds``.
    budget : mapping, optional
        ``epochs``, ``steps``, ``samples_seen``, ``wall_s``, ``cpu_s`` (null for a run that was
        resumed), ``img_per_s``, ``peak_rss_mb``.

    Raises
    ------
    IntegrityError
        If the result is no valid record: a fault of the caller.
    """
    resolved = recipe.as_dict()
    teacher = model.get("teacher")
    scale = scale_of(recipe)
    rows = rows_of(recipe, declared(scale=scale))
    paper = rows[0].ablation.paper if rows else ""
    record: Dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "supersedes": run.supersedes,
        "source": None,
        "label": "NOT RUN",
        "recipe": recipe.name,
        "rows": [row.name for row in rows],
        "fingerprint": recipe.fingerprint(teacher["sha256"] if teacher else None),
        "labels": label_set(recipe),
        "dtype": recipe.dtype,
        "reason": None if run.reason is None else anonymous(run.reason),
        "code": environment.code(run.command),
        "config": {"sha256": sha256_bytes(canonical(resolved).encode()), "resolved": resolved},
        "seed": {"root": recipe.seed, "scheme": SEED_SCHEME, "varied": VARIED},
        "data": {"name": recipe.dataset, **data},
        "model": {"name": recipe.model, **model},
        "metrics": metrics,
        "epochs": list(epochs),
        "budget": budget or {},
        "hardware": environment.hardware(run.threads),
        "software": environment.software(),
        "artefacts": list(run.artefacts),
    }
    for name in ("status", "started", "ended", "engine", "device", "resumes", "bitwise", "checks"):
        record[name] = getattr(run, name)
    record["scale"] = run.scale or scale
    record["protocol"] = run.protocol or protocol_of(paper, scale)
    record = map_texts(completed(plain(record)), without_paths)
    record["label"] = label_of(record)
    return checked(record)


def completed(record: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``record`` in the order of the form, with null where a group lacks a key."""
    return {name: _filled(record.get(name), form) for name, form in FIELDS.items()}


def _filled(value: Any, form: Any) -> Any:
    """Return ``value`` with the keys that ``form`` has and it lacks."""
    if isinstance(form, dict) and isinstance(value, dict):
        known = {key: _filled(value.get(key), part) for key, part in form.items()}
        return {**known, **{k: v for k, v in value.items() if k not in form}}
    if isinstance(form, list) and isinstance(value, list):
        return [_filled(item, form[0]) for item in value]
    return value


def label_of(record: Mapping[str, Any]) -> str:
    """Return the honesty label of a record's numbers.

    ``MEASURED-FULL`` only if a declared row's recipe ran unchanged, to its last epoch, on all
    images; ``SMOKE`` for smoke runs and toy data; ``MEASURED-REDUCED`` for any other run with a
    result; ``NOT RUN`` for one without. A record of somebody else's run keeps the label it has.
    """
    if record.get("source") is not None:
        label = record.get("label")
        return label if label in LABELS and label not in OURS else "NOT RUN"
    if (record.get("metrics") or {}).get("top1") is None:
        return "NOT RUN"
    recipe = recipe_of(record)
    if record.get("scale") == "smoke" or recipe is None or recipe.dataset in SMOKE_DATA:
        return "SMOKE"
    whole = record.get("scale") == "full" and ran_whole(record, recipe)
    return "MEASURED-FULL" if whole and rows_of(recipe) else "MEASURED-REDUCED"


def ran_whole(record: Mapping[str, Any], recipe: Recipe) -> bool:
    """Return whether a run went to the end of its recipe on the full data."""
    data, budget = record.get("data") or {}, record.get("budget") or {}
    info = DATASETS.get(recipe.dataset)
    return (
        info is not None
        and record.get("status") == "completed"
        and data.get("subset") is None
        and data.get("n_train") == info.train_size
        and data.get("n_eval") == info.test_size
        and budget.get("epochs") == recipe.num_epochs
    )


def label_set(recipe: Recipe) -> str:
    """Return the name of the labels a recipe learns: fine, coarse, or the data set's name."""
    for name, changes in VARIANTS:
        info = DATASETS[changes["dataset"]]
        outputs = changes.get("classes", info.classes)
        if (recipe.dataset, recipe.classes or info.classes) == (info.name, outputs):
            return name
    return recipe.dataset


def checked(record: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``record`` if it is valid.

    Raises
    ------
    IntegrityError
        If it is not.
    """
    problems = validate(record)
    if problems:
        raise IntegrityError(
            f"the record of run '{record.get('run_id')}' is not valid: {'; '.join(problems[:5])}",
            "this is a fault of the program that wrote it; please report it",
        )
    return record


def write_record(path: Union[str, Path], record: Mapping[str, Any]) -> None:
    """Write a valid record to ``path``, whole or not at all.

    Raises
    ------
    IntegrityError
        If it is not valid.
    """
    text = json.dumps(checked(dict(record)), indent=1, allow_nan=False)
    write_atomic(path, text + "\n")


def new_run_id() -> str:
    """Return a new identifier of 26 letters and digits that sorts by time of creation (ULID)."""
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def utc_now() -> str:
    """Return the time as text, to the second: 2026-01-31T23:59:59Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
