"""Training throughput of resnet56_v1 (100 classes) at batch 128: this package against others.

Contestants
-----------
gluontricks-fp32, gluontricks-bf16
    Our learner with everything a real run does per step: draws, augmentation (flip, brightness,
    saturation, hue, lighting, crop), normalisation, smoothed targets, forward, backward, update.
    CIFAR-100 where it is found, random uint8 images otherwise. Threads: physical cores.
gluontricks-torch-fp32, gluontricks-torch-bf16
    The same on the PyTorch engine.
gluoncv
    GluonCV's cifar_resnet56_v1 and the loop of its CIFAR script in hybrid mode, as shipped:
    the script's own transforms (crop after padding by 4, flip, normalise) in a DataLoader with 4
    worker processes, shuffled, last batch discarded; split_and_load on one CPU;
    SoftmaxCrossEntropyLoss; Trainer('nag', 0.1, momentum 0.9, decay 1e-4); the loss read back
    (asscalar) and the accuracy updated at every step; OMP_NUM_THREADS unset. Different from the
    script: 100 classes, batch 128 (its default is 32), the images come from memory (no download),
    and there is no evaluation, plot or saving. It augments less than ours.
pytorch-fp32, pytorch-bf16
    The same network as a module of PyTorch, channels last, SGD with Nesterov momentum (fused),
    on random batches that lie in memory: no pipeline at all. bf16 is torch.autocast on the CPU.
    Threads: physical cores.

Every measurement is a process of its own; contestants alternate, A B A B. Before that, the shapes
of all trained parameters are compared. glibc's allocator is told to keep freed memory in all of
them. Steps before the clock starts are not counted; the clock stops after the last update.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from common import (
    BATCH,
    MODEL,
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
from contestants import CONTESTANTS

from gluontricks.machine import cpu

PARAMETERS = 861_620
Pair = Tuple[str, str]


class Target(NamedTuple):
    """The least median ratio wanted, and the instruction sets it needs and does not want."""

    ratio: float
    needs: Tuple[str, ...] = ()
    without: Tuple[str, ...] = ()


TARGETS: Dict[Pair, Target] = {
    ("gluontricks-fp32", "gluoncv"): Target(2.5),
    ("gluontricks-fp32", "pytorch-fp32"): Target(1.05),
    # MXNet's oneDNN is older than AMX; without avx512_bf16 neither side computes in bfloat16.
    ("gluontricks-bf16", "pytorch-bf16"): Target(1.0, ("avx512_bf16",), ("amx_bf16",)),
    ("gluontricks-torch-fp32", "pytorch-fp32"): Target(0.95),
    ("gluontricks-torch-bf16", "pytorch-bf16"): Target(0.95),
}


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Build one contestant, time its steps, and return what was measured."""
    kept = keep_memory()
    contestant = CONTESTANTS[options.worker](options.threads, options.data_dir)
    shapes = sorted(tuple(shape) for shape in contestant.shapes)
    result = {
        "name": options.worker,
        "parameters": sum(math.prod(shape) for shape in shapes),
        "shapes": hashlib.sha256(repr(shapes).encode()).hexdigest()[:16],
        "data": contestant.data,
        "allocator_keeps": kept,
    }
    if not options.steps:
        return result
    for _ in range(options.warmup):
        contestant.step()
    if options.warmup:
        contestant.finish()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(options.steps):
        contestant.step()
    loss = contestant.finish()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if not math.isfinite(loss):
        raise SystemExit(f"error: {options.worker} diverged: its last loss is {loss}")
    return {
        **result,
        "images_per_second": options.steps * BATCH / wall,
        "step_ms": wall / options.steps * 1e3,
        "cpu_ms": processor / options.steps * 1e3,
        "loss": loss,
    }


def measure(name: str, options: argparse.Namespace, *, steps: int) -> Dict[str, Any]:
    """Return one measurement of a contestant, made in a process of its own."""
    words = ["--steps", str(steps), "--warmup", str(options.warmup)]
    # GluonCV's script leaves the threads to MXNet.
    threads = None if name == "gluoncv" else options.threads
    return run_worker(__file__, worker_words(name, options, *words), threads=threads)


