"""One process leads, the others follow: the loop and its files are the first one's alone.

Every process has the draws, the data and a learner. The leader says which update is next; all of
them do their shards of it, and have the same parameters and running statistics after it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, Iterator, Optional, Sequence

import numpy as np

from gluontricks.errors import WorkerError
from gluontricks.learners import LearnerSpec, LearnerState, check_shards
from gluontricks.learners.torch.group import Group
from gluontricks.learners.torch.learner import TorchLearner
from gluontricks.pipeline import Batch
from gluontricks.processes import processes

END, BEGIN, STEP, STATE = range(4)


class Team:
    """The processes of this run, met once and left once."""

    def __init__(self) -> None:
        self.group = Group(processes())
        self.group.join()

    def called(self) -> bool:
        """Wait for the leader; return whether there is something to do."""
        return self.group.tell()[0] == BEGIN

    def end(self) -> None:
        """Send the followers home, unless they are at work, where they would not hear it.

        They then notice that this process is gone; one that has ended by itself needs no word.
        """
        if not self.group.at_work:
            with suppress(WorkerError):
                self.group.tell(END, 0)
        self.group.leave()

    def follow(self, learner: TorchLearner, draws: Any) -> None:
        """Do what the leader says, until it says no more.

        Parameters
        ----------
        learner : TorchLearner
            Attached and begun as the leader's.
        draws : Draws
        """
        batches = InTurn(draws)
        order, number = self.group.tell()
        while order != END:
            if order == STATE:
                receive(learner, self.group)
            else:
                learner.step(batches.at(number))
                learner.pending.clear()
            order, number = self.group.tell()
        self.group.leave()


class InTurn:
    """The batches of a run by their step; one after the other costs no new draws.

    Parameters
    ----------
    draws : Draws
    """

    def __init__(self, draws: Any) -> None:
        self.draws = draws
        self.following = -1
        self.batches: Iterator[Batch] = iter(())

    def at(self, step: int) -> Batch:
        """Return the batch of an update."""
        epoch, position = divmod(step, self.draws.steps_per_epoch)
        if step != self.following or position == 0:
            self.batches = self.draws.batches(epoch, position)
        self.following = step + 1
        return next(self.batches)


_team: Optional[Team] = None


def join() -> Team:
    """Return the team of this process, met at the first call."""
    global _team
    if _team is None:
        _team = Team()
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
    group = join().group
    learner = TorchLearner(spec, group)
    return learner if group.rank else Leader(learner, group)


class Leader:
    """The first process's learner: it has the others do what it does."""

    def __init__(self, learner: TorchLearner, group: Group) -> None:
        self.learner, self.group, self.spec = learner, group, learner.spec
        group.tell(BEGIN, 0)

    def attach(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take the training set; every process has its own."""
        self.learner.attach(images, labels)

    def begin(self, rates: Sequence[float], momenta: Sequence[float]) -> None:
        """Take the tables of the run; every process has its own."""
        self.learner.begin(rates, momenta)

    def step(self, batch: Batch) -> None:
        """Do one update, all together."""
        self.group.tell(STEP, batch.step)
        self.group.at_work = True
        self.learner.step(batch)
        self.group.at_work = False

    def losses(self) -> np.ndarray:
        """Return the mean loss over all shards of each step since the last call."""
        return self.learner.losses()

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return logits; the others wait."""
        return self.learner.predict(images)

    def gradients(self) -> Dict[str, np.ndarray]:
        """Return the gradients of the last update, summed over all shards."""
        return self.learner.gradients()

    def state(self) -> LearnerState:
        """Return the state, which is everyone's."""
        return self.learner.state()

    def load_state(self, state: LearnerState) -> None:
        """Go on from ``state``, all together."""
        self.learner.load_state(state)
        self.group.tell(STATE, 0)
        self.group.at_work = True
        receive(self.learner, self.group)
        self.group.at_work = False


def receive(learner: TorchLearner, group: Group) -> None:
    """Take the leader's state as one's own; the leader's stays as it is."""
    tensors = learner.tensors()
    counters = group.share([tensors[key] for key in sorted(tensors)], learner.counters())
    learner.take_counters(counters)
