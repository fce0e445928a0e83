"""Tables: what stands in which cell, and that the same records give the same bytes."""

from __future__ import annotations

import csv
import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

from gluontricks.recipes import ABLATIONS, DEMO, published
from gluontricks.results import registry
from gluontricks.results.make import all_tables, stale_tables, write_tables
from gluontricks.results.rendering import render_table

ROOT = Path(__file__).resolve().parents[2]
TABLE = ABLATIONS["stitch-mixup/III"]
PRINTED = published("stitch-mixup", "III")
SCRIPT = ROOT / "scripts" / "make_tables.py"


def lines_of(records, table=TABLE, printed=PRINTED, **options) -> list:
    _, text, _ = render_table(table, records, printed, **options)
    return list(csv.DictReader(io.StringIO(text)))


def measured(records, **options) -> list:
    return [line for line in lines_of(records, **options) if line["ours_mean"]]


def test_without_records_every_row_is_there_and_says_not_run() -> None:
    markdown, *_ = render_table(TABLE, [], PRINTED)
    lines = lines_of([])
    assert len(lines) == 5 * 3 * 2
    assert {line["label"] for line in lines} == {"NOT RUN"}
    assert markdown.count("| not run |") == 30
    assert "81.42" not in markdown
    assert markdown.count("| 74.92 |") == 1, "compared with one label set"
    assert markdown.count("| (74.92) |") == 2


def test_a_cell_holds_mean_deviation_and_number_of_its_seeds(record) -> None:
    records = [record("stitch-III-mixup", s, top1) for s, top1 in enumerate((78.0, 79.0, 81.0))]
    (top1, top5) = measured(records)
    assert (top1["row"], top1["labels"], top1["label"]) == ("+ mixup", "fine", "MEASURED-FULL")
    assert (top1["ours_mean"], top1["ours_std"]) == ("79.3333", "1.5275")
    assert (top1["runs"], top1["seeds"]) == ("3", "0 1 2")
    assert (top5["ours_mean"], top5["published"]) == ("95.0000", "95.18")
    markdown, *_ = render_table(TABLE, records, PRINTED)
    assert "| (79.10) | 79.33 ± 1.53 (3 runs) |" in markdown


def test_one_run_has_no_deviation(record) -> None:
    markdown, *_ = render_table(TABLE, [record("stitch-III-mixup", 0, 78.0)], PRINTED)
    assert "| 78.00 (1 run) |" in markdown


def test_a_shared_recipe_fills_its_row_in_every_table(record) -> None:
    records = [record("stitch-V-interp-coarse-as-run", 0, 79.0)]
    assert [line["row"] for line in measured(records)] == ["+ mixup", "+ mixup"]
    five = ABLATIONS["stitch-mixup/V"]
    rows = measured(records, table=five, printed=published("stitch-mixup", "V"))
    assert [line["row"] for line in rows] == ["Interp. Mixup", "Interp. Mixup"]
    assert {line["compared"] for line in rows} == {"yes"}


def test_engines_devices_and_precisions_are_never_pooled(record) -> None:
    settings = [{}, {"engine": "pytorch"}, {"dtype": "bfloat16"}, {"device": "cuda:0"}]
    records = [record("stitch-III-mixup", 0, 70.0 + i, **s) for i, s in enumerate(settings)]
    lines = [line for line in measured(records) if line["metric"] == "top1"]
    assert sorted((line["engine"], line["device"], line["dtype"], line["ours_mean"], line["runs"])
                  for line in lines) == [
        ("mxnet", "cpu", "bfloat16", "72.0000", "1"), ("mxnet", "cpu", "float32", "70.0000", "1"),
        ("mxnet", "cuda", "float32", "73.0000", "1"),
        ("pytorch", "cpu", "float32", "71.0000", "1"),
    ]  # fmt: skip


