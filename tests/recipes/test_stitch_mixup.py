"""Declared recipes, and the stitch paper's rows among them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gluontricks.errors import UsageError
from gluontricks.recipes import (
    ABLATIONS,
    DEFAULT,
    RECIPES,
    Recipe,
    get_ablation,
    get_recipe,
    teacher_recipe,
)
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import difference, labelled

FROZEN = Path(__file__).with_name("fingerprints.json")


def test_fingerprints_of_declared_recipes_never_change() -> None:
    frozen = json.loads(FROZEN.read_text())
    now = {name: resolve(recipe).fingerprint() for name, recipe in RECIPES.items()
           if name.startswith(("stitch-", "bag-", "gluoncv-"))}  # fmt: skip
    assert now == frozen, "records of these recipes would lose their rows"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_resolves_leaving_open_only_what_does_not_apply(name: str) -> None:
    recipe = resolve(RECIPES[name])
    assert resolve(recipe) == recipe
    assert recipe.name == name
    assert all(getattr(recipe, field.name) == getattr(RECIPES[name], field.name)
               for field in fields(Recipe) if getattr(RECIPES[name], field.name) is not None
               and field.name not in ("lr_decay_period", "augment"))  # fmt: skip


def test_names_are_fit_for_a_shell() -> None:
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzIV0123456789-_.") for name in RECIPES)


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "stitch-III-smoothing"),
        ({"mixup_type": "mixup"}, "stitch-III-mixup"),
        ({"mixup_type": "stitch-vertical"}, "stitch-V-vertical"),
        (
            {"mixup_type": "stitch-vertical", "teacher": "resnext29_16x64d"},
            "stitch-V-vertical-distill",
        ),
        (
            {"mixup_type": "stitch-vertical", "teacher": "cifar_resnext29_16x64d"},
            "stitch-V-vertical-distill",
        ),
        ({"mixup_type": "stitch-horizontal"}, "stitch-V-horizontal"),
    ],
)
def test_flags_on_top_of_the_default_give_the_papers_rows(changes: dict, row: str) -> None:
    ours, papers = resolve(replace(DEFAULT, **changes)), resolve(get_recipe(row))
    assert difference(replace(ours, name=row), papers) == []
    assert ours.fingerprint() == papers.fingerprint()


def test_another_optimizer_on_top_of_the_default_gets_its_own_rate() -> None:
    assert resolve(replace(DEFAULT, optimizer="adam")).lr == 1e-3


def test_table_three_changes_one_thing_per_row() -> None:
    recipes = labelled(get_ablation("stitch-mixup/III").rows)
    assert list(recipes) == ["Baseline", "+ cosine decay", "+ label smoothing", "+ mixup",
                             "+ distillation"]  # fmt: skip
    rows = list(recipes.values())
    changed = [{line.split(":")[0] for line in difference(a, b)} - {"name"}
               for a, b in zip(rows, rows[1:])]  # fmt: skip
    assert changed == [
        {"lr_mode", "lr_decay", "lr_decay_epoch", "warmup_epochs"},
        {"label_smoothing", "smoothing_form"},
        {"mixup_type", "mixup_alpha", "num_epochs"},
        {"teacher", "temperature", "hard_weight", "distillation_form"},
    ]


def test_rows_that_tables_share_are_one_recipe() -> None:
    same = [
        ("stitch-I-baseline", "stitch-III-baseline"), ("stitch-II-nag", "stitch-III-baseline"),
        ("stitch-III-mixup", "stitch-V-interp"), ("stitch-III-distill", "stitch-V-interp-distill"),
        ("stitch-III-cosine", "stitch-IV-cosine-30-60-90-warmup-5"),
        ("stitch-IV-poly-30-60-90-warmup-20", "stitch-IV-poly-40-80-warmup-20"),
    ]  # fmt: skip
    for one, other in same:
        assert resolve(RECIPES[one]).fingerprint() == resolve(RECIPES[other]).fingerprint()


def test_label_sets_differ_in_data_set_and_outputs_only() -> None:
    fine = resolve(RECIPES["stitch-V-vertical"])
    coarse = resolve(RECIPES["stitch-V-vertical-coarse"])
    as_run = resolve(RECIPES["stitch-V-vertical-coarse-as-run"])
    outputs = [(r.dataset, r.classes) for r in (fine, coarse, as_run)]
    assert outputs == [("cifar100", 100), ("cifar100-coarse", 20), ("cifar100-coarse", 100)]
    assert {line.split(":")[0] for line in difference(fine, coarse)} == {
        "name", "dataset", "classes",
    }  # fmt: skip
    assert {line.split(":")[0] for line in difference(coarse, as_run)} == {"name", "classes"}


@pytest.mark.parametrize("labels", ["", "-coarse", "-coarse-as-run"])
def test_a_distilled_row_names_the_teacher_of_its_label_set(labels: str) -> None:
    teacher = teacher_recipe(resolve(RECIPES[f"stitch-V-vertical-distill{labels}"]))
    assert teacher is not None
    assert teacher.name == f"stitch-teacher{labels}"
    assert (teacher.lr_mode, teacher.label_smoothing, teacher.warmup_epochs) == ("cosine", 0.1, 20)


def test_step_epochs_count_from_the_warm_up_where_there_is_one() -> None:
    for row in ABLATIONS["stitch-mixup/IV"].rows:
        assert row.recipe is not None
        recipe = resolve(row.recipe)
        assert (recipe.lr_decay_from == "warmup") == (recipe.lr_mode == "step")


def test_unknown_recipes_and_tables_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'stitch-V-vertical'"):
        get_recipe("stitch-V-vertcal")
    with pytest.raises(UsageError, match="did you mean 'stitch-mixup/III'"):
        get_ablation("stitch-mixup-III")


def test_importing_recipes_loads_the_standard_library_only() -> None:
    program = (
        "import sys, gluontricks.recipes; "
        "print([m for m in ('numpy', 'mxnet', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_the_papers_page_names_recipes_and_tables_that_exist() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "papers" / "stitch-mixup.md"
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"`(stitch-(?:[IV]+|text|teacher)[\w-]*)`|--recipe (\S+)", text))
    assert {one or other for one, other in names} <= set(RECIPES)
    assert len(names) > 10
    for link in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (page.parent / link).is_file(), link
