"""Writing every figure of the results folder, or finding out which ones would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Sequence, Union

from gluontricks.errors import DataError
from gluontricks.figures import bag_of_tricks, runs, stitching
from gluontricks.figures.canvas import MATPLOTLIB, Picture
from gluontricks.figures.gaps import gap_picture, read_gaps
from gluontricks.files import make_folder, write_atomic
from gluontricks.results import complexity, registry
from gluontricks.results.cells import sound

FOLDER = "figures"
# Recipes of ten classes whose runs Figure 4b shows.
UNSMOOTHED_AND_SMOOTHED = (
    "imagenette-resnet18_v1d-4epochs-hard",
    "imagenette-resnet18_v1d-4epochs",
)


def all_figures(results_dir: Union[str, Path]) -> List[Picture]:
    """Return every figure that is made from the results folder.

    Raises
    ------
    DataError
        If nobody has counted the networks' layers.
    IntegrityError
        If what is kept there is damaged.
    """
    counted = complexity.load(results_dir)
    if counted is None:
        raise DataError(
            f"there is no {complexity.FILE} in '{results_dir}'",
            "write it: python scripts/make_complexity.py",
        )
    records = sound(registry.load(results_dir))
    return [
        *bag_of_tricks.pictures(counted, records),
        *measured_gaps(records, Path(results_dir)),
        stitching.picture(),
        *runs.pictures(records),
    ]


def measured_gaps(records: Sequence[Mapping[str, Any]], results_dir: Path) -> List[Picture]:
    """Return Figure 4b from two recipes' first seeds; nothing while one of them has not run."""
    ids: List[str] = []
    for name in UNSMOOTHED_AND_SMOOTHED:
        mine = [r for r in records if r["recipe"] == name and r["status"] == "completed"]
        ids += [r["run_id"] for r in sorted(mine, key=lambda r: r["seed"]["root"])[:1]]
    if len(ids) < len(UNSMOOTHED_AND_SMOOTHED):
        return []
    without, smoothed = (read_gaps(run, results_dir) for run in ids)
    return [gap_picture(without, smoothed, name="bag-of-tricks-figure-4b")]


def compares_svg() -> bool:
    """Return whether this matplotlib is the one whose SVG files are kept."""
    import matplotlib

    return matplotlib.__version__ == MATPLOTLIB


def stale_figures(results_dir: Union[str, Path]) -> List[str]:
    """Return the names of files that are missing or not what the results give.

    Under another matplotlib than the pinned one a picture counts as fresh if its data are.
    """
    return [name for picture in all_figures(results_dir) for name in _stale(picture, results_dir)]


def write_figures(results_dir: Union[str, Path]) -> List[str]:
    """Write the figures that are stale and return the names of the files."""
    names: List[str] = []
    for picture in all_figures(results_dir):
        stale = _stale(picture, results_dir)
        if stale:
            write_picture(picture, make_folder(Path(results_dir) / FOLDER))
        names += stale
    return names


def write_picture(picture: Picture, folder: Path) -> List[Path]:
    """Write a picture and its data; return both paths."""
    data, drawing = folder / f"{picture.name}.csv", folder / f"{picture.name}.svg"
    write_atomic(drawing, picture.draw())
    write_atomic(data, picture.csv)
    return [drawing, data]


def _stale(picture: Picture, results_dir: Union[str, Path]) -> List[str]:
    data = Path(results_dir) / FOLDER / f"{picture.name}.csv"
    drawing = data.with_suffix(".svg")
    if not data.is_file() or data.read_bytes() != picture.csv.encode():
        return [data.name, drawing.name]
    kept = drawing.is_file() and (not compares_svg() or drawing.read_bytes() == picture.draw())
    return [] if kept else [drawing.name]
