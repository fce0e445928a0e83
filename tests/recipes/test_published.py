"""The printed values: complete, uniquely named, and read as they stand."""

from __future__ import annotations

import csv

import pytest

from gluontricks.errors import DataError, UsageError
from gluontricks.recipes import ABLATIONS, JUDGED_AGAINST, OUT_OF_SCOPE, RECIPES, published
from gluontricks.recipes.derived import DERIVED, FORMULAS, REPEATS
from gluontricks.recipes.published import COLUMNS, FILE, parse_value, read

STITCH = {value.id: value for value in published("stitch-mixup")}


def number(table: str, row: str, metric: str = "top1") -> float:
    return STITCH[f"stitch-mixup/{table}/{row}/{metric}"].number


def test_the_stitch_paper_has_85_printed_values_with_unique_ids() -> None:
    assert len(published("stitch-mixup")) == len(STITCH) == 85
    counts = {t: len(published("stitch-mixup", t)) for t in ("I", "II", "III", "IV", "V", "text")}
    assert counts == {"I": 4, "II": 15, "III": 10, "IV": 12, "V": 12, "text": 32}


def test_an_id_opens_with_its_paper_and_table_and_ends_with_its_metric() -> None:
    for value in read():
        parts = value.id.split("/")
        assert (parts[0], parts[1], parts[-1]) == (value.paper, value.table, value.metric)


def test_numbers_of_the_file_are_what_the_printed_text_says() -> None:
    for value in read():
        assert (value.number, value.low, value.high) == parse_value(value.value), value.id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("74.92", (74.92, None, None)), ("~0.65", (0.65, None, None)), (">120", (None, 120, None)),
        ("<3", (None, None, 3)), ("85-90", (None, 85, 90)), ("4,997,194", (4997194, None, None)),
        ("1.2 million", (1200000, None, None)), ("-", (None, None, None)),
        ("N/A", (None, None, None)), ("Very Low", (None, None, None)),
        ("128,256,512,1024", (None, None, None)), ("7x7 stride 3 padding 2", (None, None, None)),
    ],
)  # fmt: skip
def test_bounds_ranges_and_words_are_told_apart(text: str, expected: tuple) -> None:
    assert parse_value(text) == expected


@pytest.mark.parametrize(
    ("gain", "row", "metric"),
    [
        ("gain-distillation", ("III", "distillation"), "top1"),
        ("gain-distillation", ("III", "distillation"), "top5"),
        ("gain-horizontal", ("V", "horiz-spatial-mixup-with-distill"), "top1"),
        ("gain-horizontal", ("V", "horiz-spatial-mixup-with-distill"), "top5"),
        ("gain-vertical", ("V", "vert-spatial-mixup-with-distill"), "top1"),
        ("gain-vertical", ("V", "vert-spatial-mixup-with-distill"), "top5"),
    ],
)
def test_the_percentages_of_the_text_are_relative_gains(gain: str, row: tuple, metric: str) -> None:
    relative = 100 * (number(*row, metric) / number("III", "baseline", metric) - 1)
    assert round(relative, 3) == number("text", gain, f"{metric}_relative_gain_pct")


def test_the_misprinted_row_is_judged_against_the_baseline_of_table_one() -> None:
    for misprint, other in JUDGED_AGAINST.items():
        assert STITCH[misprint].number != STITCH[other].number
        assert "Misprint" in STITCH[misprint].note
    assert STITCH[JUDGED_AGAINST["stitch-mixup/II/nag-baseline/top1"]].number == 74.92


def test_every_printed_row_of_a_declared_table_has_a_row_or_a_reason() -> None:
    declared = {(a.paper, a.table, row.label) for a in ABLATIONS.values() for row in a.rows}
    recipes = {(a.paper, a.table, row.label) for a in ABLATIONS.values() for row in a.rows
               if row.recipe is not None}  # fmt: skip
    printed = {(value.paper, value.table, value.row) for value in read()}
    follow = {*REPEATS, *DERIVED, *FORMULAS}
    told = {(v.paper, v.table, v.row) for v in read() if v.id in follow}
    assert printed <= declared | told | set(OUT_OF_SCOPE)
    assert declared <= printed, "a row that no paper printed"
    assert set(OUT_OF_SCOPE) <= printed
    assert not recipes & set(OUT_OF_SCOPE)


def test_a_printed_network_is_the_recipes_network() -> None:
    models = {(v.paper, v.table, v.row): v.model for v in read()}
    for ablation in ABLATIONS.values():
        for row in ablation.rows:
            if row.recipe is not None:
                assert models[ablation.paper, ablation.table, row.label] == row.recipe.model


def test_printed_settings_are_the_recipes_settings() -> None:
    last = RECIPES["stitch-V-vertical-distill-coarse-as-run"]
    names = {"epochs_with_mixup": "num_epochs"}
    for value in published("stitch-mixup", "text"):
        if value.row == "recipe" and value.metric != "epochs":
            assert getattr(last, names.get(value.metric, value.metric)) == value.number
    assert RECIPES["stitch-III-baseline"].num_epochs == number("text", "recipe", "epochs")


def test_unknown_papers_and_tables_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'stitch-mixup'"):
        published("stitch-mixpu")
    with pytest.raises(UsageError, match="unknown table 'VI'"):
        published("stitch-mixup", "VI")


def test_an_id_that_stands_twice_is_refused(tmp_path) -> None:
    with open(FILE, newline="", encoding="utf-8") as stream:
        first = list(csv.reader(stream))[1]
    file = tmp_path / "published.csv"
    with open(file, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, first, first])
    with pytest.raises(DataError, match="lines 2 and 3"):
        read(file)
