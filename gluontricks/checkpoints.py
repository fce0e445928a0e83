"""Checkpoints: one file each, whole or not there, its hash in its name, never a pickle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from gluontricks.errors import IntegrityError
from gluontricks.files import TEMPORARY, sha256_bytes, write_atomic

NAME = re.compile(r"ckpt-(\d{8,})-([0-9a-f]{16})\.safetensors")
SCHEMA = "gluontricks.checkpoint/1"
KEPT = 2


class Checkpoint(NamedTuple):
    """What a checkpoint holds: arrays by key, and plain numbers."""

    arrays: Dict[str, np.ndarray]
    counters: Dict[str, Any]


def network_of(arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return the network that a checkpoint stands for: path -> array.

    The moving average where the run has one, which is what was evaluated; else the parameters.
    """
    kind = "e/" if any(key.startswith("e/") for key in arrays) else "p/"
    return {key[2:]: value for key, value in arrays.items() if key.startswith(kind)}


def dump(arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint file: equal states give equal bytes."""
    from safetensors.numpy import save

    # One key only: safetensors writes several in an order that varies.
    meta = json.dumps({"schema": SCHEMA, **counters}, sort_keys=True)
    ordered = {key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}
    return save(ordered, metadata={"gluontricks": meta})


def parse(content: bytes) -> Checkpoint:
    """Return what :func:`dump` wrote.

    Raises
    ------
    IntegrityError
        If ``content`` is not a checkpoint.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        meta = dict(json.loads(header["__metadata__"]["gluontricks"]))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"this is no checkpoint of gluontricks ({error})", "give one that a run wrote"
        ) from error
    if meta.pop("schema", None) != SCHEMA:
        raise IntegrityError("the checkpoint has another schema", "use the version that wrote it")
    return Checkpoint(arrays, meta)


def write(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write ``ckpt-<step>-<hash>.safetensors`` and remove all but the last two.

    Raises
    ------
    DiskError, OutputError
        If it cannot be written; the earlier ones stay.
    """
    content = dump(checkpoint.arrays, {"step": step, **checkpoint.counters})
    path = folder / f"ckpt-{step:08d}-{sha256_bytes(content)[:16]}.safetensors"
    # One of that name may be there and damaged, and so is any of a later step.
    write_atomic(path, content)
    others = [old for old in listing(folder) if old != path]
    earlier = [old for old in others if step_of(old) <= step]
    for old in others:
        if old not in earlier[1 - KEPT :]:
            old.unlink()
    return path


def write_best(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write ``best-<step>-<hash>.safetensors``, then remove the one before."""
    content = dump(checkpoint.arrays, {"step": step, **checkpoint.counters})
    path = folder / f"best-{step:08d}-{sha256_bytes(content)[:16]}.safetensors"
    write_atomic(path, content)
    for old in folder.glob("best-*.safetensors"):
        if old != path:
            old.unlink()
    return path


def listing(folder: Path) -> List[Path]:
    """Return the checkpoints of ``folder``, oldest step first."""
    found = [p for p in folder.glob("ckpt-*") if NAME.fullmatch(p.name)]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """Return the step that a checkpoint's name states."""
    return int(path.name.split("-")[1])


def read(path: Path) -> Checkpoint:
    """Return the checkpoint at ``path``, its hash compared with its name.

    Raises
    ------
    IntegrityError
        If it is damaged.
    """
    content = path.read_bytes()
    stem = path.name.rpartition(".")[0]
    if sha256_bytes(content)[:16] != stem.rpartition("-")[2]:
        raise IntegrityError(
            f"'{path.name}' is damaged: its hash is not the one in its name",
            "use another checkpoint",
        )
    return parse(content)


def newest(folder: Path, report: Callable[[str], None]) -> Optional[Checkpoint]:
    """Return the newest checkpoint that is whole, None where there is none at all.

    Damaged ones are skipped with a message.

    Raises
    ------
    IntegrityError
        If there are checkpoints and all are damaged: never silently from scratch.
    """
    for aside in folder.glob(f"{TEMPORARY}*"):
        aside.unlink()
    found = listing(folder)
    for path in reversed(found):
        try:
            return read(path)
        except IntegrityError as error:
            report(f"skipped: {error.cause}")
    if found:
        raise IntegrityError(
            f"all {len(found)} checkpoints in '{folder}' are damaged",
            "--no-resume starts again and keeps this folder aside",
        )
    return None
