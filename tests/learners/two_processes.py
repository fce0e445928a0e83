"""What tests of several processes run in each of them, under torchrun.

``two_processes.py steps FOLDER CHANGES`` does the updates below; every process writes what it has
after them. CHANGES is JSON: of the learner's specification.

``two_processes.py train PLAN WORDS...`` is the command line with a checkpoint after every update.
PLAN is JSON: in the update ``step`` the process ``rank`` ends, ``how`` being killed or failed.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import small_run

from gluontricks.draws import Draws, Mixing

# Both mixers join an image of one half of the batch with one of the other.
MIXED = Mixing("mixup+stitch-vertical", 1.0, None, 0, 4)
DRAWS = Draws(0, small_run.LABELS, (32, 32), small_run.BATCH, small_run.AUGMENTATION, MIXED)
RATE = {"nag": 0.05, "adam": 1e-3}


def begun(spec, learner):
    """Return a learner that is ready for its first update."""
    learner.attach(small_run.IMAGES, small_run.LABELS)
    learner.begin([RATE[spec.optimizer]] * small_run.STEPS, [0.9] * small_run.STEPS)
    return learner


def do_updates(learner):
    """Do two epochs of three, the second after a false start; return the losses of all."""
    batches = [batch for epoch in range(2) for batch in DRAWS.batches(epoch)]
    for batch in batches[:3]:
        learner.step(batch)
    kept = learner.state()
    for batch in batches[3:5]:
        learner.step(batch)
    learner.load_state(kept)
    for batch in batches[3:]:
        learner.step(batch)
    return learner.losses()


def found_in(learner, **more):
    """Return all that a learner has, by names of arrays."""
    arrays, counters = learner.state()
    gradients = {f"g/{path}": value for path, value in learner.gradients().items()}
    return {**arrays, **gradients, **{k: np.array(v) for k, v in counters.items()}, **more}


def steps(folder, changes):
    """Do the updates, all processes together."""
    from gluontricks.learners.torch.team import join, make_learner
    from gluontricks.processes import processes

    place = processes()
    spec = small_run.spec_of(
        teacher=small_run.teacher_of(), dtype="float64", shards=place.count, **json.loads(changes)
    )
    team = join()
    found = {}
    if place.rank:
        assert team.called()
        learner = begun(spec, make_learner(spec))
        team.follow(learner, DRAWS)
        found = found_in(learner)
    else:
        learner = begun(spec, make_learner(spec))
        losses = do_updates(learner)
        found = found_in(learner, losses=losses, logits=learner.predict(small_run.IMAGES))
    team.end()
    np.savez(Path(folder) / f"{place.rank}.npz", **found)
    return 0


def end(how):
    """End as the memory's end may do it: from outside, or with an error of Python."""
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise MemoryError


def train(plan, *words):
    """Train on the command line; one process may end on the way."""
    from gluontricks.learners.torch.learner import TorchLearner

    return train_with(TorchLearner, plan, words)


def train_with(learner, plan, words):
    """Train on the command line, with a checkpoint after every update of this kind of learner."""
    from gluontricks import engine
    from gluontricks.cli import main

    engine.SAVE_SECONDS = -1.0
    plan, plain = json.loads(plan), learner.step

    def watched(self, batch):
        if (self.group.rank, batch.step) == (plan.get("rank"), plan.get("step")):
            end(plan["how"])
        plain(self, batch)

    learner.step = watched
    return main(list(words))


if __name__ == "__main__":
    sys.exit({"steps": steps, "train": train}[sys.argv[1]](*sys.argv[2:]))
