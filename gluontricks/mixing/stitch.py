"""Mixers that join complementary parts of images: side by side, stacked, or as tiles."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from gluontricks.errors import UsageError
from gluontricks.mixing.plan import Plan, make_plan, reversed_pairs
from gluontricks.mixing.proportions import bands, cuts


def stitch_vertical(count: int, height: int, width: int, u: np.ndarray, *, alpha: float) -> Plan:
    """Return the plan of vertical stitching: one part above the other, cut between rows.

    With ``k = round(lam * height)``, lam ~ Beta(alpha, alpha), image ``i`` keeps its first ``k``
    rows and takes the others from its partner's same rows; its target is ``k / height`` its own.
    One cut serves the batch; the partner is the same place in the reversed batch.

    Parameters
    ----------
    count, height, width : int
        Images of the batch, and their size in pixels.
    u : ndarray, shape (at least 1,)
        Uniform random numbers; the first is used.
    alpha : float
        Both parameters of the Beta distribution, above 0. At 0.2 and 32 rows 46 % of the
        batches round to no cut.

    References
    ----------
    Poovathoor, An Improvement on the Bag of Tricks, section III.B. The idea is older: Summers
    and Dinneen, Improved Mixed-Example Data Augmentation, WACV 2019, "vertical concat".
    """
    del width
    masks = bands(cuts(u, 2, height, alpha))[:, :, None]
    return make_plan(reversed_pairs(count), masks)


def stitch_horizontal(count: int, height: int, width: int, u: np.ndarray, *, alpha: float) -> Plan:
    """Return the plan of horizontal stitching: two parts side by side, cut between columns.

    As :func:`stitch_vertical`, with columns instead of rows.
    """
    del height
    masks = bands(cuts(u, 2, width, alpha))[:, None, :]
    return make_plan(reversed_pairs(count), masks)


def stitch_tile(
    count: int, height: int, width: int, u: np.ndarray, *, alpha: float, grid: str = "2x2"
) -> Plan:
    """Return the plan of tiling: a grid of rectangles, each from another image of the batch.

    The cuts between rows, and those between columns, are Dirichlet(alpha) proportions. Tile
    ``s`` of ``k`` comes from the image ``s * count // k`` places further on in the batch; each
    target is weighted by the area that is really there. The stitch paper names this as future
    work (section IV.A).

    Parameters
    ----------
    count, height, width, u, alpha
        As in :func:`stitch_vertical`; ``rows + columns - 2`` numbers of ``u`` are used.
    grid : str
        ``rows x columns``, such as ``'2x2'`` or ``'1x3'``; at least two tiles.

    Raises
    ------
    UsageError
        If ``grid`` is no grid, or has more tiles than the batch has images.
    """
    rows, columns = check_grid(grid, count)
    tiles = rows * columns
    across = bands(cuts(u, rows, height, alpha))
    along = bands(cuts(u[rows - 1 :], columns, width, alpha))
    masks = (across[:, None, :, None] * along[None, :, None, :]).reshape(tiles, height, width)
    shifts = np.arange(tiles) * count // tiles
    return make_plan((np.arange(count)[None] + shifts[:, None]) % count, masks)


def parse_grid(grid: str) -> Tuple[int, int]:
    """Return (rows, columns) of a text such as ``'2x3'``."""
    rows, _, columns = grid.partition("x")
    if not (rows.isdigit() and columns.isdigit() and int(rows) * int(columns) >= 2):
        raise UsageError(
            f"--mixup-grid '{grid}' is no grid of two tiles or more", "write it like 2x2 or 1x3"
        )
    return int(rows), int(columns)


def check_grid(grid: str, count: int) -> Tuple[int, int]:
    """Return (rows, columns) of a grid that a batch of ``count`` images can fill."""
    rows, columns = parse_grid(grid)
    if rows * columns > count:
        raise UsageError(
            f"a grid of {grid} needs {rows * columns} images, and the batch has {count}",
            "give a larger --batch-size or a smaller --mixup-grid",
        )
    return rows, columns
