"""Curves of accuracy: our runs, authors' logs and printed values, each series with its label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.errors import DataError, UsageError, unknown
from gluontricks.figures.canvas import COLOURS, GREY, Picture, apart, drawn, to_csv
from gluontricks.figures.sources import find_record
from gluontricks.recipes import published
from gluontricks.results.authorlogs import LABEL as AUTHOR_LOG
from gluontricks.results.authorlogs import Distrust, read_log

PRINTED = "PAPER"
METRICS = ("top1", "top5")
COLUMNS = ("series", "label", "source", "seed", "epochs", "lr", "loss", *METRICS)
LINES = {AUTHOR_LOG: (0, (5, 1.5)), PRINTED: (0, (1, 2))}
SMALL, HEIGHT = 7.5, 3.1


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes
    ----------
    name : str
        What it is called; series of one name are seeds of one run.
    label : str
        The honesty label of its numbers.
    source : str
        Run, log or printed value.
    seed : int or None
    epochs : tuple of mappings
        In the form of a run record. A printed value has one without a number.
    doubts : tuple of str
        What is not to be trusted in a log.
    """

    name: str
    label: str
    source: str
    seed: Optional[int]
    epochs: Tuple[Mapping[str, Any], ...]
    doubts: Tuple[str, ...] = ()


def read_series(source: str, results_dir: Path) -> Series:
    """Return the curve of a run's directory, of an author's log, or of a record in the registry.

    Parameters
    ----------
    source : str
        A folder, a file, or a run id.
    results_dir : Path
        The folder whose registry knows run ids.

    Raises
    ------
    DataError
        If there is none of them, or it has no curve.
    """
    if not Path(source).is_file():
        return of_record(find_record(source, results_dir))
    log = read_log(Path(source))
    return Series(
        Path(log.name).stem, AUTHOR_LOG, log.name, None, log.epochs, _doubts(log.distrust)
    )


def of_record(record: Mapping[str, Any]) -> Series:
    """Return the curve of a run record."""
    doubts: Tuple[str, ...] = ()
    epochs = tuple(record["epochs"] or ())
    if not epochs:
        raise DataError(f"run '{record['run_id']}' has no curve", "leave it out")
    if record["label"] == AUTHOR_LOG:
        name = Path(record["source"]["file"]).stem
        doubts = _doubts([Distrust(**doubt) for doubt in record["source"]["log"]["distrust"]])
    else:
        name = record["recipe"]
    seed = (record["seed"] or {}).get("root")
    return Series(name, record["label"], record["run_id"], seed, epochs, doubts)


def _doubts(found: Sequence[Distrust]) -> Tuple[str, ...]:
    """Return the doubts that are about a curve of accuracy, or about the run as a whole."""
    drawn = {*METRICS, "flags", "final"}
    return tuple(str(doubt) for doubt in found if drawn & set(doubt.columns))


def read_published(key: str, metric: str) -> Series:
    """Return a printed accuracy as a series without epochs of its own.

    Raises
    ------
    UsageError
        If no printed value has this id, or it is none of ``metric``.
    """
    values = {value.id: value for value in published()}
    if key not in values:
        raise unknown("printed value", key, values)
    value = values[key]
    if value.metric != metric or value.number is None:
        raise UsageError(f"'{key}' prints no {metric}", f"choose an id that ends with /{metric}")
    return Series(value.row, PRINTED, key, None, ({"epoch": None, metric: value.number},))


def renamed(series: Sequence[Series], names: Sequence[str]) -> List[Series]:
    """Return the series with other names, one for each.

    Raises
    ------
    UsageError
        If there are more or fewer names than series.
    """
    if len(names) != len(series):
        raise UsageError(
            f"there are {len(series)} curves and {len(names)} names", "give one name to each"
        )
    return [replace(one, name=name) for one, name in zip(series, names)]


def curves_picture(series: Sequence[Series], *, metric: str = "top1", name: str) -> Picture:
    """Return the picture of some curves; ours are drawn through, authors' dashed, printed dotted.

    Raises
    ------
    DataError
        If a series has no value of ``metric``.
    UsageError
        If there are more curves than colours.
    """
    for one in series:
        if all(epoch.get(metric) is None for epoch in one.epochs):
            raise DataError(f"'{one.source}' holds no {metric}", "leave it out, or choose --metric")
    if len(_groups(series)) > len(COLOURS):
        raise UsageError(
            f"{len(_groups(series))} curves cannot be told apart", f"draw at most {len(COLOURS)}"
        )
    rows = [row for one in series for row in _rows(one)]
    return Picture(name, to_csv(COLUMNS, rows), lambda: draw_curves(series, metric))


