"""One run, from its recipe to its record: what the command line and scripts call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

from gluontricks import builders, planning
from gluontricks.advice import how_to_train
from gluontricks.builders import Data
from gluontricks.data.images import ImageSet
from gluontricks.draws import Draws
from gluontricks.engine import Training, fit
from gluontricks.errors import DivergedError, GluontricksError, IntegrityError
from gluontricks.feed import Feed
from gluontricks.graphs import read_graphs
from gluontricks.history import note_start
from gluontricks.launch import placed
from gluontricks.learners import Learner, engine_module, make_learner
from gluontricks.models.matching import Target, fitting_values
from gluontricks.options import RunOptions
from gluontricks.pipeline import Batch
from gluontricks.planning import Plan
from gluontricks.processes import checked_kvstore, processes
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.recording import Start, record_run
from gluontricks.reporting import Reporters, clock, make_reporters, namespace_line
from gluontricks.rundir import (
    LOG_FILE,
    RECORD_FILE,
    RunDirectory,
    read_metrics,
    read_run,
    read_text,
    set_aside,
)
from gluontricks.signals import Interruption
from gluontricks.teachers import NoTeacherError, Weights
from gluontricks.threads import set_threads

DRY_STEPS = 4


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes
    ----------
    status : str
        ``completed``, ``stopped`` or ``dry-run``; ``followed`` for a process that another led.
    folder : Path
        The run's directory.
    step : int
        Updates done.
    metrics : dict
        The last evaluation, empty if there was none.
    exit_code : int
        0, or 128 + the number of the signal that stopped the run.
    earlier : bool
        Whether the run had come to its end before.
    """

    status: str
    folder: Path
    step: int
    metrics: Dict[str, Any]
    exit_code: int = 0
    earlier: bool = False


def train(recipe: Recipe, options: Optional[RunOptions] = None) -> Result:
    """Train a recipe to its end, or go on with a run that was stopped.

    Parameters
    ----------
    recipe : Recipe
        Need not be resolved.
    options : RunOptions, optional

    Returns
    -------
    Result

    Raises
    ------
    GluontricksError
        With a cause and a remedy; everything written before is kept.
    """
    options = options or RunOptions()
    kvstore = checked_kvstore(options.kvstore)
    options = placed(options)
    if processes().count == 1:
        return train_alone(recipe, options)
    team = engine_module(options.engine).join(kvstore)
    try:
        if processes().rank:
            return follow(recipe, options, team)
        return train_alone(recipe, options)
    finally:
        team.end()


def follow(recipe: Recipe, options: RunOptions, team: Any) -> Result:
    """Do the part of a process that another one leads: no file is this one's to write."""
    set_threads(options.threads)
    with Interruption():
        # A signal reaches all processes; the leader decides where the run stops.
        if team.called():
            plan = planning.make_plan(recipe, options, lambda _: None)
            prepared = prepare(plan, options)
            try:
                team.follow(prepared.learner, prepared.draws)
            finally:
                prepared.draws.close()
    return Result("followed", planning.RUNS, 0, {})


def train_alone(recipe: Recipe, options: RunOptions) -> Result:
    """Train in this process, or lead those that follow it."""
    threads = set_threads(options.threads)
    notices: List[str] = []
    try:
        plan = planning.make_plan(recipe, options, notices.append)
    except NoTeacherError as error:
        raise missing_teacher(error, recipe, options) from error
    if options.dry_run:
        return dry_run(plan, options, notices)
    if not options.resume:
        set_aside(plan.folder, notices.append)
    # What cannot run leaves no directory behind.
    prepared = prepare(plan, options) if read_run(plan.folder) is None else None
    with RunDirectory(plan.folder) as folder:
        folder.claim(plan.recipe, plan.identity)
        if completed(plan.folder):
            return finished(plan.folder)
        prepared = prepared or prepare(plan, options)
        history = note_start(
            plan.folder, engine=options.engine, device=options.device, threads=threads
        )
        start = Start(plan, options, threads, prepared.data, history)
        return go(start, prepared, folder, notices)


def missing_teacher(error: NoTeacherError, recipe: Recipe, options: RunOptions) -> NoTeacherError:
    """Return the error with what to do: name the teacher of a prepared run, or train one."""
    noted = planning.noted_teacher(options.out)
    if noted is None:
        return NoTeacherError(error.cause, how_to_train(resolve(recipe), options))
    return NoTeacherError(
        f"the teacher '{recipe.teacher}' of the run in '{options.out}' is not here "
        f"(its parameters' hash is {noted[:12]})",
        "name its file with --teacher-params, or 'gluontricks prepare' with --with-teacher",
    )


def completed(folder: Path) -> bool:
    """Return whether the record of a run says that it came to its end."""
    return '"status": "completed"' in (read_text(folder / RECORD_FILE) or "")


def finished(folder: Path) -> Result:
    """Return the result of a run that came to its end before.

    Raises
    ------
    IntegrityError
        If its metrics are gone.
    """
    epochs = [e for e in read_metrics(folder) if e["event"] == "epoch"]
    if not epochs:
        raise IntegrityError(
            f"'{folder}' holds the record of a finished run and no metrics",
            "restore them, or --no-resume to keep this folder aside and start again",
        )
    return Result("completed", folder, epochs[-1]["step"], epochs[-1], earlier=True)


class Prepared(NamedTuple):
    """All that can fail before anything is written: images, draws, and a learner."""

    data: Data
    draws: Union[Draws, Feed]
    learner: Learner


