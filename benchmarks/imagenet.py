"""Training throughput on images in folders: this package against others, batch 16, 10 classes.

Contestants
-----------
gluontricks-fp32, gluontricks-bf16
    Our learner with everything a real run does per step: images of Imagenette (128 pixels) are
    read, decoded, cropped and augmented by processes, as many as a run has by default (the paper's
    steps: crop of 8 to 100 % resized, flip, brightness, saturation, hue, lighting), normalisation,
    targets smoothed by 0.1, forward, backward, update (NAG). Threads: physical cores.
    With --synthetic: random uint8 images of the network's size that lie in memory; nothing is read,
    decoded, cropped or augmented, but they are normalised and the targets smoothed at every step.
gluontricks-torch-fp32, gluontricks-torch-bf16
    The same on the PyTorch engine.
gluoncv
    GluonCV's network and the loop of its ImageNet script with --mode hybrid --label-smoothing, as
    shipped: ImageFolderDataset of the same images; the script's own transforms for folders
    (RandomResizedCrop, RandomFlipLeftRight, RandomColorJitter(0.4, 0.4, 0.4), RandomLighting(0.1),
    ToTensor, Normalize) in a DataLoader with 4 worker processes, shuffled, last batch discarded;
    split_and_load on one CPU; SoftmaxCrossEntropyLoss on smoothed labels; Trainer('nag', momentum
    0.9, decay 1e-4); the accuracy updated at every step; OMP_NUM_THREADS unset. Different from the
    script: 10 classes, batch 16 (its default is 32), crops of 128 for resnet18_v1d (the zoo has no
    such network: it is ResNetV1b of basic blocks, with deep stem and average-pooled shortcuts), a
    constant rate, and there is no evaluation, log or saving. It augments with contrast, not hue.
pytorch-fp32, pytorch-bf16
    The same network as a module of PyTorch, channels last, SGD with Nesterov momentum (fused), on
    random batches that lie in memory: no pipeline at all, while ours decodes on the same cores.
    Their labels are not smoothed. bf16 is torch.autocast on the CPU. Threads: physical cores.

All learn at the rate 0.1 x 16/256. Peak memory is that of the main process; the processes that
decode are not in it. Waiting is the time in which the main process asks for a batch and has none;
on MXNet, which computes meanwhile, it is an upper bound of what a step loses.
Where Imagenette is not found, both sides read random JPEGs of its size, made for the comparison.
Every measurement is a process of its own; contestants alternate, A B A B. Before that, the shapes
of all trained parameters are compared. glibc's allocator is told to keep freed memory in all of
them. Steps before the clock starts are not counted; the clock stops after the last update.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from common import (
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
from imagenet_contestants import BATCH, CONTESTANTS, DATASET, SIZES, Source
from PIL import Image

from gluontricks.data import dataset_info
from gluontricks.data.listing import find_part
from gluontricks.data.locations import data_folder
from gluontricks.errors import DataError
from gluontricks.machine import cpu

# The least median ratio wanted.
TARGETS: Dict[Pair, float] = {
    ("gluontricks-fp32", "gluoncv"): 2.0,
    ("gluontricks-bf16", "gluoncv"): 2.0,
    ("gluontricks-fp32", "pytorch-fp32"): 1.0,
    ("gluontricks-torch-fp32", "pytorch-fp32"): 0.95,
    ("gluontricks-torch-bf16", "pytorch-bf16"): 0.95,
}
LARGEST_PEAK_GB = 6.0
LARGEST_WAIT = 0.05
# With 10 classes; at 1000 the larger one has 25,576,264, 990 x 2049 more.
PARAMETERS = {"resnet18_v1d": 11_200_874, "resnet50_v1d": 23_547_754}
# Timed steps, and those before: 15 to 20 seconds on two cores. PyTorch's first five steps of the
# larger network are slower by a fifth than the later ones.
STEPS = {"resnet18_v1d": (120, 10), "resnet50_v1d": (8, 4)}
RANDOM_IMAGES = 64


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Build one contestant, time its steps, and return what was measured."""
    kept = keep_memory()
    source = Source(data_folder(options.data_dir), options.synthetic)
    contestant = CONTESTANTS[options.worker](options.model, options.threads, source)
    return timed(contestant, options, batch=BATCH, kept=kept)


def measure(options: argparse.Namespace, name: str, steps: int) -> Dict[str, Any]:
    """Return one measurement of a contestant, made in a process of its own."""
    words = ["--model", options.model, "--steps", str(steps), "--warmup", str(options.warmup)]
    words += ["--synthetic"] if options.synthetic else []
    # GluonCV's script leaves the threads to MXNet.
    threads = None if name == "gluoncv" else options.threads
    return run_worker(__file__, worker_words(name, options, *words), threads=threads)


