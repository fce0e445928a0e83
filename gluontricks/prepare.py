"""Preparing a run for machines without MXNet: its graphs are traced here, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, NamedTuple

from gluontricks import builders, checkpoints, planning
from gluontricks.advice import how_to_train
from gluontricks.checkpoints import Checkpoint
from gluontricks.files import make_folder, write_atomic
from gluontricks.graphs import write_graphs
from gluontricks.options import RunOptions
from gluontricks.planning import TEACHER_FOLDER, Plan
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import RUN_FILE, RunDirectory
from gluontricks.teachers import NoTeacherError
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
    folder = make_folder(plan.folder / TEACHER_FOLDER)
    arrays = {f"p/{name}": value for name, value in plan.teacher.parameters.items()}
    checkpoints.write(folder, 0, Checkpoint(arrays, {}))
    if plan.teacher.about is not None:
        write_atomic(folder / RUN_FILE, json.dumps(plan.teacher.about, indent=1) + "\n")
