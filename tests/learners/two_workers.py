"""What tests of jobs run in each worker.

``two_workers.py steps FOLDER CHANGES`` does updates; every worker writes what it has after them.
CHANGES is JSON: of the learner's specification.

``two_workers.py exchange FOLDER`` adds up arrays many times without waiting for a sum.

``two_workers.py train PLAN WORDS...`` is the command line with a checkpoint after every update.
PLAN is JSON: in the update ``step`` the worker ``rank`` ends, ``how`` being killed or failed.
"""

import json
import sys
from pathlib import Path

import numpy as np
import small_run
from two_processes import DRAWS, begun, do_updates, found_in, train_with

ROUNDS = 300
SHAPES = ((3,), (64, 3, 3, 3), (100, 120), (7, 11))


def steps(folder, changes):
    """Do the updates, all workers together."""
    from gluontricks.learners.mxnet.team import join, make_learner
    from gluontricks.processes import DIST_SYNC, processes

    changes = {"shards": processes().count, **json.loads(changes)}
    team = join(DIST_SYNC)
    rank = processes().rank
    # What the leader does not give the others would show: they begin with other weights.
    spec = small_run.spec_of(teacher=small_run.teacher_of(), **{**changes, "seed": rank})
    if rank:
        assert team.called()
        learner = begun(spec, make_learner(spec))
        team.follow(learner, DRAWS)
        found = found_in(learner)
    else:
        learner = begun(spec, make_learner(spec))
        losses = do_updates(learner)
        found = found_in(learner, losses=losses, logits=learner.predict(small_run.IMAGES))
    team.end()
    np.savez(Path(folder) / f"{rank}.npz", **found)
    return 0


def mixed(own, total):
    """What a worker makes of its number and the sum over two."""
    return own * np.float32(0.5) + total * np.float32(0.25)


def exchange(folder):
    """Feed sums into the next exchange, so that one wrong number changes all that follow."""
    from gluontricks.learners.mxnet.group import Group
    from gluontricks.mxnet_shim import mx

    group = Group()
    group.join()
    mine = [mx.nd.full(shape, group.rank + 1 + i) for i, shape in enumerate(SHAPES)]
    for _ in range(ROUNDS):
        sums = group.add_up("sums", mine)
        mine = [mixed(own, total) for own, total in zip(mine, sums)]
    np.savez(Path(folder) / f"{group.rank}.npz", *[array.asnumpy() for array in mine])
    group.leave()
    return 0


def train(plan, *words):
    """Train on the command line; one worker may end on the way."""
    from gluontricks.learners.mxnet.learner import MXNetLearner

    return train_with(MXNetLearner, plan, words)


if __name__ == "__main__":
    sys.exit({"steps": steps, "exchange": exchange, "train": train}[sys.argv[1]](*sys.argv[2:]))
