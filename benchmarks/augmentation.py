"""Time of the pipeline per batch of 128 on one core, and its share of a training step.

The pipeline is what happens to a batch before the network: gathering 128 images from the data in
memory, flip, brightness, saturation, hue, lighting, crop, normalisation, smoothed targets; and the
draws behind them, whose time per epoch is divided by its batches. It is timed alone, in a process
bound to one core. The step is that of the throughput benchmark, pipeline included, on all cores.
Pipeline and steps alternate, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from common import (
    BATCH,
    answer,
    append,
    images_of,
    is_busy,
    keep_memory,
    parser_of,
    recipe_of,
    record,
    run_worker,
    summarise,
    worker_words,
)

from gluontricks import builders
from gluontricks.data.images import ImageSet

STEPS = {"float32": "gluontricks-fp32", "bfloat16": "gluontricks-bf16"}
THROUGHPUT = str(Path(__file__).with_name("throughput.py"))
LARGEST_SHARE = 0.05


def bind_to_one_core() -> bool:
    """Let this process use one core only; return whether the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Return the milliseconds per batch of the pipeline and of its draws."""
    bound = bind_to_one_core()
    keep_memory()
    train = images_of("train", options.data_dir)
    recipe = recipe_of("float32")
    draws = builders.make_draws(recipe, train)
    started = time.perf_counter()
    batches = list(draws.batches(0))
    drawing = (time.perf_counter() - started) / len(batches)
    times = pipeline_times(recipe, train, batches[: options.batches + 3])[3:]
    return {
        "pipeline_ms": float(np.median(times)) * 1e3,
        "fastest_ms": min(times) * 1e3,
        "draws_ms": drawing * 1e3,
        "data": train.name,
        "one_core": bound,
    }


def pipeline_times(recipe: Any, train: ImageSet, batches: List[Any]) -> List[float]:
    """Return the seconds that each batch takes from the data in memory to the network's input."""
    pipeline = builders.make_pipeline(recipe)
    times = []
    for batch in batches:
        started = time.perf_counter()
        pipeline.prepare(train.images[batch.indices], batch.labels, batch)
        times.append(time.perf_counter() - started)
    return times


def measure(options: argparse.Namespace) -> Dict[str, Any]:
    """Return one round: the pipeline, then a step in each precision, and the shares."""
    words = worker_words("pipeline", options, "--batches", str(options.batches))
    alone = run_worker(__file__, words, threads=1)
    per_batch = alone["pipeline_ms"] + alone["draws_ms"]
    found: Dict[str, Any] = {"pipeline": alone, "per_batch_ms": per_batch}
    for dtype, name in STEPS.items():
        words = worker_words(name, options, "--steps", str(options.steps))
        step = run_worker(THROUGHPUT, words, threads=options.threads)
        found[dtype] = {"step_ms": step["step_ms"], "share": per_batch / step["step_ms"]}
    return found


def report(rounds: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Print and return what the rounds say together."""
    per_batch = summarise([entry["per_batch_ms"] for entry in rounds])
    print(f"pipeline and draws, ms per batch of {BATCH} on one core: {per_batch}")
    result: Dict[str, Any] = {"batch_size": BATCH, "per_batch_ms": per_batch._asdict()}
    for dtype in STEPS:
        step = summarise([entry[dtype]["step_ms"] for entry in rounds])
        share = summarise([entry[dtype]["share"] for entry in rounds])
        verdict = "reached" if share.median <= LARGEST_SHARE else "missed"
        print(f"{dtype}: step, ms: {step}\n{dtype}: share of the step: {share}")
        print(f"{dtype}: target at most {LARGEST_SHARE:g}: {verdict}")
        result[dtype] = {
            "step_ms": step._asdict(),
            "share": share._asdict(),
            "verdict": verdict,
        }
    return {**result, "rounds": rounds}


def main() -> int:
    """Run the worker, or the rounds asked for."""
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="[%(default)s]")
    parser.add_argument("--batches", type=int, default=100, help="timed batches [%(default)s]")
    parser.add_argument("--steps", type=int, default=20, help="timed steps [%(default)s]")
    options = parser.parse_args()
    if min(options.rounds, options.batches, options.steps) < 1:
        parser.error("--rounds, --batches and --steps must be at least 1")
    if options.worker:
        answer(worker(options))
    busy = is_busy()
    rounds = []
    for number in range(options.rounds):
        rounds.append(measure(options))
        share = rounds[-1]["float32"]["share"]
        print(
            f"{number + 1:4}: {rounds[-1]['per_batch_ms']:.2f} ms, {share:.1%} of the fp32 step",
            flush=True,
        )
    result = {**report(rounds), "busy": busy}
    append(options.out, [record("augmentation", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
