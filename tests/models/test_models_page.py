"""docs/models.md: every network is in its tables, with the size and the cost that it has."""

import re
from pathlib import Path

import pytest

from gluontricks.models import get_model
from gluontricks.models.names import NAMES
from gluontricks.summary import summarize

PAGE = (Path(__file__).parents[2] / "docs/models.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| `(?P<name>[\w.]+)` \| (?P<size>\d+) \| (?P<params>[\d,]+) \| (?P<running>[\d,]+) "
    r"\| (?P<macs>[\d.]+) G \|$",
    re.MULTILINE,
)
ROWS = {row["name"]: row for row in ROW.finditer(PAGE)}
FEW = ("resnet20_v1", "resnet18_v1d", "mobilenet1.0")


def test_the_tables_have_every_network_with_its_size():
    assert {name: int(row["size"]) for name, row in ROWS.items()} == NAMES


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_the_numbers_of_the_tables_are_counted(name):
    row, size = ROWS[name], NAMES[name]
    summary = summarize(get_model(name, classes=100 if size == 32 else 1000), (3, size, size))
    assert int(row["params"].replace(",", "")) == summary["params"]
    assert int(row["running"].replace(",", "")) == summary["running"]
    assert row["macs"] == f"{summary['macs'] / 1e9:.3f}"