def go(start: Start, prepared: Prepared, folder: RunDirectory, notices: Sequence[str]) -> Result:
    """Train in a claimed directory; write the record however it ends; return the result."""
    options = start.options
    reporters = make_reporters(
        options.logging_file or folder.path / LOG_FILE,
        quiet=options.quiet,
        tensorboard=folder.path / "tensorboard" if options.tensorboard else None,
    )
    try:
        reporters.header(namespace_line(start.plan.recipe))
        for notice in notices:
            reporters.message(notice)
        return fit_and_record(start, make_training(start, prepared, folder, reporters))
    finally:
        prepared.draws.close()
        reporters.close()


def fit_and_record(start: Start, training: Training) -> Result:
    """Run the loop; write the record however it ends."""
    try:
        outcome = fit(training)
    except GluontricksError as error:
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        record_run(start, training, status, error.cause)
        raise
    stopped = None if outcome.status == "completed" else f"after update {outcome.step}"
    record_run(start, training, outcome.status, stopped)
    folder = training.folder.path
    epochs = [event for event in read_metrics(folder) if event["event"] == "epoch"]
    metrics = epochs[-1] if epochs else {}
    return Result(outcome.status, folder, outcome.step, metrics, outcome.exit_code)


def make_training(
    start: Start, prepared: Prepared, folder: RunDirectory, reporters: Reporters
) -> Training:
    """Return what the loop needs."""
    recipe, options = start.plan.recipe, start.options
    return Training(
        learner=prepared.learner,
        draws=prepared.draws,
        rates=builders.make_rates(recipe, prepared.draws.steps_per_epoch),
        epochs=recipe.num_epochs or 0,
        evaluation=prepared.data.evaluation,
        selects=bool(recipe.val_split) or recipe.select == "test",
        folder=folder,
        reporters=reporters,
        log_interval=options.log_interval,
        max_steps=options.max_steps or float("inf"),
        first_step=recipe.resume_epoch * prepared.draws.steps_per_epoch,
        save_frequency=options.save_frequency,
    )


def prepare(plan: Plan, options: RunOptions) -> Prepared:
    """Return the images, the draws and the learner of a run, ready for its first update."""
    recipe = plan.recipe
    data = builders.load_data(recipe, options, plan.pair)
    draws = builders.make_feed(recipe, data.train, options)
    spec = builders.make_spec(
        recipe,
        builders.make_teacher(plan, data, options),
        image_size=draws.size[0],
        options=options,
        graphs=read_graphs(plan.folder),
    )
    learner = make_learner(spec, options.engine)
    if plan.teacher:
        # The learner has its own; a large teacher's are hundreds of megabytes.
        plan.teacher.parameters.clear()
    if isinstance(data.train, ImageSet):
        learner.attach(data.train.images, data.train.labels)
    if plan.start is not None:
        begin_with(learner, plan.start)
    rates = builders.make_rates(recipe, draws.steps_per_epoch)
    learner.begin(rates, builders.make_momenta(recipe, len(rates)))
    return Prepared(data, draws, learner)


def begin_with(learner: Learner, start: Weights) -> None:
    """Have a learner begin with parameters from a file.

    Raises
    ------
    DataError
        If they are another network's.
    """
    state = learner.state()
    for kind in ("p/", "e/"):
        own = {k[2:]: v for k, v in state.arrays.items() if k.startswith(kind)}
        targets = {path: Target(value.shape, path) for path, value in own.items()}
        if own:
            found = fitting_values(start.parameters, targets, name=start.source)
            state.arrays.update({kind + path: value for path, value in found.items()})
    learner.load_state(state)


def dry_run(plan: Plan, options: RunOptions, notices: List[str]) -> Result:
    """Do a few updates without writing anything; tell the time and the memory of the run."""
    import psutil

    for notice in notices:
        say(notice, options)
    recipe = plan.recipe
    _, draws, learner = prepare(plan, options)
    updates = draws.steps_per_epoch * (recipe.num_epochs or 0)
    epochs = (draws.batches(epoch) for epoch in range(recipe.num_epochs or 0))
    per_step = seconds_per_update(learner, islice(chain.from_iterable(epochs), DRY_STEPS))
    draws.close()
    memory = psutil.Process().memory_info().rss / 2**30
    say(
        f"{plan.folder}: {updates} updates of {recipe.batch_size} images, "
        f"{recipe.batch_size / per_step:.1f} images/s, about {clock(per_step * updates)} "
        f"without evaluation, {memory:.1f} GB of memory",
        options,
    )
    return Result(
        "dry-run",
        plan.folder,
        0,
        {
            "seconds_per_update": per_step,
            "updates": updates,
            "memory_gb": memory,
            "params": engine_module(options.engine).summary_of(learner.spec)["params"],
        },
    )


def seconds_per_update(learner: Learner, batches: Iterable[Batch]) -> float:
    """Do some updates and return the time of the fastest; the first compiles and is left out."""
    done = [time.monotonic()]
    for batch in batches:
        learner.step(batch)
        learner.losses()
        done.append(time.monotonic())
    seconds = [end - start for start, end in zip(done, done[1:])]
    return min(seconds[1:] or seconds)


def say(text: str, options: RunOptions) -> None:
    """Print a sentence of a dry run."""
    if not options.quiet:
        print(text)  # noqa: T201 (a dry run has no log)
