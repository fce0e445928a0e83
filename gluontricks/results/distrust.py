"""Which numbers of an author's log are not to be trusted, found by rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

Flags = Mapping[str, Any]
Epochs = Sequence[Mapping[str, Any]]

VALIDATION_IMAGES = 50_000
# 196 and 195 batches of 256, 48 of 1024: what an iterator counts that pads its last batch.
PADDED_COUNTS = (50_176, 49_920, 49_152)
# Errors are printed with six decimals.
HALF_DIGIT = 0.51e-6
# By chance so many epochs lie on these grids in less than one of 100,000 logs.
GRID_EPOCHS = 3
LINEAR_EPOCHS = 10
# Settings that say where and how fast a run goes on, not what it computes.
INCIDENTAL = re.compile(r"resume|save|logging|num_workers|log_interval|start_epoch|_dir$|^rec_")


@dataclass(frozen=True)
class Distrust:
    """Why some columns of a log are not to be trusted: the rule's name, and the reason in words.

    ``columns`` are names of an epoch's values, or ``flags``, or ``final`` for the last epoch as a
    result.
    """

    rule: str
    columns: Tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}"


def training_accuracy(epochs: Epochs, train_metric: Optional[str]) -> Iterator[Distrust]:
    """Yield whether training is right about half of the time when validation is not at all."""
    first = epochs[0]
    if train_metric != "accuracy" or first["epoch"] != 0:
        return
    train, top1 = first.get("train"), first.get("top1")
    if train is not None and top1 is not None and train > 50 and top1 < 10:
        yield Distrust(
            "training-accuracy",
            ("train",),
            f"{train:.1f} % in epoch 0, beside a validation error of {100 - top1:.1f} %",
        )


def padded_validation(epochs: Epochs, flags: Flags) -> Iterator[Distrust]:
    """Yield whether all errors are multiples of one over a padded number of images."""
    errors = [
        [round(1 - epoch[name] / 100, 6) for name in ("top1", "top5")]
        for epoch in epochs
        if epoch.get("top1") is not None and epoch.get("top5") is not None
    ]
    telling = [pair for pair in errors if not set(pair) <= {0.0, 1.0}]
    if len(telling) < GRID_EPOCHS or all(on_grid(pair, VALIDATION_IMAGES) for pair in telling):
        return
    used: List[int] = []
    while telling:
        count = max(counts(flags), key=lambda n: sum(on_grid(pair, n) for pair in telling))
        rest = [pair for pair in telling if not on_grid(pair, count)]
        if len(rest) == len(telling):
            return
        used.append(count)
        telling = rest
    grids = " or ".join(f"1/{n}" for n in used)
    reason = f"errors are multiples of {grids}, not of 1/{VALIDATION_IMAGES}"
    yield Distrust("padded-validation", ("top1", "top5"), reason)


def counts(flags: Flags) -> List[int]:
    """Return the numbers of images that padded validations count, those of the flags too."""
    found = list(PADDED_COUNTS)
    batch, devices = flags.get("batch_size"), flags.get("num_gpus")
    if isinstance(batch, int) and isinstance(devices, int) and batch * devices > 0:
        total = batch * devices
        found += [-(-VALIDATION_IMAGES // total) * total, VALIDATION_IMAGES // total * total]
    return [n for n in dict.fromkeys(found) if n not in (0, VALIDATION_IMAGES)]


def on_grid(errors: Sequence[float], count: int) -> bool:
    """Return whether errors printed with six decimals are multiples of ``1/count``."""
    return all(abs(e * count - round(e * count)) <= count * HALF_DIGIT for e in errors)


def linear_validation(epochs: Epochs) -> Iterator[Distrust]:
    """Yield whether the accuracy grows by the same step in every epoch."""
    found = [epoch["top1"] for epoch in epochs if epoch.get("top1") is not None]
    steps = [after - before for before, after in zip(found, found[1:])]
    if len(found) < LINEAR_EPOCHS or max(steps) - min(steps) > 3e-4 or abs(steps[0]) < 1e-2:
        return
    yield Distrust(
        "linear-validation",
        ("top1", "top5", "final"),
        f"top-1 changes by {steps[0]:.4f} points in each of {len(found)} epochs: "
        "it was computed from the epoch, not measured",
    )


def other_model(flags: Flags, name: str) -> Iterator[Distrust]:
    """Yield whether the flags name a model that the name of the file does not."""
    model = flags.get("model") or flags.get("network")
    stem = name.rsplit("/", 1)[-1]
    if not isinstance(model, str) or not stem:
        return
    if not re.search(rf"(?<![A-Za-z0-9]){re.escape(model)}(?![A-Za-z0-9])", stem):
        yield Distrust("other-model", ("model",), f"the flags say {model}, the file {stem}")


def changed_flags(runs: Sequence[Tuple[int, Flags]]) -> Iterator[Distrust]:
    """Yield whether the parts of a restarted run had other settings than its last part.

    Parameters
    ----------
    runs : sequence of pairs
        The first epoch that is left of each part, and the part's flags.
    """
    if not runs:
        return
    last = runs[-1][1]
    for first, flags in runs[:-1]:
        names = sorted(
            name
            for name in {*flags, *last}
            if flags.get(name) != last.get(name) and not INCIDENTAL.search(name)
        )
        if names:
            yield Distrust(
                "changed-flags",
                ("flags",),
                f"from epoch {first} on with other values of {', '.join(names)}",
            )


def unfinished(epochs: Epochs, planned: Optional[int], column: str) -> Iterator[Distrust]:
    """Yield whether the last planned epoch has no result."""
    if planned is None:
        return
    last = max((e["epoch"] for e in epochs if e.get(column) is not None), default=-1)
    if last + 1 < planned:
        yield Distrust("unfinished", ("final",), f"it ends after {last + 1} of {planned} epochs")
