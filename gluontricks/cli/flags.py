"""Command-line flags derived from the recipe and the run's options: no default stands twice."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Sequence

from gluontricks.cli.config import read_config
from gluontricks.cli.values import PARSERS, field_types
from gluontricks.data import DATASETS
from gluontricks.errors import UsageError
from gluontricks.mixing.names import SINGLE
from gluontricks.models import MODELS
from gluontricks.options import RunOptions
from gluontricks.recipes import get_recipe
from gluontricks.recipes.checks import flag
from gluontricks.recipes.spec import Recipe

OPTION_HELP = {
    "out": "run directory (default: runs/<dataset>-<model>-<fingerprint>-s<seed>)",
    "data_dir": "folder of the data sets (default: $GLUONTRICKS_DATA, ~/.gluontricks/data)",
    "max_steps": "stop after so many updates, with a checkpoint; the schedule stays",
    "quiet": "print nothing but errors",
    "engine": "what computes: mxnet (default) or torch",
    "device": "cpu, or cuda[:N]: a GPU that the engine has code for; on mxnet several, with commas",
    "compile": "have torch.compile make the network faster first",
    "deterministic": "on a GPU, bit-identical runs at the price of some speed",
    "threads": "threads of the kernels (default: $OMP_NUM_THREADS, or the physical cores)",
    "log_interval": "updates between two log points",
    "teacher_params": "the teacher's parameters: .params, .safetensors, or a run's directory",
    "teacher_cache": "store the teacher's logits beside the run",
    "tensorboard": "write scalars for TensorBoard into the run directory",
    "num_workers": "processes that decode images on disk (default: the cores, 4 at most)",
    "num_gpus": "GPUs that share every batch; on torch a process for each is started",
    "kvstore": "dist_sync: one of the workers that 'gluontricks launch' starts (default: device)",
    "use_rec": "read images from record files",
    "rec_train": "record file of the training images",
    "rec_train_idx": "its index",
    "rec_val": "record file of the validation images",
    "rec_val_idx": "its index",
    "cache": "folder for decoded images, for sets that are small",
    "resume_params": "parameters to begin with, at --resume-epoch",
    "save_frequency": "epochs between two .params files of their own; 0 for none",
    "logging_file": "the log's file (default: train.log in the run's directory)",
    "dry_run": "do a few updates, tell time and memory, write nothing",
}
# Options that say where images are and how they are read.
DATA_OPTIONS = (
    "data_dir", "num_workers", "use_rec", "rec_train", "rec_train_idx", "rec_val", "rec_val_idx",
    "cache",
)  # fmt: skip
# Fields whose names stand in a registry, which their help lists.
REGISTRIES: Dict[str, Iterable[str]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "mixup_type": ("none", *SINGLE),
}
# GluonCV's flags without a meaning here: whatever they say is what happens anyway.
IGNORED = {
    "--mode": "networks are always hybridized",
}


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each field of the recipe; those not typed leave no trace."""
    group = parser.add_argument_group("recipe")
    group.add_argument(
        "--recipe", metavar="NAME", help="start from this recipe: 'gluontricks recipes' lists them"
    )
    group.add_argument(
        "--config", metavar="FILE", type=Path, help="YAML or JSON file of recipe fields"
    )
    types = field_types(Recipe)
    for f in fields(Recipe):
        text = f.metadata["help"]
        if f.name in REGISTRIES:
            text = f"{text}: {', '.join(REGISTRIES[f.name])}"
        add_flag(group, f.name, types[f.name], text, f.metadata)


def add_flag(group: Any, name: str, kind: Any, text: str, metadata: Optional[Any] = None) -> None:
    """Add one derived flag."""
    settings: Dict[str, Any] = {
        "dest": name,
        "type": PARSERS[kind],
        "default": argparse.SUPPRESS,
        "help": text,
        "metavar": name.rsplit("_", 1)[-1].upper(),
    }
    choices = (metadata or {}).get("choices")
    if choices:
        settings["metavar"] = "{" + ",".join(choices) + "}"
    bare = True if kind is bool else (metadata or {}).get("bare")
    if kind is bool:
        settings["metavar"] = "{true,false}"
    if bare is not None:
        settings.update(nargs="?", const=bare)
    group.add_argument(flag(name), **settings)


def add_option_flags(parser: argparse.ArgumentParser, names: Sequence[str] = ()) -> None:
    """Add one flag for each of the run's options, or for those of ``names``."""
    group = parser.add_argument_group("run")
    types = field_types(RunOptions)
    for f in fields(RunOptions):
        if f.name not in OPTION_HELP or (names and f.name not in names):
            continue
        if types[f.name] is bool:
            group.add_argument(
                flag(f.name),
                dest=f.name,
                action="store_true",
                default=argparse.SUPPRESS,
                help=OPTION_HELP[f.name],
            )
        else:
            add_flag(group, f.name, types[f.name], OPTION_HELP[f.name])
    if names:
        return
    group.add_argument(
        "--resume",
        dest="resume",
        action="store_true",
        default=argparse.SUPPRESS,
        help="go on with the run in the run directory (the default)",
    )
    group.add_argument(
        "--no-resume",
        dest="resume",
        action="store_false",
        default=argparse.SUPPRESS,
        help="start again; a run that is there is kept aside",
    )
    group.add_argument(
        "--mode", default=argparse.SUPPRESS, help=argparse.SUPPRESS, dest="ignored:--mode"
    )
    group.add_argument(
        "-j",
        "--num-data-workers",
        type=int,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
        dest="num_workers",
    )


def typed_recipe(args: argparse.Namespace, default: Recipe) -> Recipe:
    """Return the recipe that the flags describe, not yet resolved.

    A recipe by name, then the file, then the flags: later ones win.
    """
    base = default if getattr(args, "recipe", None) is None else get_recipe(args.recipe)
    changes = read_config(args.config) if getattr(args, "config", None) else {}
    names = {f.name for f in fields(Recipe)}
    changes.update({k: v for k, v in vars(args).items() if k in names})
    if changes.get("dtype", base.dtype) != "float16" and "loss_scale" not in changes:
        # A recipe's scale belongs to its precision, and no flag could take it away.
        changes["loss_scale"] = None
    return replace(base, **changes)


def typed_options(args: argparse.Namespace) -> RunOptions:
    """Return the run's options that the flags describe; tell which flags are ignored."""
    check_ignored(args)
    given = {f.name: getattr(args, f.name) for f in fields(RunOptions) if f.name in vars(args)}
    options = RunOptions(**given)
    for name in ("max_steps", "threads", "log_interval"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"{flag(name)} is {value}", "it must be at least 1")
    return options


def check_ignored(args: argparse.Namespace) -> None:
    """Tell that a flag of GluonCV means nothing here."""
    for key, value in vars(args).items():
        if not key.startswith("ignored:"):
            continue
        name = key.partition(":")[2]
        sys.stderr.write(
            f"notice: {name} {value} is accepted and changes nothing: {IGNORED[name]}\n"
        )
