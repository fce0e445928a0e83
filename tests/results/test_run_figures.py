"""Pictures of a table's runs, and of stitching."""

from __future__ import annotations

import csv
import io

import pytest

from gluontricks.figures import runs, stitching


def rows_of(picture):
    return list(csv.DictReader(io.StringIO(picture.csv)))


def test_stitching_is_drawn_as_the_paper_defines_it() -> None:
    # P = lambda L of the first image, (1 - lambda) L of the other: 20 and 12 of 32.
    boxes = {(r["stitching"], r["image"]): r for r in rows_of(stitching.picture())}
    upper, lower = boxes["vertical", "0"], boxes["vertical", "1"]
    assert (upper["top"], upper["bottom"], lower["top"], lower["bottom"]) == ("0", "20", "20", "32")
    assert {upper["left"], lower["left"]} == {"0"}
    assert {upper["right"], lower["right"]} == {"32"}
    left, right = boxes["horizontal", "0"], boxes["horizontal", "1"]
    assert (left["left"], left["right"], right["left"], right["right"]) == ("0", "20", "20", "32")
    assert {float(r["weight"]) for r in boxes.values()} == {0.625, 0.375}


def test_the_stitching_picture_is_drawn_alike_twice() -> None:
    assert stitching.picture().draw() == stitching.picture().draw()
    assert stitching.picture().draw().startswith(b"<?xml")


def test_a_table_has_a_picture_once_three_of_its_lines_ran(record) -> None:
    names = ("baseline", "cosine", "smoothing")
    records = [record(f"stitch-III-{n}-reduced", s, 30.0 + s) for n in names for s in range(2)]
    found = {picture.name: picture for picture in runs.pictures(records)}
    assert "stitch-mixup-table-3-reduced" in found
    assert "stitch-mixup-table-3" not in found
    rows = rows_of(found["stitch-mixup-table-3-reduced"])
    assert len(rows) == 6
    assert {(row["labels"], row["setting"]) for row in rows} == {("fine", "mxnet, cpu, float32")}
    assert [row["top1"] for row in rows if row["row"] == "Baseline"] == ["30", "31"]
    assert "stitch-mixup-table-3-reduced" not in {p.name for p in runs.pictures(records[:4])}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_picture_of_runs_is_the_same_bytes_for_the_same_records(record, count: int) -> None:
    names = ("baseline", "cosine", "smoothing")
    records = [record(f"stitch-III-{n}-reduced", s, 30.0 + s) for n in names for s in range(count)]
    (one,) = [p for p in runs.pictures(records) if p.name == "stitch-mixup-table-3-reduced"]
    (two,) = [p for p in runs.pictures(records[::-1]) if p.name == "stitch-mixup-table-3-reduced"]
    assert one.csv == two.csv
    assert one.draw() == two.draw()