def test_reduced_smoke_and_stopped_runs_stay_out(record) -> None:
    records = [
        record("stitch-III-mixup", 0, scale="reduced"),
        record("stitch-III-mixup", 1, scale="smoke"),
        record("stitch-III-mixup", 2, status="stopped"), record("stitch-III-mixup", 3, lr=0.2),
        record("demo-digits-plain"),
    ]  # fmt: skip
    assert measured(records) == []
    liar = record("stitch-III-mixup", 4, scale="reduced")
    liar["label"] = "MEASURED-FULL"
    assert measured([liar]) == []


def test_label_sets_never_share_a_cell(record) -> None:
    names = ("stitch-III-mixup", "stitch-III-mixup-coarse", "stitch-III-mixup-coarse-as-run")
    lines = measured([record(name, 0, 70.0 + i) for i, name in enumerate(names)])
    top1 = {line["labels"]: line["ours_mean"] for line in lines if line["metric"] == "top1"}
    assert top1 == {"fine": "70.0000", "coarse": "71.0000", "coarse-as-run": "72.0000"}


def test_the_first_run_of_a_seed_counts_and_the_other_is_said(record) -> None:
    first = record("stitch-III-mixup", 0, 78.0, ended="2026-01-02T00:00:00Z")
    second = record("stitch-III-mixup", 0, 80.0, ended="2026-01-03T00:00:00Z")
    lines = measured([second, first])
    assert {line["ours_mean"] for line in lines} == {"78.0000", "95.0000"}
    markdown, *_ = render_table(TABLE, [second, first], PRINTED)
    assert f"Run {second['run_id']} repeats a seed" in markdown


def test_failed_runs_and_teachers_are_said_under_the_table(record) -> None:
    records = [
        record("stitch-III-distill", 0, 80.0),
        record("stitch-III-distill", 1, None, status="diverged", reason="loss is nan at step 9"),
    ]
    markdown, *_ = render_table(TABLE, records, PRINTED)
    assert "seed 1: diverged: loss is nan at step 9." in markdown
    assert "taught by resnext29" in markdown
    assert "abababababab... (1 run)" in markdown


def test_a_run_of_another_version_of_a_row_is_left_out_and_said(record) -> None:
    old = record("stitch-III-mixup", 0, 78.0, wd=5e-4)
    old["rows"] = ["stitch-mixup/III/+ mixup/fine"]
    markdown, *_ = render_table(TABLE, [old], PRINTED)
    assert measured([old]) == []
    assert f"Run {old['run_id']} is of another version" in markdown


def test_damaged_records_are_left_out_and_said(record) -> None:
    broken = record("stitch-III-mixup", 0, 78.0)
    del broken["metrics"]["top1"]
    markdown, *_ = render_table(TABLE, [broken, {}, {"run_id": "<b>"}], PRINTED)
    assert measured([broken, {}, {"run_id": "<b>"}]) == []
    assert markdown.count("is not valid and is left out") == 3
    assert "&lt;b&gt;" in markdown


def test_the_order_of_records_does_not_change_a_byte(record) -> None:
    records = [record(name, seed, 70.0 + seed / 3, engine=engine)
               for name in ("stitch-III-mixup", "stitch-III-distill")
               for engine in ("mxnet", "pytorch") for seed in range(4)]  # fmt: skip
    first = render_table(TABLE, records, PRINTED)
    random.Random(1).shuffle(records)
    assert render_table(TABLE, records, PRINTED) == first


def test_hostile_words_of_a_record_are_shown_and_do_nothing(record) -> None:
    bad = record("stitch-III-mixup", 0, 78.0, engine="<script>x</script>|`a`[b](c)\n# d\x1b[0m")
    bad["hardware"]["cpu"] = "<img src=x onerror=alert(1)>|\n\n| a | b |"
    markdown, *_ = render_table(TABLE, [bad], PRINTED)
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "\x1b" not in markdown
    body = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert len(body) == 15 + 2
    assert len({line.replace("\\|", "").count("|") for line in body}) == 1
    (line, _) = measured([bad])
    assert "\n" not in line["engine"]


