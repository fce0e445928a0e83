"""Peak memory of training, each case in a fresh process with CIFAR-100 loaded (random if absent).

plain
    resnet56_v1 at batch 128, no teacher.
distill
    ``train_cifar.py --mixup-type stitch-vertical --teacher resnext29_16x64d`` at its own batch,
    256: stitched images, and a teacher whose random parameters lie in memory as those of a file do.

The peak is the largest resident set that the system saw (``ru_maxrss``), after the steps and once
more after two evaluation batches and a copy of the state, which is what a checkpoint takes.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Dict, NamedTuple, Optional

import numpy as np
from common import (
    CLASSES,
    Ours,
    answer,
    append,
    images_of,
    is_busy,
    our_learner,
    parser_of,
    recipe_of,
    record,
    run_worker,
    worker_words,
)

from gluontricks.data.augment import parse_normalization
from gluontricks.learners import TeacherSpec
from gluontricks.machine import peak_memory
from gluontricks.recipes import Recipe

TEACHER = "resnext29_16x64d"


class Case(NamedTuple):
    """Fields of the recipe, and the most GB (10^9 bytes) it may take."""

    changes: Dict[str, Any]
    target: float


CASES = {
    "plain": Case({}, 1.5),
    "distill": Case({"batch_size": 256, "mixup_type": "stitch-vertical", "teacher": TEACHER}, 3.0),
}


def peak() -> float:
    """Return the largest resident set of this process so far, in GB of 10^9 bytes."""
    return peak_memory() / 1e9


def teacher_of(recipe: Recipe) -> Optional[TeacherSpec]:
    """Return the recipe's teacher with random parameters, None if it has none."""
    if recipe.teacher is None:
        return None
    from gluontricks.models import get_model
    from gluontricks.models.weights import parameter_paths

    generator = np.random.default_rng(0)
    paths = parameter_paths(get_model(recipe.teacher, classes=CLASSES))
    parameters = {
        # Positive, since some of them are variances.
        path: generator.random(parameter.shape, dtype=np.float32) * np.float32(0.02)
        for path, parameter in paths.items()
    }
    return TeacherSpec(
        model=recipe.teacher,
        classes=CLASSES,
        parameters=parameters,
        normalization=parse_normalization("dataset", recipe.dataset),
        temperature=recipe.temperature or 0.0,
        hard_weight=recipe.hard_weight,
        form=recipe.distillation_form or "gluoncv",
    )


def worker(options: argparse.Namespace) -> Dict[str, Any]:
    """Return the peaks of one case, in GB."""
    from gluontricks.threads import set_threads

    set_threads(options.threads)
    recipe = recipe_of(options.dtype, **CASES[options.worker].changes)
    train, test = (images_of(split, options.data_dir) for split in ("train", "test"))
    ours = our_learner(recipe, train, teacher_of(recipe))
    ready = peak()
    started = time.perf_counter()
    losses = take_steps(ours, options.steps)
    seconds = (time.perf_counter() - started) / options.steps
    trained = peak()
    ours.learner.predict(test.images[: 2 * recipe.batch_size])
    state = ours.learner.state()
    return {
        "case": options.worker,
        "batch_size": recipe.batch_size,
        "dtype": recipe.dtype,
        "steps": len(losses),
        "seconds_per_step": seconds,
        "data": train.name,
        "state_mb": sum(array.nbytes for array in state.arrays.values()) / 1e6,
        "ready_gb": ready,
        "trained_gb": trained,
        "evaluated_gb": peak(),
    }


def take_steps(ours: Ours, count: int) -> np.ndarray:
    """Do ``count`` updates and return their losses."""
    for _ in range(count):
        ours.step()
    return ours.learner.losses()


def measure(case: str, options: argparse.Namespace) -> Dict[str, Any]:
    """Run one case in a fresh process; print and return its peaks."""
    words = worker_words(case, options, "--steps", str(options.steps), "--dtype", options.dtype)
    found = run_worker(__file__, words, threads=options.threads)
    target = CASES[case].target
    found.update(target_gb=target, reached=found["trained_gb"] <= target)
    print(
        f"{case}: batch {found['batch_size']}, {found['dtype']}, data: {found['data']}: "
        f"{found['ready_gb']:.2f} GB before the first step, {found['trained_gb']:.2f} GB after "
        f"{found['steps']}, {found['evaluated_gb']:.2f} GB with evaluation and a checkpoint's "
        f"copy; target at most {target:g} GB: {'reached' if found['reached'] else 'missed'}",
        flush=True,
    )
    return found


def main() -> int:
    """Run a worker, or the cases asked for."""
    parser = parser_of(__doc__)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="[all]")
    parser.add_argument("--steps", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    options = parser.parse_args()
    if options.steps < 1:
        parser.error("--steps must be at least 1")
    if options.worker:
        answer(worker(options))
    busy = is_busy()
    for case in options.case or CASES:
        result = {**measure(case, options), "busy": busy}
        append(options.out, [record("memory", options.threads, result)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
