"""How far the largest logit is above the mean of the others, over the images of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Sequence, Tuple
from zipfile import BadZipFile

import numpy as np

from gluontricks.errors import DataError, UsageError
from gluontricks.figures.canvas import COLOURS, GREY, INK, Picture, drawn, to_csv
from gluontricks.figures.sources import find_record
from gluontricks.results.declared import recipe_of
from gluontricks.results.registry import PREDICTIONS
from gluontricks.targets import optimal_gap

BINS = 60
# Two theories that differ by less are one line.
NEAR = 0.05
SUMMARY = (
    "series", "label", "source", "classes", "epsilon", "form", "images", "mean", "std",
    "quantile 0.05", "median", "quantile 0.95", "optimum", "optimum of Eq. 5",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Gaps:
    """The gaps of one run's images, and the smoothing it was trained with.

    Attributes
    ----------
    source, label : str
        The run, and the honesty label of its record.
    classes : int
    epsilon : float
        0 without label smoothing.
    form : str
        ``gluoncv`` or ``paper``, as in :func:`gluontricks.targets.smoothing_values`.
    gaps : ndarray, shape (N,)
        Of :func:`gluontricks.metrics.logit_gaps`.
    doubts : tuple of str
        Why the theory is not about this run.
    """

    source: str
    label: str
    classes: int
    epsilon: float
    form: str
    gaps: np.ndarray
    doubts: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in a picture."""
        return f"smoothing {self.epsilon:g}" if self.epsilon else "no smoothing"

    @property
    def optimum(self) -> float:
        """The gap at which the loss of its own targets is least; infinite without smoothing."""
        return optimal_gap(self.classes, self.epsilon, self.form)


def read_gaps(source: str, results_dir: Path) -> Gaps:
    """Return the gaps that a run kept with its predictions.

    Parameters
    ----------
    source : str
        The directory of a run, or its id in the registry.
    results_dir : Path
        The folder of the registry.

    Raises
    ------
    DataError
        If there is no such run, or it kept no gaps.
    """
    path = Path(source)
    record = find_record(source, results_dir)
    kept = path / PREDICTIONS
    if not path.is_dir():
        kept = results_dir / "predictions" / f"{source}.npz"
    recipe = recipe_of(record)
    if recipe is None:
        raise DataError(f"'{source}' is of a recipe that this version cannot read", "update it")
    classes = recipe.classes or record["data"].get("class_count")
    if classes is None:
        raise DataError(f"the record of '{source}' does not say its classes", "run it again")
    return Gaps(
        source=record["run_id"],
        label=record["label"],
        classes=classes,
        epsilon=recipe.label_smoothing,
        form=recipe.smoothing_form or "gluoncv",
        gaps=_kept(kept, source),
        doubts=tuple(
            f"its {field} is {getattr(recipe, field)}, of which the theory knows nothing"
            for field, off in (("mixup_type", "none"), ("teacher", None))
            if getattr(recipe, field) != off
        ),
    )


