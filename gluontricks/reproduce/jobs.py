"""The runs that a table needs, in the order in which they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluontricks.errors import UsageError, unknown
from gluontricks.recipes import ABLATIONS, Recipe
from gluontricks.recipes.protocols import PROTOCOLS
from gluontricks.results.cells import FULL, REDUCED, is_valid, setting_of
from gluontricks.results.declared import Declared, declared, recipe_of
from gluontricks.results.records import label_of

TEACHER_SEED = 0
OVER = ("completed", "diverged")
# A record's label -> the scale whose tables it may enter.
LABEL_OF = {"full": FULL, "reduced": REDUCED, "smoke": "SMOKE"}


@dataclass(frozen=True)
class Request:
    """What was asked for: rows, seeds, and how they are run."""

    paper: str
    tables: Tuple[str, ...]
    scale: str = "full"
    seeds: int = 1
    labels: Tuple[str, ...] = ()
    rows: Tuple[str, ...] = ()
    engine: str = "mxnet"
    device: str = "cpu"
    dtype: Optional[str] = None


@dataclass(frozen=True)
class Job:
    """One run: a recipe with its seed, the rows it is for, and the run that it needs before it.

    ``recipe`` is resolved and has the name under which ``train --recipe`` finds it. Of a run that
    ``teaches`` others the parameters are kept.
    """

    recipe: Recipe
    scale: str
    engine: str
    device: str
    rows: Tuple[str, ...]
    teacher: Optional[Job] = None
    teaches: bool = False

    @property
    def key(self) -> str:
        """What names the run among all machines that share a folder."""
        recipe = self.recipe
        kind = self.device.partition(":")[0]
        return f"{recipe.fingerprint()}-s{recipe.seed}-{self.scale}-{self.engine}-{kind}"

    @property
    def title(self) -> str:
        """The recipe's name and the seed."""
        return f"{self.recipe.name} seed {self.recipe.seed}"

    def on(self, engine: str, device: str, dtype: str) -> Job:
        """Return the same run on another engine, device and precision."""
        recipe = replace(self.recipe, dtype=dtype)
        return replace(self, recipe=recipe, engine=engine, device=device)

    def is_done_by(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record is of this very run, on this engine, and over."""
        if record.get("source") is not None or not is_valid(record):
            return False
        recipe = recipe_of(record)
        wanted = (self.engine, self.device.partition(":")[0], self.recipe.dtype)
        return (
            recipe is not None
            and recipe.seed == self.recipe.seed
            and recipe.fingerprint() == self.recipe.fingerprint()
            and setting_of(record) == wanted
            and record["status"] in OVER
            and (record["status"] != "completed" or label_of(record) == LABEL_OF[self.scale])
        )


def rows_asked_for(request: Request) -> List[Declared]:
    """Return the rows of a request that have a recipe at its scale.

    Raises
    ------
    UsageError
        If a paper, a table, a label set or a row does not exist, or none has a recipe.
    """
    papers = {ablation.paper for ablation in ABLATIONS.values()}
    if request.paper not in papers:
        raise unknown("paper", request.paper, papers)
    known = [a.table for a in ABLATIONS.values() if a.paper == request.paper]
    for table in request.tables:
        if table not in known:
            raise unknown("table", table, known)
    names = [f"{request.paper}/{table}" for table in request.tables or known]
    found = [entry for name in names for entry in declared(name, request.scale)]
    found = [entry for entry in found if entry.recipe is not None]
    if not found:
        raise UsageError(
            f"no row of {' and '.join(names)} has a recipe at scale {request.scale}",
            "'gluontricks results status' tells why each of its values has not been run",
        )
    found = chosen(found, request)
    return [entry for entry in found if not request.rows or entry.row.label in request.rows]


def chosen(entries: Sequence[Declared], request: Request) -> List[Declared]:
    """Return the entries in the label sets asked for, or in those that a plan has unasked."""
    there = list(dict.fromkeys(entry.labels for entry in entries))
    for labels in request.labels:
        if labels not in there:
            raise unknown("label set", labels, there)
    rows = {entry.row.label for entry in entries}
    for row in request.rows:
        if row not in rows:
            raise unknown("row", row, rows)
    usual = PROTOCOLS[request.paper].labels if request.scale == "reduced" else ()
    wanted = request.labels or usual or there
    return [entry for entry in entries if entry.labels in wanted]


def plan(request: Request) -> List[Job]:
    """Return every run of a request: seed by seed, a teacher before its first student.

    Rows that have one recipe share a run. A teacher is trained once, with seed 0.
    """
    if request.seeds < 1:
        raise UsageError(f"--seeds is {request.seeds}", "it must be at least 1")
    entries = rows_asked_for(request)
    jobs: Dict[str, Job] = {}
    for seed in range(request.seeds):
        for entry in entries:
            job = job_of(entry, seed, request)
            for one in (job.teacher, job):
                if one is not None:
                    jobs[one.key] = merged(jobs.get(one.key), one)
    return list(jobs.values())


def merged(before: Optional[Job], job: Job) -> Job:
    """Return a job that stands for what two of one key were for."""
    if before is None:
        return job
    rows = tuple(dict.fromkeys((*before.rows, *job.rows)))
    return replace(before, rows=rows, teaches=before.teaches or job.teaches)


def job_of(entry: Declared, seed: int, request: Request) -> Job:
    """Return the run of one row with one seed."""
    assert entry.recipe is not None
    teacher = None
    if entry.teacher is not None:
        recipe = prepared(entry.teacher, TEACHER_SEED, request)
        teacher = Job(recipe, request.scale, request.engine, request.device, (), teaches=True)
    recipe = prepared(entry.recipe, seed, request)
    return Job(recipe, request.scale, request.engine, request.device, (entry.name,), teacher)


def prepared(recipe: Recipe, seed: int, request: Request) -> Recipe:
    """Return a recipe with its seed and, if one was asked for, another precision."""
    return replace(recipe, seed=seed, dtype=request.dtype or recipe.dtype)
