"""What the ids of published metrics are in words, with their units."""

from __future__ import annotations

import re
from typing import Mapping, Tuple

WHOLE: Mapping[str, str] = {
    "mAP": "mean average precision, %", "mAP_gain": "gain in mean average precision, points",
    "pixAcc": "pixel accuracy, %", "mIoU": "mean intersection over union, %",
    "lr": "learning rate", "wd": "weight decay", "top1_gain": "gain in top-1, points",
    "top1_loss": "loss in top-1, points", "params": "parameters",
    "params_M": "parameters, millions (M)", "flops_G": "FLOPs, billions (G)",
    "minutes_per_epoch": "minutes per epoch", "seconds_per_epoch": "seconds per epoch",
    "temperature": "temperature", "momentum": "momentum", "classes": "classes",
    "tflops_float32": "teraFLOPS in float32", "tflops_float16": "teraFLOPS in float16",
    "image_side_px": "side of an image, pixels",
    "suggested_max_lr": "suggested largest learning rate",
    "min_lr_factor": "factor of the smallest learning rate",
    "lr_drop_factor": "factor by which the learning rate drops",
    "throughput_slowdown_pct": "loss of throughput, %",
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "top1": "top-1", "top5": "top-5", "val": "validation", "acc": "accuracy", "prob": "probability",
    "lr": "learning rate",
}  # fmt: skip
PERCENT = ("top1", "top5", "acc", "error", "consistency", "baseline", "antialiased", "range")
ENDINGS: Tuple[Tuple[str, str], ...] = (
    ("_runs", ", single runs, as fractions"),
    ("_frac", ", as a fraction"), ("_pct", ", %"),
)  # fmt: skip


def in_words(metric: str) -> str:
    """Return what a published metric is, with its unit."""
    if metric in WHOLE:
        return WHOLE[metric]
    for ending, unit in ENDINGS:
        if metric.endswith(ending):
            return spelled(metric[: -len(ending)]) + unit
    return spelled(metric) + (", %" if metric.split("_")[-1] in PERCENT else "")


def spelled(metric: str) -> str:
    """Return the words of an id."""
    return " ".join(WORDS.get(part, part) for part in re.split("_", metric))
