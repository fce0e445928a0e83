"""The figures of Bag of Tricks that need no training: 1, 2, 3a, 4a, and 3b from authors' logs."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from gluontricks.figures.canvas import COLOURS, GREY, PALE, Picture, drawn, to_csv
from gluontricks.figures.curves import curves_picture, of_record, renamed
from gluontricks.figures.diagrams import draw_architecture, draw_tweaks
from gluontricks.figures.layers import Residual, as_rows, from_rows, residual
from gluontricks.schedules import Schedule, rate_table
from gluontricks.targets import optimal_gap

NETWORK = "resnet50_v1"
TWEAKS: Mapping[str, str] = {
    NETWORK: "ResNet-50",
    "resnet50_v1b": "ResNet-B",
    "resnet50_v1c": "ResNet-C",
    "resnet50_v1d": "ResNet-D",
}
LAYER_COLUMNS = ("model", "layer", "kind", "kernel", "stride", "channels", "size", "inputs")

# Section 3: batch 1024 of 1,281,167 images, 5 epochs of warm-up to 0.1 x 1024 / 256.
EPOCHS, STEPS = 120, 1_281_167 // 1024
SCHEDULES: Mapping[str, Schedule] = {
    "step decay": Schedule("step", 0.4, warmup_epochs=5, decay_epochs=(30, 60, 90)),
    "cosine decay": Schedule("cosine", 0.4, warmup_epochs=5),
}
PER_EPOCH = 4

# GluonCV's logs of resnet50_v1: the step schedule it first had, and cosine at batch 1024.
LOGS: Mapping[str, str] = {
    "log-9f23598a85110d7f": "step, batch 256",
    "log-8073d7c19ba7df03": "cosine, batch 1024",
}

CLASSES, EPSILON = (1000, 10), 0.1
POINTS = 1000


def pictures(complexity: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> List[Picture]:
    """Return the figures.

    Parameters
    ----------
    complexity : mapping
        What :func:`gluontricks.results.complexity.load` returns.
    records : sequence of mappings
        Of the registry. Figure 3b is left out where the logs that it shows are not among them.
    """
    layers = {name: from_rows(complexity["layers"][name]) for name in TWEAKS}
    networks = {TWEAKS[name]: residual(found) for name, found in layers.items()}
    rates, gaps = schedule_rows(), gap_rows()
    return [
        architecture(layers, networks),
        tweaks(layers, networks),
        Picture(
            "bag-of-tricks-figure-3a",
            to_csv(("epoch", "update", *SCHEDULES), rates),
            lambda: draw_schedules(rates),
        ),
        *validation(records),
        Picture(
            "bag-of-tricks-figure-4a",
            to_csv(("epsilon", *(f"gap of {k} classes" for k in CLASSES)), gaps),
            lambda: draw_gaps(gaps),
        ),
    ]


def architecture(layers: Mapping[str, Any], networks: Mapping[str, Residual]) -> Picture:
    """Return Figure 1."""
    return Picture(
        "bag-of-tricks-figure-1",
        to_csv(LAYER_COLUMNS, layer_rows(NETWORK, layers[NETWORK])),
        lambda: draw_architecture(networks[TWEAKS[NETWORK]]),
    )


def tweaks(layers: Mapping[str, Any], networks: Mapping[str, Residual]) -> Picture:
    """Return Figure 2."""
    rows = [row for name in TWEAKS for row in layer_rows(name, layers[name])]
    return Picture(
        "bag-of-tricks-figure-2", to_csv(LAYER_COLUMNS, rows), lambda: draw_tweaks(networks)
    )


def validation(records: Sequence[Mapping[str, Any]]) -> List[Picture]:
    """Return Figure 3b, from the authors' logs."""
    found = {record["run_id"]: record for record in records if record["run_id"] in LOGS}
    if set(found) != set(LOGS):
        return []
    series = renamed([of_record(found[key]) for key in LOGS], list(LOGS.values()))
    return [curves_picture(series, name="bag-of-tricks-figure-3b")]


def layer_rows(model: str, layers: Sequence[Any]) -> List[Tuple[Any, ...]]:
    """Return a network's layers as lines of a CSV file."""
    rows: List[Tuple[Any, ...]] = []
    for number, row in enumerate(as_rows(layers)):
        values = {**row, "model": model, "layer": number}
        values["inputs"] = " ".join(map(str, row["inputs"]))
        rows.append(tuple(values[name] for name in LAYER_COLUMNS))
    return rows


def schedule_rows() -> List[Tuple[Any, ...]]:
    """Return epoch, update and each schedule's rate, some times an epoch and at its last update."""
    tables = [rate_table(s, epochs=EPOCHS, steps_per_epoch=STEPS) for s in SCHEDULES.values()]
    updates = [k * STEPS // PER_EPOCH for k in range(EPOCHS * PER_EPOCH)]
    updates += [epoch * STEPS - 1 for epoch in range(1, EPOCHS + 1)]
    return [(i / STEPS, i, *(table[i] for table in tables)) for i in sorted(updates)]


def draw_schedules(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return the SVG of Figure 3a."""
    epochs, _updates, *rates = zip(*rows)

    def paint(figure: Any) -> None:
        axes = figure.add_axes((0.105, 0.15, 0.86, 0.81))
        for values, colour in zip(rates, COLOURS):
            axes.plot(epochs, values, color=colour)
        axes.set(xlim=(0, EPOCHS), ylim=(0, 0.42), xlabel="epoch", ylabel="learning rate")
        axes.set_xticks(range(0, EPOCHS + 1, 30))
        axes.set_yticks([0, 0.1, 0.2, 0.3, 0.4])
        axes.text(31.5, 0.1, "step decay", color=COLOURS[0])
        axes.text(52, 0.31, "cosine decay", color=COLOURS[1])
        axes.text(6.5, 0.2, "5 epochs\nof warm-up", color=GREY, fontsize=8, va="center")

    return drawn(5.2, 2.9, paint)


def gap_rows() -> List[Tuple[float, ...]]:
    """Return epsilon and the gap of each number of classes."""
    grid = [i / POINTS for i in range(1, POINTS)]
    columns: List[Dict[float, float]] = [
        {epsilon: optimal_gap(classes, epsilon) for epsilon in grid} for classes in CLASSES
    ]
    return [(epsilon, *(column[epsilon] for column in columns)) for epsilon in grid]


def draw_gaps(rows: Sequence[Sequence[float]]) -> bytes:
    """Return the SVG of Figure 4a."""
    epsilons, *columns = zip(*rows)

    def paint(figure: Any) -> None:
        axes = figure.add_axes((0.09, 0.15, 0.87, 0.82))
        axes.axvline(EPSILON, color=PALE, linewidth=1)
        axes.text(EPSILON, 13.7, f" \u03b5 = {EPSILON}", color=GREY, fontsize=8)
        for classes, gaps, colour in zip(CLASSES, columns, COLOURS):
            shown = [(e, gap) for e, gap in zip(epsilons, gaps) if gap > -1e-9]
            axes.plot(*zip(*shown), color=colour)
            gap = optimal_gap(classes, EPSILON)
            axes.plot([EPSILON], [gap], "o", color=colour, markersize=5)
            axes.text(EPSILON + 0.025, gap + 0.25, f"{gap:.2f}", color=colour, weight="bold")
            place = epsilons.index(0.5)
            axes.text(0.5, gaps[place] + 0.35, f"{classes} classes", color=colour)
        axes.set(xlim=(0, 1), ylim=(0, 14.5), xlabel="\u03b5", ylabel="gap of the logits")
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])

    return drawn(5.2, 2.9, paint)
