"""The main job on embedded data: teacher, plain student, stitched and distilled student, export."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np

from gluontricks.data import load_split
from gluontricks.export import export_inference
from gluontricks.files import make_folder, write_atomic
from gluontricks.inference import image_files, load_inference, predict_files
from gluontricks.learners import NetworkSpec
from gluontricks.options import RunOptions
from gluontricks.preview import draw, preview_batch
from gluontricks.recipes import DEMO
from gluontricks.recipes.spec import labelled
from gluontricks.results.figures import draw_curves
from gluontricks.results.rendering import render_table
from gluontricks.rundir import RECORD_FILE
from gluontricks.teachers import read_weights
from gluontricks.training import Result, train

SHOWN_DIGITS = 10


def run_demo(out: Path, say: Callable[[str], None], *, quiet: bool = False) -> Dict[str, Any]:
    """Run the demonstration into the folder ``out``; finished parts are not done again.

    Parameters
    ----------
    out : Path
    say : callable
        Takes what is to be told.
    quiet : bool
        Without the runs' own progress.

    Returns
    -------
    dict
        ``exit_code``, 0 or that of the signal which stopped it; and if it came to its end
        ``seconds``, ``top1`` of each run, ``classified`` and ``right`` of the exported model.
    """
    started = time.monotonic()
    make_folder(out)
    results: Dict[str, Result] = {}
    for label, recipe in labelled(DEMO.rows).items():
        say(f"\n{label}: {recipe.model} on {recipe.dataset}, {recipe.num_epochs} epochs")
        folder = out / "runs" / recipe.name
        results[label] = train(recipe, RunOptions(out=folder, quiet=quiet))
        if results[label].status == "stopped":
            say(f"\nstopped, with a checkpoint in {folder}; the same command goes on")
            return {"exit_code": results[label].exit_code}
        say(f"  top-1 {results[label].metrics['top1']:.2f} % on held-out digits")
    write_tables(out, results, say)
    write_pictures(out, results, say)
    folder = list(results.values())[-1].folder
    counts = classify(out, folder, say)
    seconds = time.monotonic() - started
    say(f"\ndone in {seconds:.0f} s; everything is in {out}/")
    top1 = {label: result.metrics["top1"] for label, result in results.items()}
    return {"exit_code": 0, "seconds": round(seconds, 1), "top1": top1, **counts}


def write_tables(out: Path, results: Dict[str, Result], say: Callable[[str], None]) -> None:
    """Write the table of the runs."""
    records = [record_of(result.folder) for result in results.values()]
    markdown, comma_separated, _ = render_table(DEMO, records, (), label="SMOKE")
    write_atomic(out / "table.md", markdown)
    write_atomic(out / "table.csv", comma_separated)
    say("\n" + markdown)


def record_of(folder: Path) -> Dict[str, Any]:
    """Return the record in a run's directory."""
    return json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))


def write_pictures(out: Path, results: Dict[str, Result], say: Callable[[str], None]) -> None:
    """Write the learning curves and a stitched batch."""
    draw_curves(
        {label: record_of(result.folder)["epochs"] for label, result in results.items()},
        out / "curves.png",
        title="handwritten digits, 360 held out",
    )
    stitched = labelled(DEMO.rows)["vertical stitching + distillation"]
    draw(preview_batch(stitched), out / "stitched.png", title="stitch-vertical, ")
    say(f"pictures: {out / 'curves.png'}, {out / 'stitched.png'}")


def classify(out: Path, run: Path, say: Callable[[str], None]) -> Dict[str, int]:
    """Export a run and let the exported model classify held-out digits from image files."""
    weights = read_weights(run)
    assert weights.normalization is not None
    names = weights.class_names or ()
    export_inference(
        NetworkSpec(str(weights.model), len(names), weights.parameters),
        out / "exported",
        class_names=names,
        normalization=weights.normalization,
        about={"dataset": "digits", "parameters_sha256": weights.sha256},
    )
    test = load_split("digits", "test")
    files = write_digits(out / "digits", test.images[:SHOWN_DIGITS])
    predictions = predict_files(load_inference(out / "exported"), image_files(files), topk=1)
    right = 0
    for prediction, label in zip(predictions, test.labels):
        right += prediction.classes[0] == test.class_names[label]
        say(
            f"  {prediction.path}: {prediction.classes[0]} "
            f"({100 * prediction.probabilities[0]:.1f} %), is {test.class_names[label]}"
        )
    say(f"the exported model in {out / 'exported'} has {right} of {len(files)} right")
    return {"classified": len(files), "right": right}


def write_digits(folder: Path, images: np.ndarray) -> List[Path]:
    """Write images as PNG files."""
    from PIL import Image

    make_folder(folder)
    paths = []
    for i, image in enumerate(images):
        content = io.BytesIO()
        Image.fromarray(image).save(content, format="PNG")
        paths.append(folder / f"digit-{i:02d}.png")
        write_atomic(paths[-1], content.getvalue())
    return paths
