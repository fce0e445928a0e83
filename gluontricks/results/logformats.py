"""The lines of GluonCV's training logs, and what each of them says.

Six formats: the ImageNet script's (old and new), the CIFAR scripts', the horovod script's, Faster
R-CNN's, the FCN script's with its progress bars, and the table of such a log's last bars. Lines
of any other form are passed over and counted.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from gluontricks.recipes.namespaces import namespace_keywords

KINDS = ("imagenet", "cifar", "horovod", "detection", "segmentation")

# Before 2018-10 lines began with the logger's name; mpirun puts the process before them.
PREFIX = re.compile(r"(?:\[1,(?P<rank>\d+)\]<std(?:out|err)>:)?\s*(?:INFO:root:)?")
NUMBER = r"(-?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan))"
PAIR = re.compile(rf"([\w-]+)={NUMBER}")
FLAGS_LIMIT = 1 << 16
TABLE_HEAD = "epoch,val_pixAcc,val_mIoU,train_loss"
RPN_AND_RCNN = ("RPN_Conf", "RPN_SmoothL1", "RCNN_CrossEntropy", "RCNN_SmoothL1")


class Event(NamedTuple):
    """What one line says.

    ``what`` is flags or start (a run begins), epoch (``values`` belong to an epoch that ended),
    batch (to one that goes on), planned, evaluation (what follows is no training) or other.
    ``epoch`` is None where the line does not name it.
    """

    what: str
    kind: Optional[str] = None
    epoch: Optional[int] = None
    values: Mapping[str, Any] = {}


OTHER = Event("other")
Found = Callable[["re.Match[str]"], Event]


def percent(text: str) -> float:
    """Return a fraction in percent, to the digits it was printed with."""
    return round(100 * float(text), 4)


def right(error: str) -> float:
    """Return the accuracy in percent that an error rate leaves."""
    return round(100 - 100 * float(error), 4)


def training(text: str) -> Dict[str, Any]:
    """Return the first metric's name, its value and the loss of ``name=value ...``."""
    pairs = PAIR.findall(text)
    loss = next((float(value) for name, value in pairs if name == "loss"), None)
    named = [(name, value) for name, value in pairs if name != "loss"]
    if not named:
        return {"loss": loss}
    name, value = named[0]
    return {"train_metric": name, "train": float(value), "loss": loss}


def _imagenet_train(m: re.Match[str]) -> Event:
    return Event("epoch", "imagenet", int(m[1]), training(m[2]))


def _imagenet_time(m: re.Match[str]) -> Event:
    speed = {} if m[2] is None else {"images_per_second": float(m[2])}
    return Event("epoch", "imagenet", int(m[1]), {**speed, "seconds": float(m[3])})


def _imagenet_test(m: re.Match[str]) -> Event:
    return Event("epoch", "imagenet", int(m[1]), {"top1": right(m[2]), "top5": right(m[3])})


def _cifar(m: re.Match[str]) -> Event:
    values = {
        "train_metric": "train", "train": float(m[2]), "top1": percent(m[3]),
        "loss": float(m[4]), "seconds": float(m[5]),
    }  # fmt: skip
    return Event("epoch", "cifar", int(m[1]), values)


def _batch(m: re.Match[str]) -> Event:
    values = {name: float(value) for name, value in PAIR.findall(m[2]) if name == "lr"}
    return Event("batch", None, int(m[1]), values)


def _horovod_batch(m: re.Match[str]) -> Event:
    return Event("batch", "horovod", int(m[1]), {"train_metric": m[2], "lr": float(m[4])})


def _horovod_time(m: re.Match[str]) -> Event:
    return Event("epoch", "horovod", int(m[1]), {"seconds": float(m[2]), "train": float(m[3])})


def _horovod_speed(m: re.Match[str]) -> Event:
    return Event("epoch", "horovod", int(m[1]), {"images_per_second": float(m[2])})


def _horovod_test(m: re.Match[str]) -> Event:
    return Event("epoch", "horovod", int(m[1]), {"top1": percent(m[2]), "top5": percent(m[3])})


def _detection_batch(m: re.Match[str]) -> Event:
    return Event("batch", "detection", int(m[1]), {"speed": float(m[2])})


def _detection_time(m: re.Match[str]) -> Event:
    parts = dict(PAIR.findall(m[3]))
    values: Dict[str, Any] = {"seconds": float(m[2])}
    if all(name in parts for name in RPN_AND_RCNN):
        values["loss"] = round(sum(float(parts[name]) for name in RPN_AND_RCNN), 3)
    return Event("epoch", "detection", int(m[1]), values)


def _detection_test(m: re.Match[str]) -> Event:
    return Event("epoch", "detection", None, {"map": percent(m[1])})


