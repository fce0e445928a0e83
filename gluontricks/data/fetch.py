"""Downloading data sets, and checking and listing what is there."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from gluontricks.data import load_split
from gluontricks.data.listing import PARTS, find_part
from gluontricks.data.locations import FAMILY, LAYOUTS, Layout, data_folder, find
from gluontricks.data.registry import DATASETS, SPLITS, dataset_info
from gluontricks.errors import DataError, DownloadError, OutputError, UsageError
from gluontricks.files import make_folder, write_error

SOURCE = "https://www.cs.toronto.edu/~kriz/"
TIMEOUT_SECONDS = 60.0
RETRIES = 3


def fetch(
    name: str,
    data_dir: Optional[Union[str, Path]] = None,
    *,
    source: str = SOURCE,
    retries: int = RETRIES,
    timeout: float = TIMEOUT_SECONDS,
) -> Path:
    """Download the archive of a data set, unless it is there, and return its path.

    Parameters
    ----------
    name : str
        Key of ``DATASETS``.
    data_dir : path, optional
        Where to put it; see :func:`gluontricks.data.locations.data_folder`.
    source : str
        Address of the folder that holds the archive.
    retries : int
        How often to try again after a failure.
    timeout : float
        Seconds without an answer that count as a failure.

    Raises
    ------
    UsageError
        If the data set needs no download or has none, or there is none of that name.
    DownloadError
        If it cannot be downloaded, or what came is not the official file; it is then removed.
    OutputError, DiskError
        If it cannot be written.
    """
    if dataset_info(name).on_disk:
        raise UsageError(
            f"'{name}' cannot be downloaded by this command",
            "put its folders train/ and val/ where --data-dir or $GLUONTRICKS_DATA points; "
            "'gluontricks data prepare imagenet' unpacks the official archives of ImageNet",
        )
    if name not in FAMILY:
        raise UsageError(
            f"'{name}' needs no download", "use it as it is: it comes with the package"
        )
    layout = LAYOUTS[FAMILY[name]][0]
    try:
        folder = make_folder(data_folder(data_dir))
    except OutputError as error:
        raise OutputError(error.cause, "choose another folder with --data-dir") from None
    target = folder / layout.archive
    if target.exists() and _md5(target) == layout.md5:
        return target
    target.unlink(missing_ok=True)
    try:
        _download(layout, folder, source, retries, timeout)
    except OSError as error:
        if error.errno is None or type(error).__module__.startswith(("requests", "urllib3")):
            raise _failed(layout, target, source, error) from None
        raise write_error(error, target) from None
    except ValueError as error:
        raise _failed(layout, target, source, error) from None
    return target


def _download(layout: Layout, folder: Path, source: str, retries: int, timeout: float) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    store = pooch.create(
        path=folder,
        base_url=source,
        registry={layout.archive: f"md5:{layout.md5}"},
        retry_if_failed=retries,
    )
    store.fetch(layout.archive, downloader=pooch.HTTPDownloader(timeout=timeout))


def _failed(layout: Layout, target: Path, source: str, error: Exception) -> DownloadError:
    cause = " ".join(str(error).split())
    return DownloadError(
        f"'{source}{layout.archive}' could not be downloaded: {cause}",
        f"try again later, or get the file (MD5 {layout.md5}) by hand and put it at '{target}'",
    )


def _md5(path: Path) -> str:
    digest = hashlib.md5()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def verify(name: str, data_dir: Optional[Union[str, Path]] = None) -> Dict[str, Any]:
    """Read every split of a data set, with all checks, and return what it is.

    Returns
    -------
    dict
        ``name``, ``classes``, and for ``train`` and ``test`` the number of ``images``, the
        ``sha256`` of the content and the ``files`` read, name to SHA-256.

    Raises
    ------
    UsageError
        If there is no such data set.
    DataError
        If its files are missing or damaged.
    """
    report: Dict[str, Any] = {"name": name, "classes": dataset_info(name).classes}
    for split in SPLITS:
        images = load_split(name, split, data_dir=data_dir)
        report[split] = {
            "images": len(images),
            "sha256": images.sha256,
            "files": dict(images.files),
        }
    return report


def listing(data_dir: Optional[Union[str, Path]] = None) -> List[Dict[str, Any]]:
    """Return what is known of every data set, without reading one.

    Returns
    -------
    list of dict
        ``name``, ``classes``, ``image_size``, ``train`` and ``test`` (images; 0 is unknown),
        ``on_disk`` (whether images are decoded when they are needed), and ``found``:
        the path of its files, or of the folder of its images; ``embedded``, or None.
    """
    folder = data_folder(data_dir)
    return [
        {
            "name": info.name,
            "classes": info.classes,
            "image_size": info.image_size,
            "train": info.train_size,
            "test": info.test_size,
            "on_disk": info.on_disk,
            "found": _found(info.name, folder),
        }
        for info in DATASETS.values()
    ]


def _found(name: str, folder: Path) -> Optional[str]:
    if dataset_info(name).on_disk:
        try:
            return str([find_part(name, split, folder) for split in PARTS][0].parent)
        except DataError:
            return None
    if name not in FAMILY:
        return "embedded"
    places = [find(name, split, folder) for split in SPLITS]
    return str(places[0].path) if all(places) and places[0] else None
