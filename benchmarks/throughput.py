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
import os
import sys
from functools import partial
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from common import (
    BATCH,
    MODEL,
    answer,
    append,
    is_busy,
    keep_memory,
    parser_of,
    record,
    run_worker,
    worker_words,
)
from comparing import (
    Pair,
    add_arguments,
    check_arguments,
    check_same_work,
    compare,
    reached,
    timed,
)
from contestants import CONTESTANTS

from gluontricks.machine import cpu

PARAMETERS = 861_620


class Target(NamedTuple):
    """The least median ratio wanted, and the instruction sets it needs and does not want."""

    ratio: float
    needs: Tuple[str, ...] = ()
    without: Tuple[str, ...] = ()


TARGETS: Dict[Pair, Target] = {
    ("gluontricks-fp32", "gluoncv"): Target(2.5),
    ("gluontricks-fp32", "pytorch-fp32"): Target(1.05),
    # MXNet does not use AMX; without avx512_bf16 neither side computes in bfloat16.
    ("gluontricks-bf16", "pytorch-bf16"): Target(1.0, ("avx512_bf16",), ("amx_bf16",)),
    ("gluontricks-torch-fp32", "pytorch-fp32"): Target(0.95),
    ("gluontricks-torch-bf16", "pytorch-bf16"): Target(0.95),
}


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Build one contestant, time its steps, and return what was measured."""
    kept = keep_memory()
    contestant = CONTESTANTS[options.worker](options.threads, options.data_dir)
    return timed(contestant, options, batch=BATCH, kept=kept)


def measure(options: argparse.Namespace, name: str, steps: int) -> Dict[str, Any]:
    """Return one measurement of a contestant, made in a process of its own."""
    words = ["--steps", str(steps), "--warmup", str(options.warmup)]
    # GluonCV's script leaves the threads to MXNet.
    threads = None if name == "gluoncv" else options.threads
    return run_worker(__file__, worker_words(name, options, *words), threads=threads)


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
    return reached(target.ratio, ratio)


def parse(words: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = parser_of(__doc__)
    add_arguments(parser, CONTESTANTS)
    parser.add_argument("--steps", type=int, default=20, help="timed steps [%(default)s]")
    parser.add_argument("--warmup", type=int, default=5, help="steps before [%(default)s]")
    options = parser.parse_args(words)
    check_arguments(parser, options, list(CONTESTANTS))
    return options


def main() -> int:
    """Run a worker, or the comparisons asked for."""
    options = parse()
    if options.worker:
        answer(worker(options))
    pairs = [tuple(pair) for pair in options.compare or TARGETS]
    busy, how = is_busy(), partial(measure, options)
    cores = os.cpu_count()
    print(f"{cpu().model}, {cores} logical processors, {options.threads} threads")
    check_same_work(sorted({name for pair in pairs for name in pair}), how, PARAMETERS)
    title = f"{MODEL} at batch {BATCH}"
    for pair in pairs:
        found = compare(pair, how, options, title=title, judge=judge, busy=busy)
        result = {**found, "model": MODEL, "batch_size": BATCH, "busy": busy}
        append(options.out, [record("throughput", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