def _groups(series: Sequence[Series]) -> Dict[Tuple[str, str], List[Series]]:
    """Return the series by name and label: seeds of one run are drawn as one."""
    groups: Dict[Tuple[str, str], List[Series]] = {}
    for one in series:
        groups.setdefault((one.name, one.label), []).append(one)
    return groups


def _rows(one: Series) -> List[Tuple[Any, ...]]:
    """Return the lines of a curve in a CSV file; epochs are those that are over."""
    return [
        (one.name, one.label, one.source, one.seed, _over(epoch),
         *(epoch.get(column) for column in ("lr", "loss", *METRICS)))
        for epoch in one.epochs
    ]  # fmt: skip


def _over(epoch: Mapping[str, Any]) -> Optional[int]:
    return None if epoch["epoch"] is None else epoch["epoch"] + 1


def draw_curves(series: Sequence[Series], metric: str) -> bytes:
    """Return the SVG of some curves, each named where it ends, with its last value."""
    groups = _groups(series)
    ends = [_end(members, metric, c) for members, c in zip(groups.values(), COLOURS)]
    longest = max(max(len(end.name), len(end.words)) for end in ends)
    width = 0.55 + 3.6 + 0.25 + 0.08 * longest
    lines = LINES if len({label for _, label in groups}) > 1 else {}

    def paint(figure: Any) -> None:
        axes = figure.add_axes((0.55 / width, 0.14, 3.6 / width, 0.82))
        for members, end in zip(groups.values(), ends):
            for one in members:
                _plot(axes, one, metric, end.colour, lines.get(one.label, "-"))
        axes.set(xlabel="epoch", ylabel=f"{metric.replace('top', 'top-')} accuracy, %")
        axes.set_xlim(0, max(_over(e) or 0 for one in series for e in one.epochs))
        axes.xaxis.get_major_locator().set_params(integer=True)
        _name_ends(axes, ends)

    return drawn(width, HEIGHT, paint)


@dataclass(frozen=True)
class _End:
    """What stands beside the end of a curve."""

    value: float
    name: str
    words: str
    colour: str


def _end(members: Sequence[Series], metric: str, colour: str) -> _End:
    """Return what stands beside the end of a curve, or of the curves of some seeds."""
    value = sum(_last(one, metric) for one in members) / len(members)
    seeds = f", mean of {len(members)}" if len(members) > 1 else ""
    return _End(value, members[0].name, f"{value:.2f}{seeds}, {members[0].label}", colour)


def _last(one: Series, metric: str) -> float:
    return [epoch[metric] for epoch in one.epochs if epoch.get(metric) is not None][-1]


def _plot(axes: Any, one: Series, metric: str, colour: str, line: Any) -> None:
    style = {"color": colour, "linestyle": line, "linewidth": 1.5}
    if one.label == PRINTED:
        axes.axhline(one.epochs[0][metric], **style)
        return
    points = [(_over(e), e[metric]) for e in one.epochs if e.get(metric) is not None]
    marker = "o" if len(points) <= 12 else None
    axes.plot(*zip(*points), marker=marker, markersize=3.5, clip_on=False, **style)


def _name_ends(axes: Any, ends: Sequence[_End]) -> None:
    """Write the name and the label of each curve beside its end, none over another."""
    low, high = axes.get_ylim()
    inch = (high - low) / (HEIGHT * 0.82)
    values = [end.value for end in ends]
    places = apart(values, 0.34 * inch, low + 0.17 * inch, high - 0.17 * inch)
    for end, y in zip(ends, places):
        text = {"transform": axes.get_yaxis_transform(), "ha": "left"}
        axes.text(1.03, y, end.name, color=end.colour, va="bottom", fontsize=8.5, **text)
        axes.text(1.03, y, end.words, color=GREY, va="top", fontsize=SMALL, **text)
    axes.set_ylim(low, high)
