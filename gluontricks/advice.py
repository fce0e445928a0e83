"""How to train the teacher that a run asks for: a command, a batch that fits, and its hours."""

from __future__ import annotations

from dataclasses import replace

from gluontricks import builders, planning
from gluontricks.data import dataset_info
from gluontricks.learners import engine_module
from gluontricks.options import RunOptions
from gluontricks.recipes import teacher_recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.threads import physical_cores

# Multiply-adds a second that float32 training reaches on one core, measured on resnext29_16x64d.
MACS_PER_CORE = 64e9


def how_to_train(recipe: Recipe, options: RunOptions) -> str:
    """Return the command that trains a recipe's teacher, with a batch that fits, and its hours."""
    wanted = teacher_recipe(recipe)
    words = (
        [f"gluontricks train --recipe {wanted.name}"]
        if wanted
        else [
            f"gluontricks train --dataset {recipe.dataset} --classes {recipe.classes} "
            f"--model {recipe.teacher} --normalization {recipe.normalization}"
        ]
    )
    teacher = resolve(
        wanted
        or replace(
            recipe,
            model=str(recipe.teacher),
            teacher=None,
            temperature=None,
            hard_weight=None,
            distillation_form=None,
        )
    )
    module = engine_module(options.engine)
    size = planning.image_size(teacher)
    spec = builders.make_spec(teacher, None, image_size=size, options=options)
    free = module.free_memory(spec)
    if module.memory_needed(spec) > free:
        fits = max(module.fitting_batch(spec, free), 1)
        batch = 2 ** (fits.bit_length() - 1)
        words.append(f"--batch-size {batch} --lr {(teacher.lr or 0) * batch / 256:g}")
    if options.engine != RunOptions.engine:
        words.append(f"--engine {options.engine}")
    if options.out:
        words.append(f"--out {options.out.parent / 'teacher'}")
    if options.data_dir:
        words.append(f"--data-dir {options.data_dir}")
    macs = module.summary_of(spec)["macs"]
    each = teacher.subset or dataset_info(recipe.dataset).train_size
    images = each * (teacher.num_epochs or 0)
    hours = 3 * macs * images / (MACS_PER_CORE * physical_cores()) / 3600
    return (
        f"train it with `{' '.join(words)}` (about {duration(hours)} on this machine's "
        "cores, estimated from its multiply-adds; --dry-run measures it), or name its parameters "
        "with --teacher-params"
    )


def duration(hours: float) -> str:
    """Return a rough time in words."""
    return f"{max(60 * hours, 1):.0f} minutes" if hours < 1 else f"{hours:,.0f} hours"
