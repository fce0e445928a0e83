"""Small data sets in the official forms of CIFAR, for tests."""

from __future__ import annotations

import dataclasses
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Tuple

import numpy as np

from gluontricks.data.locations import LAYOUTS, Layout
from gluontricks.data.registry import FINE_TO_COARSE

# Images per file: every class once or twice.
COUNTS = {"cifar10": {"train": 20, "test": 10}, "cifar100": {"train": 200, "test": 100}}
FORMS = ("binary", "python2", "python3")


def small_layouts(name: str) -> Tuple[Layout, ...]:
    """The layouts of a data set with few images in a file."""
    return tuple(
        dataclasses.replace(
            layout,
            **{
                split: tuple((file, COUNTS[name][split]) for file, _ in layout.files(split))
                for split in ("train", "test")
            },
        )
        for layout in LAYOUTS[name]
    )


def batches(name: str, split: str) -> Dict[int, Dict[str, Any]]:
    """Labels and planes of every file of a split, by its number."""
    count = COUNTS[name][split]
    files = len(LAYOUTS[name][0].files(split))
    result = {}
    for number in range(files):
        rng = np.random.default_rng([number, split == "test"])
        planes = rng.integers(0, 256, (count, 3072)).astype(np.uint8)
        if name == "cifar10":
            labels = {"labels": rng.permutation(count) % 10}
        else:
            fine = rng.permutation(count) % 100
            labels = {"coarse_labels": np.array(FINE_TO_COARSE)[fine], "fine_labels": fine}
        result[number] = {"data": planes, **labels}
    return result


def binary(batch: Dict[str, Any]) -> bytes:
    """A batch as official binary records."""
    columns = [batch[key][:, None] for key in batch if key != "data"]
    return np.concatenate([*columns, batch["data"]], axis=1).astype(np.uint8).tobytes()


class Python2:
    """Writes as Python 2's pickle protocol 2 does: text is bytes, and is numbered."""

    def __init__(self) -> None:
        self.numbered = 0

    def put(self) -> bytes:
        self.numbered += 1
        small = self.numbered < 256
        return struct.pack("<cB" if small else "<ci", b"q" if small else b"r", self.numbered)

    def text(self, value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode() + self.put()

    def items(self, parts: Iterable[bytes]) -> bytes:
        return b"]" + self.put() + b"(" + b"".join(parts) + b"e"

    def array(self, values: np.ndarray) -> bytes:
        return b"".join(
            [
                b"cnumpy.core.multiarray\n_reconstruct\n" + self.put(),
                b"cnumpy\nndarray\n" + self.put() + b"K\x00\x85U\x01b\x87R" + self.put(),
                struct.pack("<2sBcHcHc", b"(K", 1, b"M", values.shape[0], b"M", 3072, b"\x86"),
                b"cnumpy\ndtype\n" + self.put() + b"U\x02u1K\x00K\x01\x87R" + self.put(),
                b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
                b"T" + struct.pack("<i", values.size) + values.tobytes() + b"tb",
            ]
        )


def python2(batch: Dict[str, Any]) -> bytes:
    """A batch as Python 2 pickles it; with the real images it has the official MD5."""
    write = Python2()
    parts = [b"\x80\x02}" + write.put() + b"("]
    parts += [write.text("batch_label"), write.text("testing batch 1 of 1")]
    for key in [key for key in batch if key != "data"]:
        parts.append(write.text(key))
        parts.append(write.items(b"K" + bytes([value]) for value in batch[key]))
    parts += [write.text("data"), write.array(batch["data"]), write.text("filenames")]
    names = [f"image_{number}.png" for number in range(300)]
    parts.append(write.items(write.text(name) for name in names))
    return b"".join([*parts, b"u."])


def python3(batch: Dict[str, Any], protocol: int = 4) -> bytes:
    """A batch as Python 3 pickles it."""
    plain = {key: v if key == "data" else v.tolist() for key, v in batch.items()}
    return pickle.dumps(plain, protocol=protocol)


WRITERS = {"binary": binary, "python2": python2, "python3": python3}


def contents(name: str, split: str, form: str) -> Dict[str, bytes]:
    """File name to content of a split."""
    layout = LAYOUTS[name][form != "binary"]
    numbered = batches(name, split)
    return {file: WRITERS[form](numbered[i]) for i, (file, _) in enumerate(layout.files(split))}


def write_folder(folder: Path, name: str, form: str = "binary") -> Path:
    """Write both splits into the official folder below ``folder``."""
    place = folder / LAYOUTS[name][form != "binary"].folder
    place.mkdir(parents=True)
    for split in ("train", "test"):
        for file, content in contents(name, split, form).items():
            (place / file).write_bytes(content)
    return place


def write_archive(
    folder: Path, name: str, form: str = "binary", extra: Optional[tarfile.TarInfo] = None
) -> Path:
    """Write both splits as the official archive, with one more member if given."""
    layout = LAYOUTS[name][form != "binary"]
    path = folder / layout.archive
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        if extra is not None:
            archive.addfile(extra, io.BytesIO(bytes(extra.size)))
        for split in ("train", "test"):
            for file, content in contents(name, split, form).items():
                info = tarfile.TarInfo(f"{layout.folder}/{file}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path
