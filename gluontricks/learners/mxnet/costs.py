"""What a learner needs: the size of its networks, and an estimate of its memory."""

from __future__ import annotations

from typing import Any, Dict

from gluontricks import machine
from gluontricks.learners import LearnerSpec
from gluontricks.learners.mxnet.graphs import TEACHER_CHUNK
from gluontricks.models import get_model
from gluontricks.summary import estimate_memory, summarize
from gluontricks.summary import fitting_batch as fitting


def summary_of(spec: LearnerSpec) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a learner's network."""
    return network_summary(spec.model, spec.classes, spec.image_size)


def network_summary(model: str, classes: int, size: int) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a network for images of ``size`` pixels."""
    return summarize(get_model(model, classes=classes), (3, size, size))


def teacher_bytes(spec: LearnerSpec) -> int:
    """Return the estimated memory of the teacher's forward pass, 0 without one."""
    if spec.teacher is None:
        return 0
    summary = network_summary(spec.teacher.model, spec.teacher.classes, spec.image_size)
    chunk = min(TEACHER_CHUNK, spec.batch_size)
    return estimate_memory(summary, batch_size=chunk, training=False)


def memory_needed(spec: LearnerSpec) -> int:
    """Return the estimated bytes of memory that training needs."""
    student = estimate_memory(summary_of(spec), batch_size=spec.batch_size, training=True)
    return student + teacher_bytes(spec)


def fitting_batch(spec: LearnerSpec, free: int) -> int:
    """Return the largest batch that fits into ``free`` bytes, 0 if none does."""
    return fitting(summary_of(spec), memory=free - teacher_bytes(spec), training=True)


def free_memory(_: LearnerSpec) -> int:
    """Return the bytes of memory that are free where a learner computes."""
    return machine.free_memory()
