"""What a plan holds: protocols, rows, seeds, teachers, and when a run counts as done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gluontricks.errors import UsageError
from gluontricks.recipes import ABLATIONS, RECIPES, get_recipe
from gluontricks.recipes.protocols import PROTOCOLS, SMOKE
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import difference
from gluontricks.reproduce.jobs import Request, plan
from gluontricks.results.declared import declared, expand, protocol_of, scale_of
from gluontricks.results.records import label_of

REDUCED = Request("stitch-mixup", ("III", "V"), "reduced", seeds=3)


def changed(name: str) -> set:
    lines = difference(resolve(get_recipe(name)), resolve(get_recipe(f"{name}-reduced")))
    return {line.split(":")[0] for line in lines}


def test_the_reduced_stitch_protocol_is_the_one_it_states() -> None:
    student = resolve(get_recipe("stitch-V-vertical-distill-reduced"))
    assert (student.model, student.teacher) == ("resnet20_v1", "resnet56_v1")
    assert (student.num_epochs, student.subset, student.batch_size) == (20, 12_800, 32)
    assert (student.lr, student.warmup_epochs) == (0.05, 1)
    baseline = resolve(get_recipe("stitch-III-baseline-reduced"))
    assert (baseline.num_epochs, baseline.lr_decay_epoch) == (12, (3, 6, 9))
    teacher = resolve(get_recipe("stitch-teacher-coarse-reduced"))
    assert (teacher.model, teacher.num_epochs, teacher.dataset) == (
        "resnet56_v1", 40, "cifar100-coarse",
    )  # fmt: skip
    for number in ("12,800", "12", "20", "40", "32", "0.05"):
        assert number in PROTOCOLS["stitch-mixup"].sentence


def test_a_protocol_changes_only_the_fields_it_names() -> None:
    size = {"name", "subset", "model", "num_epochs", "batch_size", "lr"}
    assert changed("stitch-III-baseline") == size | {"lr_decay_epoch"}
    assert changed("stitch-III-mixup") == size | {"warmup_epochs"}
    assert changed("stitch-V-vertical-distill") == size | {"warmup_epochs", "teacher"}
    bag = {"name", "dataset", "classes", "input_size", "shards", "model", "num_epochs",
           "batch_size", "lr"}  # fmt: skip
    assert changed("bag-2-resnet50") == bag | {"lr_decay_epoch"}


@pytest.mark.parametrize("name", ABLATIONS)
def test_rows_that_differ_at_full_scale_differ_at_reduced_scale_too(name: str) -> None:
    full = {e.row.label: e.fingerprint for e in declared(name) if e.recipe}
    reduced = {e.row.label: e.fingerprint for e in declared(name, "reduced")}
    for one in reduced:
        for other in reduced:
            assert (full[one] == full[other]) == (reduced[one] == reduced[other]), (one, other)


@pytest.mark.parametrize("scale", ["full", "reduced", "smoke"])
def test_every_recipe_at_a_scale_resolves_and_is_found_by_its_name_and_fingerprint(scale) -> None:
    entries = [entry for entry in declared(scale=scale) if entry.recipe]
    assert len(entries) > 100
    for entry in entries:
        assert resolve(get_recipe(entry.recipe.name)) == entry.recipe
        assert scale_of(entry.recipe) == scale
        if entry.recipe.teacher is not None:
            assert entry.teacher.model == entry.recipe.teacher
            assert entry.teacher.dataset == entry.recipe.dataset
            assert entry.teacher.classes == entry.recipe.classes
            assert entry.teacher.subset == entry.recipe.subset
            assert entry.teacher.name.startswith(("stitch-teacher", "bag-teacher"))


def test_no_reduced_run_counts_as_a_full_one(record) -> None:
    made = record("stitch-III-mixup-reduced")
    assert (label_of(made), made["scale"]) == ("MEASURED-REDUCED", "reduced")
    assert made["protocol"] == protocol_of("stitch-mixup", "reduced")
    assert made["rows"] == [
        "stitch-mixup/III/+ mixup/fine/reduced", "stitch-mixup/V/Interp. Mixup/fine/reduced",
    ]  # fmt: skip
    smoke = record("stitch-III-mixup-smoke")
    assert (label_of(smoke), smoke["scale"], smoke["protocol"]) == ("SMOKE", "smoke", SMOKE)


def test_a_plan_goes_seed_by_seed_with_teachers_before_their_students() -> None:
    jobs = plan(REDUCED)
    assert len({job.key for job in jobs}) == len(jobs) == 3 * 9 * 2 + 2
    seeds = [job.recipe.seed for job in jobs if not job.teaches]
    assert seeds == sorted(seeds)
    for place, job in enumerate(jobs):
        if job.teacher is not None:
            before = [other.key for other in jobs[:place]]
            assert job.teacher.key in before
            assert job.teacher.recipe.seed == 0
            assert job.teacher.recipe.dataset == job.recipe.dataset


def test_what_a_processor_cannot_compute_is_reduced_to_what_it_can() -> None:
    recipe = resolve(get_recipe("bag-4-1024-fp16-reduced"))
    assert (recipe.dtype, recipe.loss_scale, recipe.dataset) == ("bfloat16", None, "imagenette")


def test_rows_with_one_recipe_share_a_run() -> None:
    jobs = plan(replace(REDUCED, seeds=1, labels=("fine",)))
    shared = next(job for job in jobs if job.recipe.name == "stitch-III-mixup-reduced")
    assert shared.rows == (
        "stitch-mixup/III/+ mixup/fine/reduced", "stitch-mixup/V/Interp. Mixup/fine/reduced",
    )  # fmt: skip


def test_a_teacher_that_is_also_a_row_is_one_run_that_teaches() -> None:
    jobs = plan(Request("stitch-mixup", ("V", "text"), "reduced", labels=("fine",)))
    (teacher,) = [job for job in jobs if job.recipe.model == "resnet56_v1"]
    assert teacher.teaches
    assert teacher.rows == ("stitch-mixup/text/teacher/fine/reduced",)


def test_a_run_is_done_by_a_record_of_its_recipe_seed_engine_and_precision(record) -> None:
    (job,) = plan(replace(REDUCED, tables=("III",), rows=("Baseline",), labels=("fine",), seeds=1))
    name = "stitch-III-baseline-reduced"
    assert job.is_done_by(record(name))
    assert job.is_done_by(record(name, 0, None, status="diverged", reason="nan"))
    for other in (
        record(name, 1), record(name, engine="pytorch"), record(name, dtype="bfloat16"),
        record(name, status="stopped"), record(name, device="cuda:0"), record(name, lr=0.1),
        record("stitch-III-baseline"), record(name, 0, None, status="failed", reason="disk"),
    ):  # fmt: skip
        assert not job.is_done_by(other), other["rows"]
    half = plan(replace(REDUCED, tables=("III",), dtype="bfloat16"))[0]
    assert half.is_done_by(record(name, dtype="bfloat16"))


@pytest.mark.parametrize(
    ("request_", "cause", "remedy"),
    [
        (Request("stitch-mixpu", ()), "unknown paper 'stitch-mixpu'", "mean 'stitch-mixup'"),
        (Request("stitch-mixup", ("VI",)), "unknown table 'VI'", "did you mean 'V'"),
        (Request("stitch-mixup", ("V",), labels=("fin",)), "unknown label set", "'fine'"),
        (Request("stitch-mixup", ("V",), rows=("Vert. Mixup",)), "unknown row", "Vert. Spatial"),
        (Request("stitch-mixup", ("V",), seeds=0), "--seeds is 0", "at least 1"),
        (Request("imagenette", ()), "no row of imagenette/text has a recipe", "results status"),
        (Request("cifar10-resnets", ("1",), "reduced"), "no row of cifar10-resnets/1", "status"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused_with_the_nearest_name(request_, cause, remedy) -> None:
    with pytest.raises(UsageError) as error:
        plan(request_)
    assert cause in error.value.cause
    assert remedy in error.value.remedy


def test_a_scaled_name_exists_only_for_a_papers_recipe() -> None:
    for name in ("demo-digits-plain-reduced", "stitch-rejected-teacher-reduced", "stitch-reduced"):
        with pytest.raises(UsageError, match="unknown recipe"):
            get_recipe(name)
    assert not {name for name in RECIPES if name.endswith(("-reduced", "-smoke"))}


def test_reduced_tables_hold_the_rows_of_the_protocol_only() -> None:
    text = ABLATIONS["stitch-mixup/text"]
    rows = {entry.row.label for entry in expand(text, "reduced")}
    assert "rejected teacher" not in rows
    assert "teacher" in rows
    assert expand(ABLATIONS["tiny-imagenet/text"], "reduced") == []
