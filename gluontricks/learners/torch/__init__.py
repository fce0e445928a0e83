"""The learner on PyTorch."""

from __future__ import annotations

from gluontricks.learners.torch.costs import fitting_batch, free_memory, memory_needed, summary_of
from gluontricks.learners.torch.devices import gpu_count, gpu_trouble
from gluontricks.learners.torch.inference import exportable, load_export, load_network
from gluontricks.learners.torch.launcher import launch
from gluontricks.learners.torch.learner import TorchLearner
from gluontricks.learners.torch.team import join, make_learner

__all__ = [
    "TorchLearner",
    "exportable",
    "fitting_batch",
    "free_memory",
    "gpu_count",
    "gpu_trouble",
    "join",
    "launch",
    "load_export",
    "load_network",
    "make_learner",
    "memory_needed",
    "summary_of",
]