def check_same_work(names: Sequence[str], options: argparse.Namespace) -> None:
    """Exit unless every contestant trains parameters of the same shapes, as many as published."""
    found = {name: measure(name, options, steps=0) for name in names}
    for name, about in found.items():
        print(f"{name:22} {about['parameters']:,} parameters, data: {about['data']}")
    wrong = [name for name, about in found.items() if about["parameters"] != PARAMETERS]
    if wrong or len({about["shapes"] for about in found.values()}) != 1:
        raise SystemExit(f"error: not the same network: {', '.join(wrong or names)}")


def compare(pair: Pair, options: argparse.Namespace, busy: bool) -> Dict[str, Any]:
    """Measure two contestants in turn; print each ratio and what they say together."""
    ours, theirs = pair
    print(f"\n{ours} against {theirs}, images/s of {MODEL} at batch {BATCH}")
    rounds: List[Dict[str, Any]] = []
    for number in range(options.pairs):
        load = load_average()
        first, second = (measure(name, options, steps=options.steps) for name in pair)
        ratio = first["images_per_second"] / second["images_per_second"]
        rounds.append({"a": first, "b": second, "ratio": ratio, "load": load})
        print(
            f"{number + 1:4}: {first['images_per_second']:7.1f} {second['images_per_second']:7.1f}"
            f"   ratio {ratio:.3f}",
            flush=True,
        )
    summary = summarise([entry["ratio"] for entry in rounds])
    verdict = judge(pair, summary.median)
    print(f"{median_rates(rounds)}\nmedian ratio {summary}\n{verdict}")
    shown = not busy and not summary.low <= 1.0 <= summary.high
    if not shown:
        print("no difference shown")
    return {
        "pair": list(pair),
        "model": MODEL,
        "batch_size": BATCH,
        "steps": options.steps,
        "warmup": options.warmup,
        "ratio": summary._asdict(),
        "difference_shown": shown,
        "verdict": verdict,
        "rounds": rounds,
    }


def median_rates(rounds: Sequence[Dict[str, Any]]) -> str:
    """Return the median rate of each side, and how many cores its process kept busy."""
    lines = []
    for side in ("a", "b"):
        rate = np.median([entry[side]["images_per_second"] for entry in rounds])
        cores = np.median([entry[side]["cpu_ms"] / entry[side]["step_ms"] for entry in rounds])
        name = rounds[0][side]["name"]
        lines.append(f"{name}: median {rate:.1f} images/s, {cores:.2f} cores busy")
    return "\n".join(lines)


def judge(pair: Pair, ratio: float) -> str:
    """Return what a median ratio says about the target of its pair."""
    target = TARGETS.get(pair)
    if target is None:
        return "no target"
    features = cpu().features
    missing = [name for name in target.needs if name not in features]
    unwanted = [name for name in target.without if name in features]
    if missing or unwanted:
        why = [f"has no {name}" for name in missing] + [f"has {name}" for name in unwanted]
        return f"target {target.ratio:g} does not apply: this processor {' and '.join(why)}"
    return f"target {target.ratio:g}: {'reached' if ratio >= target.ratio else 'missed'}"


def parse(words: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--compare",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        choices=sorted(CONTESTANTS),
        help="two contestants; may be repeated [every pair that has a target]",
    )
    parser.add_argument("--pairs", type=int, default=10, help="[%(default)s]")
    parser.add_argument("--steps", type=int, default=20, help="timed steps [%(default)s]")
    parser.add_argument("--warmup", type=int, default=5, help="steps before [%(default)s]")
    options = parser.parse_args(words)
    if options.worker and options.worker not in CONTESTANTS:
        parser.error(f"no contestant '{options.worker}': choose from {', '.join(CONTESTANTS)}")
    if options.pairs < 1 or options.steps < (0 if options.worker else 1) or options.warmup < 0:
        parser.error("--pairs and --steps must be at least 1, --warmup at least 0")
    return options


def main() -> int:
    """Run a worker, or the comparisons asked for."""
    options = parse()
    if options.worker:
        answer(worker(options))
    pairs = [tuple(pair) for pair in options.compare or TARGETS]
    busy = is_busy()
    cores = os.cpu_count()
    print(f"{cpu().model}, {cores} logical processors, {options.threads} threads")
    check_same_work(sorted({name for pair in pairs for name in pair}), options)
    for pair in pairs:
        result = {**compare(pair, options, busy), "busy": busy}
        append(options.out, [record("throughput", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