def test_seconds_per_epoch_are_the_median_without_the_first(record) -> None:
    two = ABLATIONS["stitch-mixup/II"]
    rows = measured([record("stitch-II-adam")], table=two, printed=published("stitch-mixup", "II"))
    assert {r["metric"]: r["ours_mean"] for r in rows}["seconds_per_epoch"] == "32.000"


def test_a_demonstration_has_a_table_of_its_own_label(record) -> None:
    records = [record("demo-digits-plain", 0, 96.5)]
    markdown, *_ = render_table(DEMO, records, (), label="SMOKE")
    assert "96.50 (1 run)" in markdown
    columns = "row | labels | top-1, ours | top-5, ours | protocol | label"
    heading = f"| {columns} | engine, device, precision |"
    assert heading in markdown.splitlines()
    assert "](" not in markdown, "no page has its runs"
    assert "96.50" not in render_table(DEMO, records, ())[0]


def test_a_table_without_published_values_has_no_columns_for_them() -> None:
    markdown, *_ = render_table(DEMO, [], ())
    assert "published" not in markdown.lower()
    heading, align = markdown.splitlines()[2:4]
    assert heading.count("|") == align.count("|") == 7
    assert "top-1, ours | top-5, ours" in heading


def test_the_committed_tables_are_what_the_committed_records_give() -> None:
    assert stale_tables(ROOT / "results") == []


def test_tables_regenerate_byte_identically_from_a_registry(finished, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for seed in range(3):
        registry.add(finished("stitch-III-mixup", seed, top1=78.0 + seed), results, writer="a")
    assert len(write_tables(results)) == len(ABLATIONS) * 3 + 6, "the account, repositories"
    assert write_tables(results) == []
    written = {p.name: p.read_text() for p in (results / "tables").iterdir()}
    assert written == all_tables(results)
    assert "79.00 ± 1.00 (3 runs)" in written["stitch-mixup-table-3.md"]


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_script_says_whether_tables_are_fresh(finished, tmp_path, hash_seed: str) -> None:
    results = tmp_path / "results"
    registry.add(finished("stitch-III-mixup", 0, top1=78.0), results, writer="a")

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(SCRIPT), "--results", str(results), *words]
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    assert run("--check").returncode == 1
    assert not (results / "tables").exists()
    assert run().returncode == 0
    assert run("--check").returncode == 0
    table = results / "tables" / "stitch-mixup-table-3.md"
    assert table.read_text() == all_tables(results)[table.name]
    table.write_text(table.read_text().replace("78.00", "78.01"))
    stale = run("--check")
    assert (stale.returncode, stale.stdout) == (1, "stale: tables/stitch-mixup-table-3.md\n")


def test_the_readme_has_its_table_between_two_marks_and_nothing_else_changes(record) -> None:
    from gluontricks.results.excerpt import CLOSING, NAME, OPENING, with_excerpt

    opening = OPENING.format(name=NAME)
    readme = f"# a\n\n{opening}\nold\n{CLOSING}\n\nb {CLOSING}\n"
    records = [record("stitch-V-vertical-reduced", s, 40.0 + s) for s in range(2)]
    new = with_excerpt(readme, records)
    assert new.startswith(f"# a\n\n{opening}\n| [Table V]")
    assert new.endswith(f"{CLOSING}\n\nb {CLOSING}\n")
    assert "| Vert. Spatial Mixup | 40.50 ± 0.71 (2 runs) | not run |" in new
    assert with_excerpt(new, records) == new
    assert with_excerpt("# without a place\n", records) == "# without a place\n"


def test_a_readme_that_is_stale_is_written_with_the_tables(finished, tmp_path) -> None:
    from gluontricks.results.excerpt import CLOSING, NAME, OPENING

    results = tmp_path / "results"
    (tmp_path / "README.md").write_text(f"{OPENING.format(name=NAME)}\n{CLOSING}\n")
    registry.add(finished("stitch-V-interp-reduced", top1=36.0), results, writer="a")
    assert "README.md" in stale_tables(results)
    write_tables(results)
    assert "| Interp. Mixup | 36.00 (1 run) | not run |" in (tmp_path / "README.md").read_text()
    assert stale_tables(results) == []
