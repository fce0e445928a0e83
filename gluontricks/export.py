"""A trained network as files that predict by themselves: its preprocessing is in the graph."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from gluontricks import __version__
from gluontricks.errors import GluontricksError, IntegrityError, OutputError, one_line
from gluontricks.files import make_folder, sha256_file, sync_folder, write_error
from gluontricks.inference import (
    CONFIG_FILE,
    CONFIG_SCHEMA,
    LABELS_FILE,
    PARAMS_FILE,
    SUMS_FILE,
    SYMBOL_FILE,
)
from gluontricks.learners import Exportable, NetworkSpec, engine_module, installed_engine
from gluontricks.models import input_size
from gluontricks.pipeline import Statistics

TOLERANCE = 1e-6
RESIZE = "bilinear to input_size x input_size"
RESIZE_AND_CROP = "shorter side bilinear to input_size / crop_ratio, rounded up; then the middle"


def export_inference(
    network: NetworkSpec,
    out: Path,
    *,
    class_names: Sequence[str],
    normalization: Statistics,
    about: Dict[str, Any],
    engine: Optional[str] = None,
) -> Dict[str, Any]:
    """Write a network to the folder ``out`` and prove that it reads back as it was.

    Parameters
    ----------
    network : NetworkSpec
    out : Path
        A folder that is empty, not there yet, or holds an earlier export.
    class_names : sequence of str
        One for each output.
    normalization : (mean, std)
    about : dict
        What else ``config.json`` is to say.
    engine : str, optional
        What reads it back: MXNet, or PyTorch where MXNet is not installed, if not given.

    Returns
    -------
    dict
        The content of ``config.json``; ``check`` holds the largest differences found.

    Raises
    ------
    OutputError, DiskError
        If it cannot be written.
    IntegrityError
        If it does not read back as it was; ``out`` is untouched.
    """
    out = Path(out)
    check_target(out)
    size = network.image_size or input_size(network.model)
    module = engine_module(engine or installed_engine())
    images = sample_images(size)
    files = module.exportable(network, normalization, images)
    make_folder(out.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-export-", dir=str(out.parent)) as name:
            folder = Path(name) / "model"
            folder.mkdir()
            put = partial(write, folder, out)
            put(SYMBOL_FILE, files.symbol)
            put(PARAMS_FILE, files.params)
            check = compare(files, read_back(module, folder, images))
            config = {
                "schema": CONFIG_SCHEMA,
                "gluontricks": __version__,
                "model": network.model,
                "classes": network.classes,
                "input_size": size,
                "input": "uint8, N x H x W x 3, RGB",
                "output": "probabilities, N x classes",
                "crop_ratio": network.crop_ratio,
                "resize": RESIZE if network.crop_ratio is None else RESIZE_AND_CROP,
                "mean": list(normalization[0]),
                "std": list(normalization[1]),
                "check": check,
                **about,
            }
            put(CONFIG_FILE, json.dumps(config, indent=1) + "\n")
            put(LABELS_FILE, "".join(f"{n}\n" for n in class_names))
            put(SUMS_FILE, sums(folder))
            move_into_place(folder, out)
    except OSError as error:
        raise write_error(error, out) from error
    return config


def check_target(out: Path) -> None:
    """Raise if ``out`` is something that must not be replaced."""
    if out.is_file():
        raise OutputError(f"'{out}' is a file", "choose another folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMS_FILE).is_file():
        raise OutputError(
            f"'{out}' is not empty and holds no exported model", "choose another folder with --out"
        )


def write(folder: Path, out: Path, name: str, content: Union[bytes, str]) -> None:
    """Write a file into ``folder``, which will become ``out``; errors name it there."""
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    try:
        path.write_bytes(data)
    except OSError as error:
        path.unlink() if path.exists() else None
        raise write_error(error, out / name, len(data)) from error


def sample_images(size: int) -> np.ndarray:
    """Return four images of noise, on which an export is proven."""
    generator = np.random.Generator(np.random.Philox(0))
    return generator.integers(0, 256, size=(4, size, size, 3), dtype=np.uint8)


def read_back(module: Any, folder: Path, images: np.ndarray) -> np.ndarray:
    """Return what the written files predict.

    Raises
    ------
    IntegrityError
        If the engine cannot read them.
    """
    try:
        return module.load_export(folder / SYMBOL_FILE, folder / PARAMS_FILE)(images)
    except (RuntimeError, AssertionError, ValueError, GluontricksError) as error:
        raise IntegrityError(
            f"the export does not read back ({one_line(error)})",
            "export again; if it stays so, check the disk",
        ) from error


def compare(files: Exportable, restored: np.ndarray) -> Dict[str, float]:
    """Return the largest differences between what the network predicts and its export.

    Raises
    ------
    IntegrityError
        If they exceed 1e-6.
    """
    found = {**files.others, "symbol": restored}
    check = {k: float(np.abs(value - files.expected).max()) for k, value in found.items()}
    if not max(check.values()) <= TOLERANCE:
        raise IntegrityError(
            f"the export predicts otherwise than the network (by {max(check.values()):g})",
            "export again; if it stays so, report it",
        )
    return check


def sums(folder: Path) -> str:
    """Return the SHA-256 of every file of ``folder``, a line each."""
    names: List[str] = sorted(path.name for path in folder.iterdir())
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names)


def move_into_place(folder: Path, out: Path) -> None:
    """Replace ``out`` by ``folder``."""
    for path in folder.iterdir():
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
    if out.is_dir():
        old = out.with_name(f".tmp-old-{out.name}")
        out.rename(old)
        folder.rename(out)
        shutil.rmtree(old)
    else:
        folder.rename(out)
    sync_folder(out.parent)
