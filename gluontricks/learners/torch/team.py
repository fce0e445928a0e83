"""The processes of a run that torchrun started."""

from __future__ import annotations

from typing import Any, Optional

from gluontricks.errors import UsageError
from gluontricks.learners import LearnerSpec, check_shards
from gluontricks.learners.team import Leader, Team
from gluontricks.learners.torch.group import Group
from gluontricks.learners.torch.learner import TorchLearner
from gluontricks.processes import processes

_team: Optional[Team] = None


def join(kvstore: Optional[str] = None) -> Team:
    """Return the team of this process, met at the first call.

    Raises
    ------
    UsageError
        If they were to meet at a parameter server, or do not meet.
    """
    global _team
    if kvstore is not None:
        raise UsageError(
            f"--kvstore {kvstore} would have no effect on PyTorch",
            "start the processes with torchrun, or use --engine mxnet",
        )
    if _team is None:
        group = Group(processes())
        group.join()
        _team = Team(group)
    return _team


def make_learner(spec: LearnerSpec) -> Any:
    """Return the learner of ``spec``: alone, the leader's, or a follower's.

    Raises
    ------
    UsageError
        If the batch cannot be shared evenly, or its teacher's logits are to be stored.
    """
    check_shards(spec, processes().count, "processes")
    if processes().count == 1:
        return TorchLearner(spec)
    group: Any = join().group
    learner = TorchLearner(spec, group)
    return learner if group.rank else Leader(learner, group)
