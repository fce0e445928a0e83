"""The workers of a job of MXNet's parameter server."""

from __future__ import annotations

from typing import Any, Optional

from gluontricks.errors import UsageError
from gluontricks.learners import LearnerSpec, check_shards
from gluontricks.learners.mxnet.group import Group
from gluontricks.learners.mxnet.learner import MXNetLearner, without_effect
from gluontricks.learners.team import Leader, Team
from gluontricks.processes import DIST_SYNC, processes

_team: Optional[Team] = None


def join(kvstore: Optional[str] = None) -> Team:
    """Return the team of this process, met at the first call.

    Raises
    ------
    UsageError
        If torchrun has started it, whose processes train on the other engine only.
    """
    global _team
    if kvstore is None:
        raise without_effect("torchrun")
    if _team is None:
        group = Group()
        group.join()
        _team = Team(group)
    return _team


def make_learner(spec: LearnerSpec) -> Any:
    """Return the learner of ``spec``: alone, the leader's, or a follower's.

    Raises
    ------
    UsageError
        If the workers cannot share the batch, or the loss scale would change.
    """
    if processes().count == 1:
        return MXNetLearner(spec)
    check_shards(spec, processes().count, "workers")
    if spec.dtype == "float16" and spec.loss_scale is None:
        raise UsageError(
            f"--kvstore {DIST_SYNC} trains in float16 with a constant loss scale only",
            "give --loss-scale 1024, or --dtype bfloat16 or float32",
        )
    group: Any = join(DIST_SYNC).group
    learner = MXNetLearner(spec, group)
    return learner if group.rank else Leader(learner, group)
