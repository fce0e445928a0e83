"""Learning curves from run records."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Mapping, Sequence

from gluontricks.files import write_atomic


def draw_curves(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, *, title: str
) -> None:
    """Write what several runs reached on held-out images after each epoch to ``path``.

    The training loss is left out: that of mixed or distilled targets compares with no other.

    Parameters
    ----------
    curves : mapping
        Label -> the ``epochs`` of a run record.
    path : Path
        A picture; its ending says which kind.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6))
    FigureCanvasAgg(figure)
    accuracy, likelihood = figure.subplots(1, 2)
    for label, epochs in curves.items():
        ended = [event["epoch"] + 1 for event in epochs]
        accuracy.plot(ended, [event["top1"] for event in epochs], marker="o", label=label)
        likelihood.plot(ended, [event["nll"] for event in epochs], marker="o", label=label)
    accuracy.set_ylabel("top-1 accuracy, %")
    likelihood.set_ylabel("negative log-likelihood, nats")
    likelihood.set_yscale("log")
    for axes in (accuracy, likelihood):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    accuracy.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.lstrip(".") or "png", dpi=110)
    write_atomic(path, content.getvalue())
