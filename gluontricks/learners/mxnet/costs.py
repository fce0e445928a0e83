"""What a learner needs: the size of its networks, and an estimate of its memory."""

from __future__ import annotations

from typing import Any, Dict

from gluontricks import machine
from gluontricks.learners import LearnerSpec
from gluontricks.learners.mxnet.graphs import TEACHER_CHUNK, devices_of
from gluontricks.models import get_model
from gluontricks.mxnet_shim import mx
from gluontricks.summary import estimate_memory, summarize
from gluontricks.summary import fitting_batch as fitting

# Copies of the parameters on every further device: with gradients and oneDNN's.
REPLICA = 3


def summary_of(spec: LearnerSpec) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a learner's network."""
    return network_summary(spec.model, spec.classes, spec.image_size)


def network_summary(model: str, classes: int, size: int) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a network for images of ``size`` pixels."""
    return summarize(get_model(model, classes=classes), (3, size, size))


def own_images(spec: LearnerSpec) -> int:
    """Return the images that pass through the network of a device at once."""
    return -(-spec.batch_size // spec.shards)


def sharing(spec: LearnerSpec) -> int:
    """Return the number of devices that share the memory: every GPU has its own."""
    return len(spec.device.split(",")) if spec.device.startswith("cpu") else 1


def teacher_bytes(spec: LearnerSpec) -> int:
    """Return the estimated memory of the teacher's forward pass, 0 without one."""
    if spec.teacher is None:
        return 0
    summary = network_summary(spec.teacher.model, spec.teacher.classes, spec.image_size)
    chunk = min(TEACHER_CHUNK, own_images(spec))
    return sharing(spec) * estimate_memory(summary, batch_size=chunk, training=False)


def copies_bytes(spec: LearnerSpec, summary: Dict[str, Any]) -> int:
    """Return the bytes of all copies of the parameters but those that every learner has."""
    copies = (spec.shards > 1) + (spec.ema > 0) + REPLICA * (sharing(spec) - 1)
    return 4 * copies * summary["params"]


def memory_needed(spec: LearnerSpec) -> int:
    """Return the estimated bytes of memory that training needs, on the fullest device."""
    summary = summary_of(spec)
    images = sharing(spec) * own_images(spec)
    student = estimate_memory(summary, batch_size=images, training=True)
    return student + copies_bytes(spec, summary) + teacher_bytes(spec)


def fitting_batch(spec: LearnerSpec, free: int) -> int:
    """Return the largest batch that fits into ``free`` bytes, 0 if none does."""
    summary = summary_of(spec)
    left = free - teacher_bytes(spec) - copies_bytes(spec, summary)
    return fitting(summary, memory=left, training=True) // sharing(spec) * spec.shards


def free_memory(spec: LearnerSpec) -> int:
    """Return the bytes of memory that are free where a learner computes."""
    if spec.device.startswith("cpu"):
        return machine.free_memory()
    devices = devices_of(spec)
    return min(mx.context.gpu_memory_info(device.device_id)[0] for device in devices)
