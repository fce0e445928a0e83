"""A trained network as files that predict by themselves: its preprocessing is in the graph."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple, Union

import numpy as np

from gluontricks import __version__
from gluontricks.errors import IntegrityError, OutputError, one_line
from gluontricks.files import make_folder, sha256_file, sync_folder, write_error
from gluontricks.inference import (
    CONFIG_FILE,
    CONFIG_SCHEMA,
    LABELS_FILE,
    PARAMS_FILE,
    SUMS_FILE,
    SYMBOL_FILE,
    import_block,
)
from gluontricks.models import get_model, input_size
from gluontricks.models.weights import load_parameters
from gluontricks.mxnet_shim import mx
from gluontricks.params_file import dump_params
from gluontricks.pipeline import Statistics

TOLERANCE = 1e-6


class Inference(mx.gluon.HybridBlock):
    """uint8 images (N, H, W, 3) to probabilities (N, classes).

    Parameters
    ----------
    net : HybridBlock
        Normalised float32 images (N, 3, H, W) to logits.
    normalization : (mean, std)
        Of pixel values in [0, 1].
    """

    def __init__(self, net: Any, normalization: Statistics) -> None:
        super().__init__()
        mean, std = (np.asarray(v, dtype=np.float64) for v in normalization)
        self.scale = self.params.get_constant(
            "scale", (1 / (255 * std)).astype(np.float32).reshape(1, 1, 1, 3)
        )
        self.shift = self.params.get_constant(
            "shift", (-mean / std).astype(np.float32).reshape(1, 1, 1, 3)
        )
        self.net = net

    def hybrid_forward(self, F: Any, images: Any, scale: Any, shift: Any) -> Any:
        """Return the probabilities."""
        pixels = F.broadcast_add(F.broadcast_mul(F.cast(images, "float32"), scale), shift)
        return F.softmax(self.net(F.transpose(pixels, axes=(0, 3, 1, 2))), axis=-1)


def export_inference(
    parameters: Any,
    out: Path,
    *,
    model: str,
    class_names: Sequence[str],
    normalization: Statistics,
    about: Dict[str, Any],
) -> Dict[str, Any]:
    """Write a network to the folder ``out`` and prove that it reads back as it was.

    Parameters
    ----------
    parameters : path or mapping
        As :func:`gluontricks.models.weights.load_parameters` takes them.
    out : Path
        A folder that is empty, not there yet, or holds an earlier export.
    model : str
        Name of the network.
    class_names : sequence of str
        One for each output.
    normalization : (mean, std)
    about : dict
        What else ``config.json`` is to say.

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
    net = get_model(model, classes=len(class_names))
    load_parameters(net, parameters)
    block = Inference(net, normalization)
    for constant in (block.scale, block.shift):
        constant.initialize(ctx=mx.cpu())
    size = input_size(model)
    make_folder(out.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-export-", dir=str(out.parent)) as name:
            folder = Path(name) / "model"
            folder.mkdir()
            put = partial(write, folder, out)
            check = write_and_compare(block, folder, size, put)
            config = {
                "schema": CONFIG_SCHEMA,
                "gluontricks": __version__,
                "model": model,
                "classes": len(class_names),
                "input_size": size,
                "input": "uint8, N x H x W x 3, RGB",
                "output": "probabilities, N x classes",
                "resize": "bilinear to input_size x input_size",
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


def symbol_and_params(block: Any) -> Tuple[str, bytes]:
    """Return the contents of the two files that ``block.export`` would write.

    MXNet's own writing ends in half a file on a full disk, with or without an error.
    """
    symbol = block(mx.sym.var("data"))
    statistics = set(symbol.list_auxiliary_states())
    arrays = {
        f"{'aux' if name in statistics else 'arg'}:{name}": parameter.data().asnumpy()
        for name, parameter in block.collect_params().items()
    }
    return symbol.tojson(), dump_params(arrays)


def write_and_compare(
    block: Any, folder: Path, size: int, put: Callable[[str, Union[bytes, str]], None]
) -> Dict[str, float]:
    """Write symbol and parameters; return the largest differences after reading them back.

    Raises
    ------
    IntegrityError
        If they exceed 1e-6, or MXNet cannot read them.
    """
    images = np.random.Generator(np.random.Philox(0)).integers(
        0, 256, size=(4, size, size, 3), dtype=np.uint8
    )
    data = mx.nd.array(images, dtype="uint8")
    imperative = block(data).asnumpy()
    block.hybridize(static_alloc=True, static_shape=True)
    hybrid = block(data).asnumpy()
    symbol, params = symbol_and_params(block)
    put(SYMBOL_FILE, symbol)
    put(PARAMS_FILE, params)
    try:
        restored = import_block(folder / SYMBOL_FILE, folder / PARAMS_FILE)(data).asnumpy()
    except (mx.MXNetError, AssertionError, ValueError) as error:
        raise IntegrityError(
            f"the export does not read back ({one_line(error)})",
            "export again; if it stays so, check the disk",
        ) from error
    check = {
        "hybrid": float(np.abs(hybrid - imperative).max()),
        "symbol": float(np.abs(restored - imperative).max()),
    }
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
