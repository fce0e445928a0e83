"""The exact batch a run would see, as a picture: the paper's Figure 1 for any recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from gluontricks import builders, planning
from gluontricks.data.images import Images, ImageSet
from gluontricks.errors import UsageError
from gluontricks.mixing.plan import mix
from gluontricks.options import RunOptions
from gluontricks.pipeline import Batch, Pipeline
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe

SEARCHED = 64
# A picture of which another image holds this part shows what mixing does.
CLEARLY = 0.2


@dataclass(frozen=True)
class Preview:
    """A batch as the network sees it.

    Attributes
    ----------
    batch : Batch
        The draws.
    images : ndarray of float, shape (N, H, W, 3)
        Inputs of the network with its normalisation undone, in [0, 1].
    targets : ndarray of float32, shape (N, classes)
    shares : ndarray of float32, shape (N, M)
        Share of each image of the batch in each picture.
    class_names : tuple of str
    """

    batch: Batch
    images: np.ndarray
    targets: np.ndarray
    shares: np.ndarray
    class_names: tuple[str, ...]


def preview_batch(
    recipe: Recipe,
    *,
    epoch: int = 0,
    position: Optional[int] = None,
    options: Optional[RunOptions] = None,
) -> Preview:
    """Return the batch that a run of ``recipe`` would train on.

    Parameters
    ----------
    recipe : Recipe
        Need not be resolved.
    epoch : int
    position : int, optional
        Number of the batch in its epoch; the first that is clearly mixed if not given: with a
        small alpha many batches round to no cut.
    options : RunOptions, optional
        Where the images are.

    Raises
    ------
    UsageError
        If the run has no such batch.
    """
    recipe, options = resolve(recipe), options or RunOptions()
    pair = planning.plan_data(recipe, options)
    train = builders.load_data(recipe, options, pair).train
    draws = builders.make_draws(recipe, train)
    if not 0 <= epoch < (recipe.num_epochs or 0):
        raise UsageError(
            f"there is no epoch {epoch}",
            f"the last is {recipe.num_epochs - 1}"
            if recipe.num_epochs
            else "give a recipe with epochs",
        )
    if position is not None and not 0 <= position < draws.steps_per_epoch:
        raise UsageError(
            f"there is no batch {position}", f"the last is {draws.steps_per_epoch - 1}"
        )
    start = position or 0
    batch = next(draws.batches(epoch, start))
    if position is None:
        first = [b for _, b in zip(range(SEARCHED), draws.batches(epoch, 0))]
        clear = (b for b in first if mixed_part(b) >= CLEARLY)
        batch = next(clear, max(first, key=mixed_part))
    images = images_of(batch, train, builders.make_feed(recipe, train, options))
    names = planning.class_names(recipe, pair)
    return render(builders.make_pipeline(recipe), images, batch, names)


def images_of(batch: Batch, train: Images, feed: Any) -> np.ndarray:
    """Return the images of a batch as its learner takes them: not augmented, or just decoded."""
    if isinstance(train, ImageSet):
        return train.images[batch.indices]
    loaded = next(feed.batches(batch.epoch, batch.position))
    feed.close()
    return loaded.images


def mixed_part(batch: Batch) -> float:
    """Return what part of a picture is, at most, not the image that it shares most with."""
    parts = [1 - float(plan.weights.max()) for plan in batch.plans]
    return max(parts, default=0.0)


def render(
    pipeline: Pipeline, images: np.ndarray, batch: Batch, class_names: tuple[str, ...]
) -> Preview:
    """Return the pictures, targets and shares of a batch."""
    inputs, targets = pipeline.prepare(images, batch.labels, batch)
    shares = np.eye(len(images), dtype=np.float32)
    for plan in batch.plans:
        _, shares = mix(inputs, shares, plan)
    mean = np.reshape(pipeline.mean, (1, 3, 1, 1))
    std = np.reshape(pipeline.std, (1, 3, 1, 1))
    pixels = np.clip(inputs * std + mean, 0, 1).transpose(0, 2, 3, 1)
    return Preview(batch, pixels, targets, shares, class_names)


def captions(preview: Preview, index: int) -> List[str]:
    """Return the lines under one picture: each source's label and its share."""
    order = np.argsort(-preview.shares[index], kind="stable")
    return [
        f"{preview.class_names[preview.batch.labels[i]]} {preview.shares[index, i]:.2f}"
        for i in order
        if preview.shares[index, i] > 0
    ]


def describe(preview: Preview, count: int) -> List[Dict[str, Any]]:
    """Return labels and shares of the first ``count`` pictures as plain values."""
    places = preview.batch.indices
    return [
        {
            "sources": [
                {
                    "index": int(places[i]) if places is not None else int(i),
                    "label": preview.class_names[preview.batch.labels[i]],
                    "share": round(float(preview.shares[n, i]), 6),
                }
                for i in np.flatnonzero(preview.shares[n])
            ],
        }
        for n in range(min(count, len(preview.images)))
    ]


def draw(preview: Preview, path: Path, *, count: int = 16, title: str = "") -> None:
    """Write the first ``count`` pictures of a batch to ``path`` (PNG, PDF or SVG)."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gluontricks.files import write_atomic

    count = min(count, len(preview.images))
    columns = min(8, count)
    rows = -(-count // columns)
    lines = max(len(captions(preview, i)) for i in range(count))
    figure = Figure(figsize=(1.7 * columns, rows * (1.6 + 0.17 * lines) + 0.5))
    FigureCanvasAgg(figure)
    for i in range(count):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(preview.images[i], interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("\n".join(captions(preview, i)), fontsize=7)
    batch = preview.batch
    figure.suptitle(f"{title}epoch {batch.epoch}, batch {batch.position}", fontsize=9)
    figure.tight_layout()
    content = io.BytesIO()
    kind = path.suffix.lstrip(".").lower() or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"'{path}' is no kind of picture", "let its name end with .png")
    figure.savefig(content, format=kind, dpi=130)
    write_atomic(path, content.getvalue())
