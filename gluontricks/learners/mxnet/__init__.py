"""The learner on MXNet."""

from __future__ import annotations

from gluontricks.learners.mxnet.costs import fitting_batch, free_memory, memory_needed, summary_of
from gluontricks.learners.mxnet.graphs import gpu_count, gpu_trouble
from gluontricks.learners.mxnet.inference import exportable, load_export, load_network
from gluontricks.learners.mxnet.learner import MXNetLearner
from gluontricks.learners.mxnet.team import join, make_learner

__all__ = [
    "MXNetLearner",
    "exportable",
    "fitting_batch",
    "free_memory",
    "gpu_count",
    "gpu_trouble",
    "join",
    "load_export",
    "load_network",
    "make_learner",
    "memory_needed",
    "summary_of",
]
