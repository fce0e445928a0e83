"""Preparing a run for machines without MXNet: its graphs are traced here, once."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple

from gluontricks import builders, planning
from gluontricks.advice import how_to_train
from gluontricks.graphs import write_graphs
from gluontricks.options import RunOptions
from gluontricks.planning import TEACHER_FOLDER, Plan
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import RunDirectory
from gluontricks.teachers import NoTeacherError, write_weights
from gluontricks.tracing import trace_run


class PreparedRun(NamedTuple):
    """What was written, and what was noticed on the way."""

    out: Path
    model: str
    parameters: int
    fingerprint: str
    notices: List[str]


def prepare_run(recipe: Recipe, options: RunOptions, *, with_teacher: bool = False) -> PreparedRun:
    """Write the directory of a run that needs no MXNet any more, or make one that is there so.

    It holds the recipe, class names and normalisation, the graphs and a table of parameters. Its
    teacher is noted by name and hash.

    Parameters
    ----------
    recipe : Recipe
        Need not be resolved.
    options : RunOptions
        ``out``, the directory, and ``teacher_params``.
    with_teacher : bool
        Copy the teacher's parameters too.

    Raises
    ------
    GluontricksError
        If something does not exist or does not fit, or the directory is another run's.
    """
    notices: List[str] = []
    try:
        plan = planning.make_plan(recipe, options, notices.append)
    except NoTeacherError as error:
        raise NoTeacherError(error.cause, how_to_train(resolve(recipe), options)) from error
    size = planning.image_size(plan.recipe)
    teacher = builders.make_teacher(plan, None, options)
    graphs = trace_run(builders.make_spec(plan.recipe, teacher, image_size=size))
    with RunDirectory(plan.folder) as folder:
        folder.claim(plan.recipe, plan.identity)
        write_graphs(folder.path, graphs)
        if with_teacher:
            copy_teacher(plan)
    count = graphs.network.summary["params"]
    return PreparedRun(plan.folder, plan.recipe.model, count, plan.fingerprint, notices)


def copy_teacher(plan: Plan) -> None:
    """Write the teacher's parameters, and what is known about them, into the run's directory."""
    assert plan.teacher is not None
    write_weights(plan.folder / TEACHER_FOLDER, plan.teacher)
