"""The learner on MXNet."""

from __future__ import annotations

from gluontricks.learners.mxnet.costs import fitting_batch, memory_needed, summary_of
from gluontricks.learners.mxnet.learner import MXNetLearner, make_learner

__all__ = ["MXNetLearner", "fitting_batch", "make_learner", "memory_needed", "summary_of"]
