"""What the benchmarks share: data, our learner, fresh processes, statistics and records."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from gluontricks import builders
from gluontricks.data import DATASETS, ImageSet, load_split
from gluontricks.data.images import image_set
from gluontricks.data.locations import data_folder, find
from gluontricks.draws import Draws
from gluontricks.learners import Learner, TeacherSpec, make_learner
from gluontricks.pipeline import Batch
from gluontricks.recipes import DEFAULT, Recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.results.environment import code, hardware, software
from gluontricks.results.plain import canonical, plain
from gluontricks.threads import physical_cores

SCHEMA = "gluontricks.bench/1"
DATASET = "cifar100"
MODEL = "resnet56_v1"
BATCH = 128
CLASSES = 100
RESAMPLES = 10_000
WORKER_SECONDS = 3600
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")

# glibc's mallopt: names of its parameters, and the largest threshold it takes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_THRESHOLD = 32 * 2**20
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def keep_memory() -> bool:
    """Make glibc keep freed blocks instead of returning them; return whether it agreed.

    Otherwise every large block is handed to the system and faulted in again at each step, which
    slows some frameworks down by much and others not at all.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    largest = 2**31 - 1
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD) and mallopt(M_TRIM_THRESHOLD, largest))


def images_of(split: str, data_dir: Optional[Path]) -> ImageSet:
    """Return a split of CIFAR-100, or as many random images where it is not found."""
    if find(DATASET, split, data_folder(data_dir)) is not None:
        return load_split(DATASET, split, data_dir=data_dir)
    info = DATASETS[DATASET]
    count = info.train_size if split == "train" else info.test_size
    generator = np.random.default_rng(0)
    size = info.image_size
    images = generator.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = generator.integers(0, CLASSES, count, dtype=np.int64)
    return image_set("random", split, images, labels, class_names=info.class_names)


def recipe_of(dtype: str, **changes: Any) -> Recipe:
    """Return the command line's default recipe (augmentation, smoothing) at this batch."""
    fields: Dict[str, Any] = {"model": MODEL, "dataset": DATASET, "batch_size": BATCH}
    return resolve(replace(DEFAULT, dtype=dtype, **{**fields, **changes}))


@dataclass
class Ours:
    """A learner of this package with its endless stream of batches."""

    learner: Learner
    draws: Draws
    data: str
    stream: Iterator[Batch]

    def step(self) -> None:
        """Do one update."""
        self.learner.step(next(self.stream))


def endless(draws: Draws) -> Iterator[Batch]:
    """Yield the batches of every epoch in turn."""
    epoch = 0
    while True:
        yield from draws.batches(epoch)
        epoch += 1


def our_learner(
    recipe: Recipe,
    train: ImageSet,
    teacher: Optional[TeacherSpec] = None,
    *,
    engine: str = "mxnet",
) -> Ours:
    """Return a learner ready for its first update."""
    draws = builders.make_draws(recipe, train)
    spec = builders.make_spec(recipe, teacher, image_size=draws.size[0])
    learner = make_learner(spec, engine)
    learner.attach(train.images, train.labels)
    rates = builders.make_rates(recipe, draws.steps_per_epoch)
    learner.begin(rates, builders.make_momenta(recipe, len(rates)))
    return Ours(learner, draws, train.name, endless(draws))


def run_worker(
    script: str, words: Sequence[str], *, threads: Optional[int], timeout: float = WORKER_SECONDS
) -> Dict[str, Any]:
    """Run a benchmark's worker in a fresh process and return the JSON of its last line.

    Parameters
    ----------
    script : str
        File of the benchmark.
    words : sequence of str
        Its arguments.
    threads : int or None
        Threads of the numerical libraries; None leaves all of them to their own default.
    timeout : float
        Seconds.
    """
    kept = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    if threads is not None:
        kept.update({name: str(threads) for name in THREAD_VARIABLES})
    command = [sys.executable, script, *words]
    done = subprocess.run(command, env=kept, stdout=subprocess.PIPE, text=True, timeout=timeout)
    if done.returncode or not done.stdout.strip():
        raise SystemExit(f"error: the worker {' '.join(words)} ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def answer(result: Dict[str, Any]) -> None:
    """Print a worker's result and end its process at once, helpers of its framework included."""
    print(canonical(plain(result)), flush=True)
    sys.stderr.flush()
    # A data loader's processes can keep the interpreter from coming to its end.
    os._exit(0)


class Summary(NamedTuple):
    """A sample's median, the 95 % interval of the median, and the sample's extremes."""

    median: float
    low: float
    high: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return (
            f"{self.median:.3f} (95 % interval {self.low:.3f} to {self.high:.3f}, "
            f"range {self.smallest:.3f} to {self.largest:.3f})"
        )


def summarise(values: Sequence[float]) -> Summary:
    """Return the median of ``values`` with its bootstrap interval (percentiles, fixed seed)."""
    sample = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(0).integers(0, len(sample), (RESAMPLES, len(sample)))
    low, high = np.percentile(np.median(sample[picks], axis=1), [2.5, 97.5])
    numbers = (np.median(sample), low, high, sample.min(), sample.max())
    return Summary(*(float(number) for number in numbers))


def load_average() -> Optional[float]:
    """Return the load of the last minute, or None where the system does not tell it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def is_busy() -> bool:
    """Warn and return True if others use this machine: then figures mean little."""
    load, cores = load_average(), os.cpu_count() or 1
    if load is None or load <= cores:
        return False
    print(
        f"warning: load average {load:.1f} on {cores} cores: others are using this machine, "
        "do not trust these figures",
        file=sys.stderr,
    )
    return True


def version(package: str) -> Optional[str]:
    """Return the installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def record(benchmark: str, threads: int, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return one record: what was measured, and on what."""
    return {
        "schema": SCHEMA,
        "benchmark": benchmark,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            **hardware(threads),
            "governor": GOVERNOR.read_text().strip() if GOVERNOR.is_file() else None,
        },
        "software": {**software(), "gluoncv": version("gluoncv")},
        "code": code(sys.argv),
        "result": result,
    }


def append(path: Optional[Path], records: Sequence[Dict[str, Any]]) -> None:
    """Append records to a file, one JSON text per line; nothing without a file."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        stream.writelines(canonical(plain(entry)) + "\n" for entry in records)
    print(f"appended {len(records)} record{'s' * (len(records) != 1)} to {path}")


def parser_of(description: Optional[str], data: str = "CIFAR-100") -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worker", metavar="NAME", help="measure once, in this process")
    parser.add_argument("--threads", type=int, default=physical_cores(), help="[%(default)s]")
    parser.add_argument("--data-dir", type=Path, help=f"folder with {data}; random images if not")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append the records as JSON lines")
    return parser


def worker_words(name: str, options: argparse.Namespace, *more: str) -> List[str]:
    """Return the arguments of the worker ``name``."""
    words = ["--worker", name, "--threads", str(options.threads), *more]
    return words + (["--data-dir", str(options.data_dir)] if options.data_dir else [])
