"""The record of a run, gathered from what the run left behind."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from gluontricks import builders
from gluontricks.builders import Data
from gluontricks.engine import Training, predicted
from gluontricks.files import sha256_bytes, write_atomic
from gluontricks.history import engines_of, is_bitwise
from gluontricks.learners import Learner, engine_module
from gluontricks.machine import peak_memory
from gluontricks.metrics import calibration_error, confidences, evaluate_logits, logit_gaps
from gluontricks.options import RunOptions
from gluontricks.planning import Plan, classes_hash
from gluontricks.recipes.spec import Recipe
from gluontricks.results.records import RunFacts, build_record, utc_now, write_record
from gluontricks.results.registry import PREDICTIONS
from gluontricks.results.schema import FIELDS
from gluontricks.rundir import RECORD_FILE, read_metrics


def times() -> Tuple[float, float]:
    """Return the wall and the processor time of this process, in seconds."""
    return time.monotonic(), time.process_time()


@dataclass(frozen=True)
class Start:
    """What is the same for every record that one start of a run may write."""

    plan: Plan
    options: RunOptions
    threads: int
    data: Data
    history: List[Dict[str, Any]]
    began: Tuple[float, float] = field(default_factory=times)


def record_run(start: Start, training: Training, status: str, reason: Optional[str]) -> None:
    """Write the record of a run as far as it got; a finished one is evaluated first."""
    folder, recipe = training.folder.path, start.plan.recipe
    epochs = [event for event in read_metrics(folder) if event["event"] == "epoch"]
    metrics = dict(epochs[-1]) if epochs else {}
    if status == "completed":
        metrics.update(final_metrics(training, start.data))
    best = max(epochs, key=lambda event: event["top1"], default=None)
    if training.selects and best:
        metrics.update(top1_best=best["top1"], best_epoch=best["epoch"])
    record = build_record(
        recipe,
        run_facts(start, status, reason),
        data=data_facts(start.data, recipe),
        model=model_facts(start, training.learner),
        metrics=pick(metrics),
        epochs=curve(epochs),
        budget=budget(start, training, epochs),
    )
    write_record(folder / RECORD_FILE, record)


def run_facts(start: Start, status: str, reason: Optional[str]) -> RunFacts:
    """Return when and how the run ran."""
    options, history = start.options, start.history
    return RunFacts(
        run_id=history[0]["run_id"],
        status=status,
        started=history[0]["started"],
        ended=utc_now(),
        engine=engines_of(history),
        device=options.device.partition(":")[0],
        reason=reason,
        resumes=len(history) - 1,
        bitwise=is_bitwise(history),
        command=options.command,
        threads=start.threads,
        checks={
            "finite": status != "diverged",
            "teacher_cache": options.teacher_cache,
            # Images that batch norm sees at once.
            "shard_size": shard_size(start.plan.recipe, options),
        },
    )


def shard_size(recipe: Recipe, options: RunOptions) -> int:
    """Return the images of a shard of a batch."""
    return recipe.batch_size // builders.shard_count(recipe, builders.device_count(options))


def final_metrics(training: Training, data: Data) -> Dict[str, Any]:
    """Evaluate the last epoch on the test images and keep every prediction."""
    logits, labels = predicted(training.learner, data.test), data.test.labels
    best, confidence = logits.argmax(axis=1), confidences(logits)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        predicted=best.astype(np.uint16),
        confidence=confidence,
        gap=logit_gaps(logits),
        labels=labels.astype(np.uint16),
    )
    write_atomic(training.folder.path / PREDICTIONS, content.getvalue())
    return {
        **evaluate_logits(logits, labels),
        "ece15": calibration_error(confidence, best == labels),
        "predictions_sha256": sha256_bytes(content.getvalue()),
    }


def model_facts(start: Start, learner: Learner) -> Dict[str, Any]:
    """Return what the record says of the network and its teacher."""
    recipe, weights = start.plan.recipe, start.plan.teacher
    summary = engine_module(start.options.engine).summary_of(learner.spec)
    teacher = weights and {
        "name": recipe.teacher,
        "sha256": weights.sha256,
        "fingerprint": weights.fingerprint,
    }
    return {
        "params": summary["params"],
        "macs": summary["macs"],
        "classes_sha256": classes_hash(start.plan.class_names),
        "teacher": teacher,
    }


def data_facts(data: Data, recipe: Recipe) -> Dict[str, Any]:
    """Return what the record says of the data."""
    subset = f"{recipe.subset} images, by class in proportion" if recipe.subset else None
    files = dict(data.train.files)
    files.update(data.test.files)
    return {
        "split": f"train {len(data.train)} / test {len(data.test)}",
        "selection": "last_epoch",
        "n_train": len(data.train),
        "n_eval": len(data.test),
        "subset": subset,
        "train_sha256": data.train.sha256,
        "eval_sha256": data.test.sha256,
        "files": [list(pair) for pair in sorted(files.items())],
        "class_count": len(data.train.class_names),
    }


def pick(metrics: Dict[str, Any]) -> Dict[str, Any]:
    """Return the metrics that a record holds."""
    return {name: metrics.get(name) for name in FIELDS["metrics"]}


def curve(epochs: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the learning curve of a record."""
    names = ("epoch", "lr", "loss", "top1", "top5", "nll", "seconds")
    return [{name: event[name] for name in names} for event in epochs]


def budget(start: Start, training: Training, epochs: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return what a run has cost; its times only if all of it ran in this process."""
    wall, processor = (now - then for now, then in zip(times(), start.began))
    resumed = len(start.history) > 1
    steps = epochs[-1]["step"] if epochs else 0
    speeds = [event["images_per_second"] for event in epochs]
    return {
        "epochs": len(epochs),
        "steps": steps,
        "samples_seen": steps * training.draws.batch_size,
        "wall_s": None if resumed else wall,
        "cpu_s": None if resumed else processor,
        "img_per_s": float(np.median(speeds)) if speeds else None,
        "peak_rss_mb": peak_memory() / 2**20,
    }
