"""One process leads, the others follow: the loop and its files are the first one's alone.

Every process has the draws, the data and a learner. The leader says which update is next; all of
them do their shards of it, and have the same parameters and running statistics after it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, Iterator, Protocol, Sequence, Tuple

import numpy as np

from gluontricks.errors import WorkerError
from gluontricks.learners import Learner, LearnerState
from gluontricks.pipeline import Batch

END, BEGIN, STEP, STATE = range(4)


class Group(Protocol):
    """The processes that share every batch, as an engine connects them.

    Attributes
    ----------
    rank : int
    at_work : bool
        Whether the others wait for this process's part of something.
    """

    rank: int
    at_work: bool

    def tell(self, *numbers: int) -> Tuple[int, ...]:
        """Return two numbers that the first process gives and all receive."""
        ...

    def give_state(self, learner: Any) -> None:
        """Give the learners of the others the state of the first process's."""
        ...

    def leave(self) -> None:
        """Part from the others."""
        ...


class Team:
    """The processes of this run, met once and left once.

    Parameters
    ----------
    group : Group
        Whose processes have met.
    """

    def __init__(self, group: Group) -> None:
        self.group = group

    def called(self) -> bool:
        """Wait for the leader; return whether there is something to do."""
        self.group.at_work = self.group.tell()[0] == BEGIN
        return self.group.at_work

    def end(self) -> None:
        """Part; a leader sends the followers home first.

        Those that wait for a part of this process would not hear it: they notice that it is gone.
        """
        if self.group.rank == 0 and not self.group.at_work:
            with suppress(WorkerError):
                self.group.tell(END, 0)
        self.group.leave()

    def follow(self, learner: Any, draws: Any) -> None:
        """Do what the leader says, until it says no more.

        Parameters
        ----------
        learner : Learner
            Attached and begun as the leader's.
        draws : Draws
        """
        batches = InTurn(draws)
        order, number = self.group.tell()
        while order != END:
            if order == STATE:
                self.group.give_state(learner)
            else:
                learner.step(batches.at(number))
                learner.pending.clear()
            order, number = self.group.tell()
        self.group.at_work = False


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


class Leader:
    """The first process's learner: it has the others do what it does."""

    def __init__(self, learner: Learner, group: Group) -> None:
        self.learner, self.group, self.spec = learner, group, learner.spec
        group.tell(BEGIN, 0)

    def attach(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take the training set; every process has its own."""
        self.learner.attach(images, labels)

    def begin(self, rates: Sequence[float], momenta: Sequence[float]) -> None:
        """Take the tables of the run, which every process has; the first state is this one's."""
        self.learner.begin(rates, momenta)
        self.give_state()

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
        self.give_state()

    def give_state(self) -> None:
        """Give the others the state of this learner, which stays as it is."""
        self.group.tell(STATE, 0)
        self.group.at_work = True
        self.group.give_state(self.learner)
        self.group.at_work = False
