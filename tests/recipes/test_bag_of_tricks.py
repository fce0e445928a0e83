"""Bag of Tricks: its rows as recipes, its printed values, and the hours that a row takes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Dict, Set

import pytest

from gluontricks.data.augment import parse_normalization
from gluontricks.recipes import ABLATIONS, RECIPES, Recipe, published, teacher_recipe
from gluontricks.recipes.bag_of_tricks import OUT_OF_SCOPE
from gluontricks.recipes.catalogue import teacher_names
from gluontricks.recipes.hours import MACS, epoch_time, expected_hours
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import difference, labelled

ROOT = Path(__file__).resolve().parents[2]
VALUES = {value.id: value for value in published("bag-of-tricks")}
BAG = {name: recipe for name, recipe in RECIPES.items() if name.startswith("bag-")}
TABLES = ("2", "3", "4", "5", "6")


def rows(table: str) -> Dict[str, Recipe]:
    return labelled(ABLATIONS[f"bag-of-tricks/{table}"].rows)


def changed(one: Recipe, other: Recipe) -> Set[str]:
    return {line.split(":")[0] for line in difference(one, other)} - {"name"}


def test_all_printed_values_of_the_paper_are_there() -> None:
    counts = {t: len(published("bag-of-tricks", t)) for t in (*"123456789", "text")}
    assert counts == {"1": 18, "2": 12, "3": 18, "4": 20, "5": 16, "6": 36, "7": 8, "8": 14,
                      "9": 21, "text": 21}  # fmt: skip
    assert len(VALUES) == 184


def test_every_printed_row_of_tables_two_to_six_has_a_recipe_but_the_references() -> None:
    for table in TABLES:
        printed = {value.row for value in published("bag-of-tricks", table)}
        without = {row for number, row in OUT_OF_SCOPE if number == table}
        assert printed - without == set(rows(table))
        assert without == ({row for row in printed if "reference" in row})


def test_the_baseline_is_section_two() -> None:
    for table in ("2", "3"):
        for label, recipe in rows(table).items():
            if "baseline" not in label:
                continue
            r = resolve(recipe)
            assert (r.batch_size, r.num_epochs, r.optimizer, r.lr) == (256, 120, "nag", 0.1)
            assert (r.lr_mode, r.lr_decay, r.lr_decay_epoch) == ("step", 0.1, (30, 60, 90))
            assert (r.init, r.dtype, r.shards, r.min_scale) == ("xavier", "float32", 8, 0.08)
            assert (r.flip, r.hue, r.saturation, r.brightness) == (0.5, 0.4, 0.4, 0.4)
            assert (r.contrast, r.lighting) == (0, 0.1)
            assert (r.warmup_epochs, r.no_wd, r.last_gamma) == (0, False, False)
            assert r.label_smoothing == 0
            assert r.input_size == (299 if "Inception" in label else 224)
            assert r.crop_ratio == 224 / 256


def test_images_are_normalised_with_the_papers_constants() -> None:
    mean, std = parse_normalization(BAG["bag-2-resnet50"].normalization, "imagenet")
    assert [255 * v for v in mean] == pytest.approx([123.68, 116.779, 103.939], abs=1e-3)
    assert [255 * v for v in std] == pytest.approx([58.393, 57.12, 57.375], abs=1e-3)
    assert len({recipe.normalization for recipe in BAG.values()}) == 1


def test_the_efficient_setting_has_what_section_three_names() -> None:
    for label, recipe in {**rows("3"), **rows("5")}.items():
        if "baseline" in label:
            continue
        r = resolve(recipe)
        assert (r.batch_size, r.dtype, r.warmup_epochs, r.no_wd) == (1024, "float16", 5, True)
        assert r.lr == 0.1 * 1024 / 256
        assert r.last_gamma == ("ResNet" in label)
        assert (r.lr_mode, r.lr_decay_epoch) == ("step", (30, 60, 90))


@pytest.mark.parametrize("batch", [256, 1024])
def test_table_four_adds_one_heuristic_per_row(batch: int) -> None:
    column = [r for label, r in rows("4").items() if label.startswith(f"BS={batch},")]
    assert [changed(a, b) for a, b in zip(column, column[1:])] == [
        {"warmup_epochs"}, {"last_gamma"}, {"no_wd"}, {"dtype"},
    ]  # fmt: skip
    assert {(r.batch_size, r.lr) for r in column} == {(batch, 0.1 * batch / 256)}
    assert len(column) == 5


def test_table_five_changes_the_network_only() -> None:
    first, *others = rows("5").values()
    assert [changed(first, other) for other in others] == [{"model"}] * 3
    assert [r.model[-1] for r in others] == ["b", "c", "d"]


@pytest.mark.parametrize("network", ["ResNet-50-D", "Inception-V3", "MobileNet"])
def test_table_six_stacks_the_refinements(network: str) -> None:
    found = {label.split(", ")[1]: r for label, r in rows("6").items() if network in label}
    start, cosine, smooth, distill, mixup, both = found.values()
    assert list(found) == [
        "efficient", "+ cosine decay", "+ label smoothing", "+ distill w/o mixup",
        "+ mixup w/o distill", "+ distill w/ mixup",
    ]  # fmt: skip
    assert changed(start, cosine) == {"lr_mode", "lr_decay", "lr_decay_epoch", "lr_decay_from"}
    assert changed(cosine, smooth) == {"label_smoothing", "smoothing_form"}
    assert changed(smooth, distill) == {"teacher", "temperature", "distillation_form"}
    assert changed(smooth, mixup) == {"mixup_type", "mixup_alpha", "num_epochs"}
    assert changed(mixup, both) == {"teacher", "temperature", "distillation_form"}
    assert changed(distill, both) == {"mixup_type", "mixup_alpha", "num_epochs"}
    assert (both.temperature, both.mixup_alpha, both.label_smoothing) == (20, 0.2, 0.1)
    assert (smooth.num_epochs, mixup.num_epochs) == (120, 200)
    assert (both.distillation_form, both.smoothing_form) == ("paper", "paper")


def test_distilled_rows_name_their_teacher_which_knows_mixup_if_they_do() -> None:
    distilled = {name: recipe for name, recipe in BAG.items() if recipe.teacher}
    assert len(distilled) == 7
    for name, recipe in distilled.items():
        wanted = "bag-teacher-mixup" if recipe.mixup_type == "mixup" else "bag-teacher"
        assert teacher_names()[name] == wanted
        for renamed in (recipe, replace(recipe, name="mine")):
            teacher = teacher_recipe(resolve(renamed))
            assert teacher is not None
            assert teacher.name == wanted
    for name in ("bag-teacher", "bag-teacher-mixup"):
        teacher = BAG[name]
        assert (teacher.model, teacher.lr_mode, teacher.label_smoothing) == (
            "resnet152_v1d", "cosine", 0.1)  # fmt: skip
        assert teacher.lr == 0.1 * teacher.batch_size / 256
    assert (BAG["bag-teacher"].mixup_type, BAG["bag-teacher-mixup"].mixup_type) == ("none", "mixup")


def test_rows_that_tables_share_are_one_recipe() -> None:
    for one, other in (
        ("bag-2-resnet50", "bag-3-resnet50-baseline"), ("bag-2-resnet50", "bag-4-256-linear"),
        ("bag-3-resnet50-efficient", "bag-4-1024-fp16"),
        ("bag-3-resnet50-efficient", "bag-5-resnet50"),
        ("bag-5-resnet50d", "bag-6-resnet50d-efficient"),
        ("bag-3-mobilenet-efficient", "bag-6-mobilenet-efficient"),
    ):  # fmt: skip
        assert resolve(RECIPES[one]).fingerprint() == resolve(RECIPES[other]).fingerprint()


@pytest.mark.parametrize(
    ("better", "worse", "gain"),
    [
        ("5/resnet-50-b", "5/resnet-50", "gain-resnet-50-b"),
        ("5/resnet-50-c", "5/resnet-50-b", "gain-resnet-50-c"),
        ("5/resnet-50-d", "5/resnet-50-c", "gain-resnet-50-d"),
        ("5/resnet-50-d", "5/resnet-50", "gain-all-tweaks"),
        ("3/resnet-50-efficient", "3/resnet-50-baseline", "gain-batch-1024-and-fp16"),
        ("4/bs-256-linear-scaling", "4/bs-1024-linear-scaling", "loss-linear-scaling-alone"),
    ],
)
def test_the_notes_on_the_texts_gains_are_differences_of_the_tables(
    better: str, worse: str, gain: str
) -> None:
    found = next(v for v in VALUES.values() if v.id.startswith(f"bag-of-tricks/text/{gain}/"))
    one, other = (VALUES[f"bag-of-tricks/{row}/top1"].number for row in (better, worse))
    assert one is not None
    assert other is not None
    assert f"{one - other:.2f}" in found.note


def test_the_theoretical_gap_follows_from_equation_five() -> None:
    printed = VALUES["bag-of-tricks/text/theoretical-gap/logit_gap"]
    assert round(math.log(999 * 0.9 / 0.1), 1) == printed.number


def test_values_that_the_paper_prints_twice_are_noted_where_they_differ() -> None:
    for one, other in (
        ("5/resnet-50-d/top1", "6/resnet-50-d-efficient/top1"),
        ("3/mobilenet-efficient/top5", "6/mobilenet-efficient/top5"),
        ("1/resnet-50/flops_G", "5/resnet-50/flops_G"),
        ("1/resnet-50-tricks/top1", "6/resnet-50-d-distill-with-mixup/top1"),
    ):
        first, second = (VALUES[f"bag-of-tricks/{name}"] for name in (one, other))
        assert first.number != second.number
        assert second.value in first.note
        assert first.value in second.note


# Hours, computed by hand: epochs x seconds / 3600.
@pytest.mark.parametrize(
    ("name", "hours", "source"),
    [
        ("bag-3-resnet50-efficient", 120 * 4.4 / 60, "Table 3"),
        ("bag-2-mobilenet", 120 * 6.2 / 60, "Table 3"),
        ("bag-6-inceptionv3-mixup", 200 * 8 / 60, "Table 3"),
        ("bag-5-resnet50d", 120 * 265.7 / 3600, "resnet50_v1d.log"),
        ("bag-4-1024-warmup", 120 * 469.5 / 3600, "revision 79a5977f"),
        ("bag-teacher-mixup", 200 * 1757.2 / 3600, "resnet152_v1d-mixup.log"),
        (
            "bag-6-resnet50d-distill",
            120 * (265.7 + 4.4 * 60 * 11.753 / 3.858 / 3) / 3600,
            "times 3.05 by multiply-adds",
        ),
        (
            "bag-6-inceptionv3-mixup-distill",
            200 * (8 * 60 + 4.4 * 60 * 11.753 / 3.858 * (299 / 224) ** 2 / 3) / 3600,
            "forward pass of resnet152_v1d: a third",
        ),
    ],
)
def test_hours_follow_from_published_times(name: str, hours: float, source: str) -> None:
    found = expected_hours(RECIPES[name])
    assert found is not None
    assert found.value == pytest.approx(hours)
    assert source in found.source


def test_hours_without_a_time_are_scaled_by_multiply_adds_or_not_known() -> None:
    found = epoch_time("densenet201", "float32", 256, 224)
    assert found is not None
    assert found[0] == pytest.approx(13.3 * 60 * 4.291 / 3.858)
    assert expected_hours(RECIPES["stitch-I-baseline"]) is None
    assert expected_hours(replace(BAG["bag-2-resnet50"], dtype="bfloat16")) is None
    assert expected_hours(replace(BAG["bag-2-resnet50"], model="resnet18_v1s")) is None
    small = expected_hours(replace(BAG["bag-2-resnet50"], input_size=112))
    assert small is not None
    assert small.value == pytest.approx(120 * 13.3 / 60 / 4)


def test_every_recipe_of_the_paper_has_hours() -> None:
    assert all(expected_hours(recipe) is not None for recipe in BAG.values())


def test_multiply_adds_are_the_golden_ones() -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "complexity.json").read_text())
    known = {row["model"]: row["macs"] for row in golden["imagenet"] if "macs" in row}
    assert {name: known[name] for name in MACS} == dict(MACS)


def test_the_papers_page_names_recipes_that_exist_and_their_hours() -> None:
    text = (ROOT / "docs" / "papers" / "bag-of-tricks.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| [^|]+ \| `(bag-[\w-]+)` \| (\d+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert {name for name, _, _ in listed} == set(BAG)
    for name, epochs, hours in listed:
        expected = expected_hours(BAG[name])
        assert expected is not None
        assert (int(epochs), hours) == (BAG[name].num_epochs, f"{expected.value:.1f}")
    assert set(re.findall(r"--recipe (\S+)", text)) <= set(RECIPES)
