"""The direction of imports: who may know whom, and who may know MXNet."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gluontricks"

# These may be imported from everywhere.
FREE = {
    "gluontricks", "errors", "files", "streams", "arrays", "threads", "machine", "options",
    "processes", "allocator",
}  # fmt: skip

# Module or package -> what else of the package it may import. The loop (engine) knows learners
# as a protocol only; nothing below it knows a framework; nothing knows the command line.
ALLOWED = {
    "__main__": {"cli"},
    "advice": {"builders", "data", "learners", "planning", "recipes"},
    "builders": {
        "data", "draws", "feed", "graphs", "learners", "pipeline", "planning", "recipes",
        "schedules", "teacher_cache",
    },
    "checkpoints": set(),
    "cli": {
        "builders", "crosscheck", "data", "demo", "doctor", "export", "figures", "graphs",
        "history", "inference", "job", "launch", "learners", "mixing", "models", "prepare",
        "preview",
        "recipes", "report", "reproduce", "results", "rundir", "summary", "teachers", "training",
    },
    "counting": {"figures", "models", "results", "summary", "tracing"},
    "crosscheck": {
        "builders", "data", "learners", "mixing", "models", "pipeline", "recipes", "teachers",
    },
    "cuda_libraries": set(),
    "data": set(),
    "demo": {
        "data", "export", "inference", "learners", "preview", "recipes", "results", "rundir",
        "teachers", "training",
    },
    "doctor": {"cuda_libraries", "data", "mxnet_shim"},
    "draws": {"data", "mixing", "pipeline"},
    "engine": {
        "checkpoints", "data", "draws", "feed", "learners", "metrics", "params_file", "pipeline",
        "reporting", "rundir", "signals",
    },
    "export": {"inference", "learners", "models", "pipeline"},
    "feed": {"data", "draws", "pipeline"},
    "figures": {"mixing", "recipes", "results", "schedules", "targets"},
    "graphs": set(),
    "history": {"results", "rundir"},
    "inference": {"data", "learners", "metrics", "models", "pipeline"},
    "initializers": set(),
    "launch": {"learners"},
    "job": {"signals"},
    "learners": {"graphs", "pipeline"},
    "learners.mxnet": {
        "cuda_libraries", "learners", "models", "mxnet_shim", "params_file", "pipeline", "scaling",
        "summary", "tracing",
    },
    "learners.torch": {
        "data", "graphs", "initializers", "learners", "models", "params_file", "pipeline",
        "scaling", "tracing",
    },
    "losses": {"mxnet_shim"},
    "metrics": set(),
    "mixing": set(),
    "models": {"initializers", "mxnet_shim", "params_file"},
    "mxnet_patches": set(),
    "mxnet_shim": {"cuda_libraries", "mxnet_patches"},
    "params_file": set(),
    "pipeline": {"data", "mixing", "targets"},
    "planning": {"data", "models", "recipes", "rundir", "teacher_cache", "teachers"},
    "prepare": {
        "advice", "builders", "checkpoints", "graphs", "planning", "recipes", "rundir", "teachers",
        "tracing",
    },
    "preview": {"builders", "data", "mixing", "pipeline", "planning", "recipes"},
    "recipes": {"data", "mixing", "models"},
    "recording": {
        "builders", "engine", "history", "learners", "metrics", "planning", "recipes", "results",
        "rundir",
    },
    "report": {"recipes", "results"},
    "reporting": {"recipes"},
    "reproduce": {
        "checkpoints", "data", "job", "recipes", "reporting", "results", "signals", "teachers",
    },
    "results": {"data", "recipes"},
    "rundir": {"recipes"},
    "scaling": set(),
    "schedules": set(),
    "server": {"mxnet_shim"},
    "signals": set(),
    "summary": {"mxnet_shim"},
    "targets": set(),
    "tracing": {"graphs", "learners", "losses", "models", "mxnet_shim", "pipeline", "summary"},
    "teacher_cache": {"pipeline", "recipes"},
    "teachers": {"checkpoints", "data", "params_file", "pipeline", "recipes", "rundir"},
    "training": {
        "advice", "builders", "data", "draws", "engine", "feed", "graphs", "history", "launch",
        "learners", "models", "pipeline", "planning", "recipes", "recording", "reporting", "rundir",
        "signals", "teachers",
    },
}  # fmt: skip

# The only ones that compute with MXNet, or look whether it is there.
WITH_MXNET = {"doctor", "learners.mxnet", "losses", "models", "server", "summary", "tracing"}


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def part_of(module):
    """The module or package of ``ALLOWED`` that a module belongs to."""
    names = module.split(".")[1:]
    if not names:
        return "gluontricks"
    if names[:1] == ["learners"] and names[1:2] in (["mxnet"], ["torch"]):
        return ".".join(names[:2])
    return names[0]


def imports_of(module):
    """Every module that one imports, anywhere in its text, but for what only types need."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