def judge(pair: Pair, ratio: float) -> str:
    """Return what a median ratio says about the target of its pair."""
    return reached(TARGETS[pair], ratio) if pair in TARGETS else "no target"


def limits_of(sides: Dict[str, Dict[str, Any]]) -> Dict[str, Dict[str, str]]:
    """Print and return what the peaks and the waiting of our sides say about the largest wanted."""
    verdicts = {}
    for side in sides.values():
        if side["name"].startswith("gluontricks"):
            found = {
                "peak_gb": at_most(LARGEST_PEAK_GB, side["peak_gb"]),
                "waiting": at_most(LARGEST_WAIT, side["waiting"]),
            }
            print(f"{side['name']}: peak, {found['peak_gb']}; waiting, {found['waiting']}")
            verdicts[side["name"]] = found
    return verdicts


def at_most(limit: float, value: float) -> str:
    """Return what a value says about the largest wanted."""
    return f"target at most {limit:g}: {'reached' if value <= limit else 'missed'}"


@contextmanager
def images(folder: Optional[Path]) -> Iterator[Tuple[Optional[Path], str]]:
    """Give the folder of Imagenette, or of random JPEGs made for the while, and what is in it."""
    try:
        for split in ("train", "val"):
            find_part(DATASET, split, folder)
    except DataError as error:
        print(f"{error.cause}: random JPEGs instead", flush=True)
    else:
        yield folder, DATASET
        return
    with tempfile.TemporaryDirectory() as made:
        write_images(Path(made))
        yield Path(made), "random JPEGs"


def write_images(root: Path) -> None:
    """Write smooth random JPEGs of 128 pixels as Imagenette lies in its folder."""
    generator = np.random.default_rng(0)
    for split, count in (("train", RANDOM_IMAGES), ("val", 1)):
        for name in dataset_info(DATASET).class_names:
            folder = root / "imagenette2-128" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                # Noise of every pixel would take far longer to decode than a photograph.
                noise = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                image = Image.fromarray(noise).resize((128, 128), Image.Resampling.BICUBIC)
                image.save(folder / f"{number}.JPEG", quality=90)


def parse(words: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = parser_of(__doc__, "Imagenette in folders")
    parser.add_argument(
        "--model", choices=tuple(SIZES), default="resnet18_v1d", help="[%(default)s]"
    )
    add_arguments(parser, CONTESTANTS)
    parser.add_argument(
        "--synthetic", action="store_true", help="ours gets images in memory; not with gluoncv"
    )
    parser.add_argument("--steps", type=int, help="timed steps [15 to 20 seconds of them]")
    parser.add_argument("--warmup", type=int, help="steps before [a tenth of that, or more]")
    options = parser.parse_args(words)
    steps, warmup = STEPS[options.model]
    options.steps = steps if options.steps is None else options.steps
    options.warmup = warmup if options.warmup is None else options.warmup
    check_arguments(parser, options, list(CONTESTANTS))
    options.compare = [tuple(pair) for pair in options.compare or pairs_with_target(options)]
    names = [options.worker] if options.worker else sum(options.compare, ())
    if options.synthetic and "gluoncv" in names:
        parser.error("--synthetic would have no effect on gluoncv: its loop reads its own images")
    return options


def pairs_with_target(options: argparse.Namespace) -> List[Pair]:
    """Return the pairs that are compared unless others are named."""
    return [pair for pair in TARGETS if not (options.synthetic and "gluoncv" in pair)]


def main() -> int:
    """Run a worker, or the comparisons asked for."""
    options = parse()
    if options.worker:
        answer(worker(options))
    busy, how, size = is_busy(), partial(measure, options), SIZES[options.model]
    print(f"{cpu().model}, {os.cpu_count()} logical processors, {options.threads} threads")
    about = {"model": options.model, "image_size": size, "batch_size": BATCH}
    title = f"{options.model} at {size}, batch {BATCH}"
    with images(options.data_dir) as (options.data_dir, data):
        names = sorted({name for pair in options.compare for name in pair})
        check_same_work(names, how, PARAMETERS[options.model])
        for pair in options.compare:
            found = compare(pair, how, options, title=title, judge=judge, busy=busy)
            result = {
                **found, **about, "synthetic": options.synthetic, "busy": busy, "data": data,
                "limits": limits_of(found["sides"]),
            }  # fmt: skip
            append(options.out, [record("imagenet", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
