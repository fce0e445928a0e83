"""Training throughput on images in folders: this package against others, batch 16, 10 classes.

Contestants
-----------
gluontricks-fp32
    Our learner with everything a real run does: images of Imagenette are read, decoded, cropped
    and augmented by processes (the paper's six steps), smoothed targets, forward, backward, update.
gluontricks-torch-fp32, gluontricks-torch-bf16
    The same on the PyTorch engine.
gluoncv
    GluonCV's network in the loop of its ImageNet script with label smoothing, in hybrid mode, as
    shipped: its own transforms for folders in a DataLoader with 4 processes, split_and_load,
    Trainer('nag'), the metric updated at every step; OMP_NUM_THREADS unset.
pytorch-fp32, pytorch-bf16
    The same network as a module of PyTorch, channels last, SGD with Nesterov momentum (fused), on
    random batches that lie in memory: no pipeline at all, while ours decodes on the same cores.

Every measurement is a process of its own; contestants alternate. glibc keeps freed memory in all.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import resource
import sys
import time
from typing import Any, Dict, List, Tuple

from common import (
    answer,
    append,
    is_busy,
    keep_memory,
    load_average,
    parser_of,
    record,
    run_worker,
    summarise,
    worker_words,
)
from imagenet_contestants import BATCH, CONTESTANTS, SIZES

from gluontricks.data.locations import data_folder
from gluontricks.machine import cpu

# The least median ratio wanted.
TARGETS: Dict[Tuple[str, str], float] = {
    ("gluontricks-fp32", "gluoncv"): 2.0,
    ("gluontricks-fp32", "pytorch-fp32"): 1.0,
    ("gluontricks-torch-fp32", "pytorch-fp32"): 0.95,
    ("gluontricks-torch-bf16", "pytorch-bf16"): 0.95,
}


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Build one contestant, time its steps, and return what was measured."""
    keep_memory()
    build = CONTESTANTS[options.worker]
    contestant = build(options.model, options.threads, data_folder(options.data_dir))
    shapes = sorted(tuple(shape) for shape in contestant.shapes)
    for _ in range(options.warmup):
        contestant.step()
    contestant.finish()
    began = time.perf_counter()
    for _ in range(options.steps):
        contestant.step()
    loss = contestant.finish()
    seconds = time.perf_counter() - began
    if not math.isfinite(loss):
        raise SystemExit(f"error: {options.worker} diverged: its last loss is {loss}")
    return {
        "name": options.worker,
        "shapes": hashlib.sha256(repr(shapes).encode()).hexdigest()[:16],
        "data": contestant.data,
        "images_per_second": options.steps * BATCH / seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def measure(name: str, options: argparse.Namespace) -> Dict[str, Any]:
    """Return one measurement of a contestant, made in a process of its own."""
    words = ["--model", options.model, "--steps", str(options.steps)]
    words += ["--warmup", str(options.warmup)]
    threads = None if name == "gluoncv" else options.threads
    return run_worker(__file__, worker_words(name, options, *words), threads=threads)


def compare(pair: Tuple[str, str], options: argparse.Namespace) -> Dict[str, Any]:
    """Measure two contestants in turn; print each ratio and what they say together."""
    print(f"\n{pair[0]} against {pair[1]}: {options.model} at {SIZES[options.model]} pixels")
    rounds: List[Dict[str, Any]] = []
    for number in range(options.pairs):
        load = load_average()
        first, second = (measure(name, options) for name in pair)
        if first["shapes"] != second["shapes"]:
            raise SystemExit("error: not the same network")
        ratio = first["images_per_second"] / second["images_per_second"]
        rounds.append({"a": first, "b": second, "ratio": ratio, "load": load})
        print(
            f"{number + 1:4}: {first['images_per_second']:7.1f} {second['images_per_second']:7.1f}"
            f"   ratio {ratio:.3f}",
            flush=True,
        )
    summary = summarise([entry["ratio"] for entry in rounds])
    peak = max(entry["a"]["peak_gb"] for entry in rounds)
    verdict = "no target"
    if pair in TARGETS:
        reached = summary.median >= TARGETS[pair]
        verdict = f"target {TARGETS[pair]:g}: {'reached' if reached else 'missed'}"
    print(f"median ratio {summary}; {verdict}; our peak {peak:.1f} GB")
    return {
        "pair": list(pair),
        "model": options.model,
        "batch_size": BATCH,
        "ratio": summary._asdict(),
        "verdict": verdict,
        "rounds": rounds,
    }


def main() -> int:
    """Run a worker, or the comparisons asked for."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", choices=tuple(SIZES), default="resnet18_v1d")
    parser.add_argument("--compare", nargs=2, action="append", metavar=("A", "B"))
    parser.add_argument("--pairs", type=int, default=10, help="[%(default)s]")
    parser.add_argument("--steps", type=int, default=20, help="timed steps [%(default)s]")
    parser.add_argument("--warmup", type=int, default=4, help="steps before [%(default)s]")
    options = parser.parse_args()
    if options.worker:
        answer(worker(options))
    pairs = [tuple(pair) for pair in options.compare or TARGETS]
    busy = is_busy()
    print(f"{cpu().model}, {options.threads} threads")
    for pair in pairs:
        result = {**compare(pair, options), "busy": busy}
        append(options.out, [record("imagenet", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