def _fcn_train(m: re.Match[str]) -> Event:
    seconds = 0
    for part in m[3].split(":"):
        seconds = 60 * seconds + int(part)
    return Event("epoch", "segmentation", int(m[1]), {"loss": float(m[2]), "seconds": seconds})


def _fcn_test(m: re.Match[str]) -> Event:
    values = {"pixacc": percent(m[2]), "miou": percent(m[3])}
    return Event("epoch", "segmentation", int(m[1]), values)


def _table_row(m: re.Match[str]) -> Event:
    values = {"pixacc": percent(m[2]), "miou": percent(m[3]), "loss": float(m[4])}
    return Event("epoch", "segmentation", int(m[1]), values)


LINES: Tuple[Tuple[re.Pattern[str], Found], ...] = tuple(
    (re.compile(pattern), found)
    for pattern, found in (
        (r"Epoch\[(\d{1,6})\] Batch ?\[\d+\]\s+Speed: [\d.]+ samples/sec(.*)", _batch),
        (rf"\[Epoch (\d{{1,6}})\] training: ((?:[\w-]+={NUMBER}\s*)+)$", _imagenet_train),
        (rf"\[Epoch (\d{{1,6}})\] (?:speed: (\d+) samples/sec\s+)?time cost: {NUMBER}$",
         _imagenet_time),
        (rf"\[Epoch (\d{{1,6}})\] validation: err-top1={NUMBER} err-top5={NUMBER}$",
         _imagenet_test),
        (rf"\[Epoch (\d{{1,6}})\] train={NUMBER} val={NUMBER} loss={NUMBER} time: {NUMBER}$",
         _cifar),
        (rf"Epoch\[(\d{{1,6}})\] Rank\[0\] Batch\[\d+\]\s+([a-z][\w-]*)={NUMBER}\s+lr={NUMBER}$",
         _horovod_batch),
        (rf"Epoch\[(\d{{1,6}})\] Rank\[0\] Batch\[\d+\]\s+Time cost={NUMBER}"
         rf"\s+Train-metric={NUMBER}$",
         _horovod_time),
        (rf"Epoch\[(\d{{1,6}})\]\s+Speed: {NUMBER} samples/sec$", _horovod_speed),
        (rf"Epoch\[(\d{{1,6}})\] Rank\[0\]\s+Validation-accuracy={NUMBER}"
         rf"\s+Validation-top_k_accuracy_5={NUMBER}$", _horovod_test),
        (rf"\[Epoch (\d{{1,6}})\]\[Batch \d+\], Speed: {NUMBER} samples/sec,", _detection_batch),
        (rf"\[Epoch (\d{{1,6}})\] Training cost: {NUMBER}, (.*)", _detection_time),
        (rf"mAP={NUMBER}$", _detection_test),
        (rf"Epoch (\d{{1,6}}), training loss {NUMBER}: 100%\|.*\| \d+/\d+ \[([\d:]+)<", _fcn_train),
        (rf"Epoch (\d{{1,6}}), validation pixAcc: {NUMBER}, mIoU: {NUMBER}: 100%", _fcn_test),
        (r"Starting Epoch: \d+", lambda _: Event("start")),
        (r"Total Epoche?s: (\d+)", lambda m: Event("planned", values={"epochs": int(m[1])})),
        (r".*Evaluating model:", lambda _: Event("evaluation", "segmentation")),
    )
)  # fmt: skip
ROW = re.compile(rf"(\d+),{NUMBER},{NUMBER},{NUMBER}$")


def events(lines: List[str]) -> Iterator[Event]:
    """Yield what every line says that is not empty; lines of processes other than 0 are left out.

    Parameters
    ----------
    lines : list of str
        The whole lines of a log.
    """
    if lines[:1] == [TABLE_HEAD]:
        rows = (ROW.match(line) for line in lines[1:])
        yield from (OTHER if row is None else _table_row(row) for row in rows)
        return
    for line in lines:
        prefix = PREFIX.match(line)
        rank = prefix["rank"] if prefix else None
        text = line[prefix.end() :].rstrip() if prefix else line
        if text and rank in (None, "0"):
            yield event(text)


def event(text: str) -> Event:
    """Return what one line without its prefix says."""
    if text.startswith("Namespace("):
        return Event("flags", values={"flags": flags(text)})
    for pattern, found in LINES:
        match = pattern.match(text)
        if match:
            return found(match)
    return OTHER


def flags(text: str) -> Optional[Dict[str, Any]]:
    """Return the flags of ``Namespace(name=value, ...)``; None if it is no such text.

    Nothing is evaluated: values are Python literals, anything else is kept as text.
    """
    if len(text) > FLAGS_LIMIT:
        return None
    try:
        return {str(w.arg): _literal(w.value, text) for w in namespace_keywords(text)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal(node: ast.expr, text: str) -> Any:
    """Return the value of a literal, or the text of what is none."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.get_source_segment(text.strip(), node)