def _kept(path: Path, source: str) -> np.ndarray:
    """Return the gaps in a file of predictions."""
    try:
        with open(path, "rb") as stream:
            return np.load(stream)["gap"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(
            f"'{source}' kept no gaps with its predictions",
            "take a run that is over; one of before gaps were kept must be run again",
        ) from error


def check(without: Gaps, smoothed: Gaps) -> None:
    """Prove that two runs are a pair: one without and one with smoothing, on the same images.

    Raises
    ------
    UsageError
        If they are none.
    DataError
        If one has a gap that is not finite.
    """
    if without.epsilon or not smoothed.epsilon:
        raise UsageError(
            f"label smoothing is {without.epsilon:g} in the first run and {smoothed.epsilon:g} in "
            "the second",
            "name first a run without label smoothing, then one with it",
        )
    one, other = ((each.classes, len(each.gaps)) for each in (without, smoothed))
    if one != other:
        raise UsageError(
            f"the runs have {one[0]} and {other[0]} classes, {one[1]:,} and {other[1]:,} images",
            "name runs on the same data",
        )
    for each in (without, smoothed):
        if not np.isfinite(each.gaps).all():
            raise DataError(f"'{each.source}' has logits that are not finite", "train it again")


def histogram(pair: Sequence[Gaps]) -> List[Tuple[float, float, int, int]]:
    """Return ``(low, high, images of the first, images of the second)`` of each bin."""
    ends = np.concatenate([each.gaps for each in pair])
    low, high = float(np.floor(ends.min())), float(np.ceil(ends.max()))
    # NumPy's versions divide a range into numbers that differ in the last digit.
    edges = [low + k * (max(high, low + 1) - low) / BINS for k in range(BINS + 1)]
    first, second = (np.histogram(each.gaps, edges)[0] for each in pair)
    return [(a, b, int(m), int(n)) for a, b, m, n in zip(edges, edges[1:], first.tolist(), second)]


def summary(pair: Sequence[Gaps]) -> str:
    """Return what the distributions are in numbers, as CSV."""
    rows = []
    for each in pair:
        values = each.gaps.astype(np.float64)
        quantiles = [float(q) for q in np.quantile(values, (0.05, 0.5, 0.95))]
        smoothed = [each.optimum, optimal_gap(each.classes, each.epsilon)]
        rows.append((
            each.name, each.label, each.source, each.classes, each.epsilon, each.form,
            len(values), float(values.mean()), float(values.std(ddof=1)), *quantiles,
            *(smoothed if each.epsilon else (None, None)),
        ))  # fmt: skip
    return to_csv(SUMMARY, rows)


def gap_picture(without: Gaps, smoothed: Gaps, *, name: str) -> Picture:
    """Return the two distributions as a picture.

    Raises
    ------
    UsageError, DataError
        If the runs are no pair; see :func:`check`.
    """
    check(without, smoothed)
    pair = (without, smoothed)
    bins = histogram(pair)
    columns = ("low", "high", *(f"images, {each.name}" for each in pair))
    return Picture(name, to_csv(columns, bins), lambda: draw_gaps(pair, bins))


def draw_gaps(pair: Sequence[Gaps], bins: Sequence[Tuple[float, float, int, int]]) -> bytes:
    """Return the SVG of two distributions below each other, and of the gap that theory tells."""
    edges = [bins[0][0], *(b[1] for b in bins)]
    shares = [[b[2 + i] / len(each.gaps) for b in bins] for i, each in enumerate(pair)]
    highest = 1.04 * max(max(counts) for counts in shares)

    def paint(figure: Any) -> None:
        for place, (each, counts) in enumerate(zip(pair, shares)):
            axes = figure.add_axes((0.03, 0.52 - 0.38 * place, 0.94, 0.37))
            colour = COLOURS[place]
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.22)
            axes.stairs(counts, edges, color=colour, linewidth=1.3)
            axes.set(xlim=(edges[0], edges[-1]), ylim=(0, highest), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelbottom=bool(place))
            at = {"transform": axes.transAxes, "ha": "right", "va": "top"}
            axes.text(0.995, 0.94, each.name, color=colour, weight="bold", **at)
            words = f"mean {each.gaps.mean(dtype=np.float64):.2f}, {each.label}"
            axes.text(0.995, 0.78, words, color=GREY, fontsize=8, **at)
            _theory(axes, pair[1], worded=not place)
            axes.set_xlabel("largest logit minus the mean of the others" if place else "")

    return drawn(5.2, 3.4, paint)


def _theory(axes: Any, smoothed: Gaps, *, worded: bool) -> None:
    """Mark the gap of Eq. 5, and that of the run's own targets where it is another."""
    printed = optimal_gap(smoothed.classes, smoothed.epsilon)
    own = smoothed.optimum
    axes.axvline(printed, color=INK, linewidth=0.9)
    words = f"theory {printed:.2f}"
    if abs(own - printed) >= NEAR:
        axes.axvline(own, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
        words += f"; with \u03b5/K on all classes {own:.2f}, dashed"
    if worded:
        low, high = axes.get_xlim()
        left = (printed - low) / (high - low) < 0.5
        axes.text(
            printed, 1.03, words, transform=axes.get_xaxis_transform(), fontsize=8,
            ha="left" if left else "right",
        )  # fmt: skip
