"""Figure 1 of the stitch paper: two images and what the two ways of stitching make of them."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np

from gluontricks.figures.canvas import COLOURS, INK, Picture, drawn, to_csv
from gluontricks.mixing.stitch import stitch_horizontal, stitch_vertical

NAME = "stitch-mixup-figure-1"
SIDE = 32
# With alpha 1 lambda is uniform: 20 of 32 rows are the first image's.
LAMBDA, ALPHA = 0.625, 1.0
WAYS = (
    ("vertical", "rows", stitch_vertical),
    ("horizontal", "columns", stitch_horizontal),
)
# Left, top, right and bottom of what is seen of an image, in pixels.
Box = Tuple[int, int, int, int]
WHOLE: Box = (0, 0, SIDE, SIDE)


def picture() -> Picture:
    """Return the figure. What is seen of each image follows from the mixers themselves."""
    panels = [("first image", [WHOLE, None]), ("second image", [None, WHOLE])]
    rows: List[Tuple[Any, ...]] = []
    for name, lines, mixer in WAYS:
        plan = mixer(2, SIDE, SIDE, np.array([LAMBDA]), alpha=ALPHA)
        boxes = [box_of(np.broadcast_to(mask, (SIDE, SIDE))) for mask in plan.masks]
        weight = area(boxes[0]) / SIDE**2
        kept = round(weight * SIDE)
        panels.append((f"{name}: {kept} of {SIDE} {lines},\ntarget {weight:g} of the first", boxes))
        rows += [(name, image, *box, area(box) / SIDE**2) for image, box in enumerate(boxes)]
    columns = ("stitching", "image", "left", "top", "right", "bottom", "weight")
    return Picture(NAME, to_csv(columns, rows), lambda: draw(panels))


def box_of(mask: np.ndarray) -> Box:
    """Return the box in which a mask is not 0."""
    below, along = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(along[0]), int(below[0]), int(along[-1]) + 1, int(below[-1]) + 1


def area(box: Box) -> int:
    """Return the pixels of a box."""
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def draw(panels: Any) -> bytes:
    """Return the drawing: the two images, then what each way of stitching keeps of them."""

    def paint(figure: Any) -> None:
        for axes, (title, boxes) in zip(figure.subplots(1, len(panels)), panels):
            for image, box in enumerate(boxes):
                if box is not None:
                    part(axes, image, box)
            axes.set(xlim=(0, SIDE), ylim=(SIDE, 0), aspect="equal", xticks=[], yticks=[])
            axes.set_title(title)
            for spine in axes.spines.values():
                spine.set(visible=True, color=INK)
        figure.tight_layout()

    return drawn(9.0, 3.0, paint)


def part(axes: Any, image: int, box: Box) -> None:
    """Draw what is seen of one image: its ground and its shape, cut by the box."""
    from matplotlib.patches import Circle, Polygon, Rectangle

    left, top, right, bottom = box
    frame = Rectangle((left, top), right - left, bottom - top, transform=axes.transData)
    ground = Rectangle((left, top), right - left, bottom - top, color=COLOURS[image], alpha=0.25)
    middle = SIDE / 2
    shape = (
        Circle((middle, middle), 11, color=COLOURS[image])
        if image == 0
        else Polygon([(middle, 4), (28, 27), (4, 27)], color=COLOURS[image])
    )
    axes.add_patch(ground)
    axes.add_patch(shape)
    shape.set_clip_path(frame)