EDGES = {module: set(imports_of(module)) for module in MODULES}


def own(names):
    return {part_of(name) for name in names if name.split(".")[0] == "gluontricks"}


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_only_in_the_allowed_direction(module):
    part = part_of(module)
    allowed = FREE if part in FREE else FREE | ALLOWED[part] | {part}
    assert own(EDGES[module]) <= allowed


def test_the_allowed_directions_hold_no_circle_and_no_dead_entry():
    assert set(ALLOWED) == {part_of(module) for module in MODULES} - FREE
    done = set(FREE)
    while set(ALLOWED) - done:
        ready = {part for part in set(ALLOWED) - done if ALLOWED[part] <= done}
        assert ready, f"a circle among {sorted(set(ALLOWED) - done)}"
        done |= ready


def importers(*roots):
    """The modules that import any of these packages directly."""
    return {m for m, names in EDGES.items() if {n.split(".")[0] for n in names} & set(roots)}


def test_only_these_import_mxnet_and_only_through_its_one_door():
    assert {part_of(m) for m in MODULES if "gluontricks.mxnet_shim" in EDGES[m]} == WITH_MXNET
    # MXNet does not load its own amp, so that the door cannot hand it out.
    assert importers("mxnet") - {"gluontricks.mxnet_shim"} <= {"gluontricks.learners.mxnet.graphs"}
    assert EDGES["gluontricks.learners.mxnet.graphs"] & {"mxnet"} == set()


def test_nothing_imports_what_tests_compare_with_and_no_file_is_unpickled_but_by_one_module():
    assert importers("gluoncv") == set()
    assert {part_of(m) for m in importers("torch")} == {"learners.torch"}
    # A pool and its processes talk in pickles, through pipes that nobody else has.
    among_ours = {"gluontricks.data.pool", "gluontricks.data.worker"}
    assert importers("pickle", "dill", "joblib") == {"gluontricks.data.pickles", *among_ours}


def test_an_engine_is_known_by_its_name_only():
    for engine in ("learners.mxnet", "learners.torch"):
        assert {part_of(m) for m in MODULES if engine in own(EDGES[m])} == {engine}


WITHOUT_MXNET = (
    "recipes", "recipes.resolve", "data", "data.augment", "draws", "schedules", "mixing",
    "targets", "pipeline", "metrics", "checkpoints", "rundir", "teachers", "teacher_cache",
    "results.records", "results.registry", "results.tables", "builders", "engine", "learners",
    "results.make", "figures.make", "figures.curves", "figures.gaps",
    "training", "cli", "models.names", "params_file", "initializers", "reporting", "graphs",
    "models.matching", "inference", "export", "learners.optimizers",
)  # fmt: skip
LOADED = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module("gluontricks." + name)
    heavy = {"mxnet", "torch", "gluoncv"} & set(sys.modules) - {sys.argv[1]}
    if heavy:
        sys.exit(name + " loads " + ", ".join(sorted(heavy)))
"""


def load(*names, but=""):
    return subprocess.run(
        [sys.executable, "-c", LOADED, but, *names],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        stderr=subprocess.PIPE,
        check=False,
    ).stderr.decode()


def test_recipes_data_checkpoints_records_and_the_loop_load_no_framework():
    assert load(*WITHOUT_MXNET) == ""


def test_the_pytorch_engine_loads_without_mxnet():
    pytest.importorskip("torch")
    assert load("learners.torch", but="torch") == ""


def test_the_check_would_notice_mxnet():
    assert "losses loads mxnet" in load("losses")
