"""Costs of networks: printed values beside counted ones, and what is kept of the counting."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from gluontricks.errors import IntegrityError
from gluontricks.recipes import Published
from gluontricks.results import complexity
from gluontricks.results.complexity import Cost

ROOT = Path(__file__).resolve().parents[2]
KEPT = complexity.load(ROOT / "results")
GOLDEN = json.loads((ROOT / "tests" / "golden" / "complexity.json").read_text())["imagenet"]


def cost(printed: str, count, metric: str = "flops_G") -> Cost:
    value = Published("i", "bag-of-tricks", "1", "r", "imagenet", "m", metric, printed)
    return Cost(value, count)


@pytest.mark.parametrize(
    ("printed", "count", "status"),
    [
        ("3.9", 3_858_000_000, "exact"), ("3.8", 3_858_000_000, "differs"),
        ("4.3", 4_233_000_000, "differs"), ("3.9", 3_850_000_000, "exact"),
        ("3.9", 3_949_999_999, "exact"), ("3.9", 3_950_000_000, "differs"),
        ("3.90", 3_858_000_000, "differs"), ("4", 3_858_000_000, "exact"),
        ("3.9", None, "not implemented"),
    ],
)  # fmt: skip
def test_a_printed_value_is_exact_if_ours_rounds_to_its_digits(printed, count, status) -> None:
    assert cost(printed, count).status == status


def test_25_million_are_not_what_25_58_million_round_to() -> None:
    assert cost("25", 25_576_264, "params_M").status == "differs"
    assert cost("26", 25_576_264, "params_M").status == "exact"


def statuses(table: str) -> dict:
    return {(c.printed.row, c.printed.metric): c.status for c in complexity.costs(KEPT, table)}


def test_table_one_says_exact_but_for_the_se_resnext() -> None:
    found = statuses("1")
    assert len(found) == 6
    assert {row for (row, _), status in found.items() if status != "exact"} == {"SE-ResNeXt-50"}


def test_table_five_differs_in_the_parameters_and_in_the_first_rows_flops() -> None:
    found = statuses("5")
    assert {s for (_, metric), s in found.items() if metric == "params_M"} == {"differs"}
    flops = {row: s for (row, metric), s in found.items() if metric == "flops_G"}
    assert flops == {"ResNet-50": "differs", "ResNet-50-B": "exact", "ResNet-50-C": "exact",
                     "ResNet-50-D": "exact"}  # fmt: skip


def test_one_network_has_two_printed_costs_and_one_of_ours() -> None:
    files = complexity.render(KEPT)
    one, five = (files[f"bag-of-tricks-table-{t}-costs.md"] for t in "15")
    assert "| 3.9 G | 3.858 G | exact |" in one
    assert "| 3.8 G | 3.858 G | differs |" in five
    assert "3.9 G here and 3.8 G in Table 5" in one


def test_the_csv_has_every_digit_and_the_permanent_ids() -> None:
    text = complexity.render(KEPT)["bag-of-tricks-table-5-costs.csv"]
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 8
    row = rows["bag-of-tricks/5/resnet-50-d/params_M"]
    assert (row["published"], row["ours"], row["status"]) == ("25", "25576264", "differs")


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["model"])
def test_what_is_kept_agrees_with_the_known_complexity(row) -> None:
    (kept,) = [k for k in KEPT["networks"] if k["model"] == row["model"]]
    assert (kept["params"], kept["size"]) == (row["params"], row["size"])
    assert kept["running"] == row.get("running", kept["running"])
    if "macs" in row:
        assert kept["macs"] / row["unit"] == pytest.approx(row["macs"], abs=6e-4)


def test_what_is_kept_is_written_as_it_was_read() -> None:
    assert complexity.to_json(KEPT) == (ROOT / "results" / complexity.FILE).read_text()


def test_without_a_count_there_is_no_table_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    assert complexity.load(tmp_path) is None
    for text in ("{}", "[1]", "{", '{"schema": "gluontricks.complexity/1", "networks": [{}]}'):
        (tmp_path / complexity.FILE).write_text(text)
        with pytest.raises(IntegrityError, match=r"make_complexity\.py"):
            complexity.load(tmp_path)


def test_the_networks_still_have_the_layers_and_costs_that_are_kept() -> None:
    from gluontricks.counting import DRAWN, cost, layers_of

    rows = {row["model"]: row for row in KEPT["networks"]}
    for model in DRAWN:
        assert cost(model) == rows[model]
        assert layers_of(model) == KEPT["layers"][model]


@pytest.mark.slow
def test_counting_everything_anew_changes_no_byte() -> None:
    from gluontricks.counting import complexity as counted

    assert complexity.to_json(counted()) == (ROOT / "results" / complexity.FILE).read_text()
