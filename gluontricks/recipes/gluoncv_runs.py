"""The settings that GluonCV published with its logs: one recipe per log, unchanged."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Dict, Tuple

from gluontricks.models.names import find_name
from gluontricks.recipes.namespaces import NamespaceRecipe, namespace_recipe, parse_namespace
from gluontricks.recipes.spec import Recipe

FILE = Path(__file__).with_name("namespaces.csv")


@dataclass(frozen=True)
class PublishedRun:
    """One log of GluonCV's repository of logs.

    Attributes
    ----------
    name : str
        Of its recipe: that of the log, and the revision if a later one replaced it.
    log, revision : str
        The file and, if it was replaced there, the commit that has it.
    seconds : float
        Median seconds per epoch, validation included.
    namespace : str
        The settings that it prints; of its last start.
    """

    name: str
    log: str
    revision: str
    seconds: float
    namespace: str

    @property
    def source(self) -> str:
        """The log's file name, with its revision if that is not the last one."""
        file = PurePosixPath(self.log).name
        return f"{file} of revision {self.revision}" if self.revision else file


@functools.lru_cache(maxsize=None)
def published_runs(path: Path = FILE) -> Tuple[PublishedRun, ...]:
    """Return every log whose settings are known, ImageNet's first."""
    with open(path, encoding="utf-8", newline="") as stream:
        return tuple(
            PublishedRun(
                row["name"], row["log"], row["revision"], float(row["seconds"]), row["namespace"]
            )
            for row in csv.DictReader(stream)
        )


@functools.lru_cache(maxsize=None)
def run_recipes() -> Dict[str, NamespaceRecipe]:
    """Return name -> what the settings of each log mean here."""
    return {run.name: _recipe(run) for run in published_runs()}


def _recipe(run: PublishedRun) -> NamespaceRecipe:
    """Return what the settings of one log mean, named, and with what its file's name hides."""
    flags = parse_namespace(run.namespace)
    found = namespace_recipe(flags)
    stem = PurePosixPath(run.log).stem.replace("_mixup", "").replace("-mixup", "")
    model = str(flags["model"])
    notes = found.notes
    if model != stem:
        notes = (f"the log is named after {stem}, and ran {model}", *notes)
    return replace(found, recipe=replace(found.recipe, name=run.name), notes=notes)


def runnable() -> Tuple[Recipe, ...]:
    """Return the recipes of the logs whose network is here."""
    return tuple(found.recipe for found in run_recipes().values() if find_name(found.recipe.model))


def missing() -> Dict[str, str]:
    """Return name -> network of the recipes whose network is not here."""
    return {
        name: found.recipe.model
        for name, found in run_recipes().items()
        if not find_name(found.recipe.model)
    }
