"""What the comparisons of throughput share: timing a contestant, and two of them in turn."""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Sequence, Tuple

import numpy as np
from common import load_average, summarise

from gluontricks.machine import peak_memory

if TYPE_CHECKING:
    from contestants import Contestant

Pair = Tuple[str, str]
# Takes a contestant's name and the number of timed steps.
Measure = Callable[[str, int], Dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser, contestants: Iterable[str]) -> None:
    """Add what every comparison takes."""
    parser.add_argument(
        "--compare",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        choices=sorted(contestants),
        help="two contestants; may be repeated [every pair that has a target]",
    )
    parser.add_argument("--pairs", type=int, default=10, help="[%(default)s]")


def check_arguments(
    parser: argparse.ArgumentParser, options: argparse.Namespace, contestants: Sequence[str]
) -> None:
    """End with a message if an argument cannot be."""
    if options.worker and options.worker not in contestants:
        parser.error(f"no contestant '{options.worker}': choose from {', '.join(contestants)}")
    if options.pairs < 1 or options.steps < (0 if options.worker else 1) or options.warmup < 0:
        parser.error("--pairs and --steps must be at least 1, --warmup at least 0")


def timed(
    contestant: Contestant, options: argparse.Namespace, *, batch: int, kept: bool
) -> Dict[str, Any]:
    """Time the steps of a contestant; return what was measured, without steps what it is."""
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
    waited = contestant.waited or (lambda: 0.0)
    before = waited()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(options.steps):
        contestant.step()
    loss = contestant.finish()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if not math.isfinite(loss):
        raise SystemExit(f"error: {options.worker} diverged: its last loss is {loss}")
    return {
        **result,
        "images_per_second": options.steps * batch / wall,
        "step_ms": wall / options.steps * 1e3,
        "cpu_ms": processor / options.steps * 1e3,
        "waiting": None if contestant.waited is None else (waited() - before) / wall,
        "peak_gb": peak_memory() / 1e9,
        "loss": loss,
    }


def check_same_work(names: Sequence[str], measure: Measure, parameters: int) -> None:
    """Exit unless every contestant trains parameters of the same shapes, as many as published."""
    found = {name: measure(name, 0) for name in names}
    for name, about in found.items():
        print(f"{name:22} {about['parameters']:,} parameters, data: {about['data']}", flush=True)
    wrong = [name for name, about in found.items() if about["parameters"] != parameters]
    if wrong or len({about["shapes"] for about in found.values()}) != 1:
        raise SystemExit(f"error: not the same network: {', '.join(wrong or names)}")


def compare(
    pair: Pair,
    measure: Measure,
    options: argparse.Namespace,
    *,
    title: str,
    judge: Callable[[Pair, float], str],
    busy: bool,
) -> Dict[str, Any]:
    """Measure two contestants in turn; print each ratio and what they say together."""
    print(f"\n{pair[0]} against {pair[1]}, images/s of {title}")
    rounds: List[Dict[str, Any]] = []
    for number in range(options.pairs):
        load = load_average()
        first, second = (measure(name, options.steps) for name in pair)
        ratio = first["images_per_second"] / second["images_per_second"]
        rounds.append({"a": first, "b": second, "ratio": ratio, "load": load})
        print(
            f"{number + 1:4}: {first['images_per_second']:7.1f} {second['images_per_second']:7.1f}"
            f"   ratio {ratio:.3f}",
            flush=True,
        )
    summary = summarise([entry["ratio"] for entry in rounds])
    sides = {side: side_of([entry[side] for entry in rounds]) for side in ("a", "b")}
    verdict = judge(pair, summary.median)
    print(f"median ratio {summary}\n{verdict}")
    shown = not busy and not summary.low <= 1.0 <= summary.high
    if not shown:
        print("no difference shown")
    return {
        "pair": list(pair),
        "steps": options.steps,
        "warmup": options.warmup,
        "ratio": summary._asdict(),
        "sides": sides,
        "difference_shown": shown,
        "verdict": verdict,
        "rounds": rounds,
    }


def side_of(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Print and return one side's median rate, cores, share of waiting, and its largest peak."""
    found: Dict[str, Any] = {
        "name": runs[0]["name"],
        "images_per_second": float(np.median([run["images_per_second"] for run in runs])),
        "cores": float(np.median([run["cpu_ms"] / run["step_ms"] for run in runs])),
        "peak_gb": max(run["peak_gb"] for run in runs),
    }
    waiting = ""
    if runs[0]["waiting"] is not None:
        found["waiting"] = float(np.median([run["waiting"] for run in runs]))
        waiting = f", {found['waiting']:.1%} of the step waiting for data"
    print(
        f"{found['name']}: median {found['images_per_second']:.1f} images/s, "
        f"{found['cores']:.2f} cores busy, peak {found['peak_gb']:.2f} GB{waiting}"
    )
    return found


def reached(target: float, ratio: float) -> str:
    """Return what a median ratio says about the least that is wanted."""
    return f"target {target:g}: {'reached' if ratio >= target else 'missed'}"
