"""Prediction outside training: with parameters from a file, and with an exported model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

import numpy as np

from gluontricks.data import Images
from gluontricks.data.augment import normalise, parse_normalization
from gluontricks.data.crops import centre_crop, resized
from gluontricks.data.decode import open_image
from gluontricks.errors import DataError, IntegrityError, UsageError
from gluontricks.files import sha256_file
from gluontricks.learners import NetworkSpec, engine_module, installed_engine
from gluontricks.metrics import evaluate_logits
from gluontricks.models.names import takes_size
from gluontricks.pipeline import Statistics, in_batches

CONFIG_FILE = "config.json"
LABELS_FILE = "labels.txt"
SUMS_FILE = "SHA256SUMS"
SYMBOL_FILE = "model-symbol.json"
PARAMS_FILE = "model-0000.params"
CONFIG_SCHEMA = "gluontricks.export/1"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")


def evaluate(
    network: NetworkSpec,
    data: Images,
    *,
    normalization: Optional[Statistics] = None,
    batch_size: int = 256,
    engine: Optional[str] = None,
) -> Dict[str, Any]:
    """Return ``top1``, ``top5`` (percent), ``nll`` (nats) and ``n``, every image counted once.

    Parameters
    ----------
    network : NetworkSpec
    data : Images
    normalization : (mean, std), optional
        The data set's own if not given.
    batch_size : int
    engine : str, optional
        MXNet, or PyTorch where MXNet is not installed, if not given.
    """
    size = data.size[0]
    if not takes_size(network.model, size):
        raise UsageError(
            f"'{network.model}' does not take images of {size} pixels",
            "choose another model, data set or --input-size",
        )
    logits_of = engine_module(engine or installed_engine()).load_network(network)
    mean, std = normalization or parse_normalization("dataset", data.name)
    count = min(batch_size, len(data))
    pieces = [
        in_batches(lambda part: logits_of(normalise(part, mean, std)), piece, count)
        for piece in data.chunks(count)
    ]
    return evaluate_logits(np.concatenate(pieces), data.labels)


class Exported(NamedTuple):
    """A model read from a folder that ``gluontricks export`` wrote.

    ``predict`` takes uint8 images (N, H, W, 3) and returns probabilities (N, classes).
    """

    predict: Callable[[np.ndarray], np.ndarray]
    config: Dict[str, Any]
    labels: List[str]


def load_inference(folder: Path, *, engine: Optional[str] = None, device: str = "cpu") -> Exported:
    """Return an exported model, its files compared with their hashes.

    Parameters
    ----------
    folder : Path
    engine : str, optional
        MXNet, or PyTorch where MXNet is not installed, if not given.
    device : str

    Raises
    ------
    DataError
        If the folder is no exported model.
    IntegrityError
        If a file is missing or not what was written.
    """
    folder = Path(folder)
    check_sums(folder)
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if config["schema"] != CONFIG_SCHEMA:
            raise ValueError(f"schema {config['schema']}")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{folder / CONFIG_FILE}' is none of this version ({error})", "export the run again"
        ) from error
    labels = (folder / LABELS_FILE).read_text(encoding="utf-8").split("\n")[:-1]
    module = engine_module(engine or installed_engine())
    predict = module.load_export(folder / SYMBOL_FILE, folder / PARAMS_FILE, device)
    return Exported(predict, config, labels)


def check_sums(folder: Path) -> None:
    """Prove that a folder's files are those that ``SHA256SUMS`` names."""
    if not (folder / SUMS_FILE).is_file():
        raise DataError(
            f"'{folder}' holds no exported model", "give a folder that 'gluontricks export' wrote"
        )
    listed = {}
    for line in (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name in (SYMBOL_FILE, PARAMS_FILE, CONFIG_FILE, LABELS_FILE):
        path = folder / name
        if not path.is_file() or sha256_file(path) != listed.get(name):
            raise IntegrityError(
                f"'{path}' is missing or not what was written", "export the run again"
            )


class Prediction(NamedTuple):
    """What was said of one file: classes with probabilities, or why it could not be read."""

    path: str
    classes: Sequence[str] = ()
    probabilities: Sequence[float] = ()
    error: Optional[str] = None


def image_files(paths: Iterable[Path]) -> List[Path]:
    """Return the image files among ``paths`` and in the folders among them, in order.

    Raises
    ------
    DataError
        If a path does not exist, or a folder holds no image.
    """
    found: List[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise DataError(
                    f"'{path}' holds no image", f"images end with {', '.join(IMAGE_SUFFIXES)}"
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"there is no '{path}'", "check the path")
    return found


def read_image(path: Path, size: int, crop_ratio: Optional[float] = None) -> np.ndarray:
    """Return an image file as uint8 RGB (size, size, 3), as the network saw images in evaluation.

    Parameters
    ----------
    path : Path
    size : int
    crop_ratio : float, optional
        Part of the shorter side that is seen; the whole image is squeezed into the square if not
        given.

    Raises
    ------
    DataError
        If it is no whole image, or has more than 67 million pixels.
    """
    image = open_image(path, str(path))
    if crop_ratio is not None:
        return centre_crop(image, size, crop_ratio=crop_ratio)
    return resized(image, (0, 0, *image.size), (size, size))


def predict_files(
    model: Exported, files: Sequence[Path], *, topk: int = 5, batch_size: int = 64
) -> List[Prediction]:
    """Return the ``topk`` classes of each file; one that cannot be read has its reason."""
    view = model.config["input_size"], model.config.get("crop_ratio")
    topk = min(topk, len(model.labels))
    results: List[Prediction] = []
    for start in range(0, len(files), batch_size):
        read = [readable(path, *view) for path in files[start : start + batch_size]]
        images = [image for image, _ in read if image is not None]
        scores = iter(model.predict(np.stack(images)) if images else [])
        for path, (image, reason) in zip(files[start:], read):
            if image is None:
                results.append(Prediction(str(path), error=reason))
                continue
            row = next(scores)
            best = np.argsort(-row, kind="stable")[:topk]
            results.append(
                Prediction(
                    str(path), [model.labels[i] for i in best], [float(row[i]) for i in best]
                )
            )
    return results


def readable(
    path: Path, size: int, crop_ratio: Optional[float]
) -> tuple[Optional[np.ndarray], Optional[str]]:
    """Return (image, None), or (None, reason)."""
    try:
        return read_image(path, size, crop_ratio), None
    except DataError as error:
        return None, error.cause
