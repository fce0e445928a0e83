"""The authors' logs beside published rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Dict, Tuple

import pytest

from gluontricks.recipes import ABLATIONS, published
from gluontricks.results import registry
from gluontricks.results.evidence import Evidence, evidence_of
from gluontricks.results.rendering import render_table

RESULTS = Path(__file__).resolve().parents[2] / "results"
RECORDS = registry.load(RESULTS)


def found(table: str) -> Dict[str, Evidence]:
    return evidence_of(ABLATIONS[f"bag-of-tricks/{table}"], RECORDS)


def test_every_row_with_a_log_finds_the_record_of_that_log() -> None:
    for ablation in ABLATIONS.values():
        assert set(evidence_of(ablation, RECORDS)) == set(ablation.logs)
        assert set(ablation.logs) <= {row.label for row in ablation.rows}


# Final values of the logs as GluonCV's authors printed them, and what the margins make of them.
# Inception-V3 was validated on other crops than the paper's, and is not judged.
@pytest.mark.parametrize(
    ("row", "top1", "verdicts"),
    [
        ("ResNet-50-D, + label smoothing", 78.47, ("log agrees", "log agrees")),
        ("ResNet-50-D, + mixup w/o distill", 79.08, ("log agrees", "log agrees")),
        ("Inception-V3, + mixup w/o distill", 78.02, ("", "")),
        ("MobileNet, + label smoothing", 72.96, ("log agrees", "log agrees")),
        ("MobileNet, + mixup w/o distill", 73.08, ("log differs", "log agrees")),
    ],
)
def test_a_log_agrees_within_the_margin(row: str, top1: float, verdicts: Tuple[str, str]) -> None:
    log = found("6")[row]
    printed = {v.metric: v for v in published("bag-of-tricks", "6") if v.row == row}
    assert round(log.value("top1") or 0, 2) == top1
    assert tuple(log.verdict(metric, printed[metric]) for metric in ("top1", "top5")) == verdicts


def test_two_printed_deviations_widen_the_margin() -> None:
    log = found("6")["ResNet-50-D, + label smoothing"]
    printed = next(v for v in published("bag-of-tricks", "6") if v.row.startswith("ResNet-50-D"))
    value = log.value("top1")
    assert value is not None
    for std, off, verdict in ((0.09, 0.19, "agrees"), (0.09, 0.21, "differs"),
                              (0.2, 0.39, "agrees"), (0.2, 0.41, "differs")):  # fmt: skip
        fields = {**vars(printed), "number": value + off, "std": std}
        assert log.verdict("top1", type(printed)(**fields)) == f"log {verdict}"


def test_the_revision_tells_logs_of_one_name_apart() -> None:
    tops = {row: round(log.value("top1") or 0, 2) for row, log in found("4").items()}
    assert tops == {"BS=256, linear scaling": 75.48, "BS=1024, + LR warmup": 76.54}
    assert round(found("5")["ResNet-50"].value("top1") or 0, 2) == 77.33


def test_a_log_of_other_settings_stands_in_parentheses_and_has_no_verdict() -> None:
    table = ABLATIONS["bag-of-tricks/5"]
    markdown, text, _ = render_table(table, RECORDS, published("bag-of-tricks", "5"))
    assert "| (77.33) |" in markdown
    assert "not comparable): cosine decay and label smoothing besides." in markdown
    lines = list(csv.DictReader(io.StringIO(text)))
    assert {line["log_verdict"] for line in lines} == {""}
    assert lines[0]["log"] == "gluoncv-resnet50_v1"
    assert lines[0]["log_value"] == "77.3338"


def test_without_records_of_logs_a_table_has_no_column_for_them() -> None:
    table = ABLATIONS["bag-of-tricks/5"]
    markdown, *_ = render_table(table, [], published("bag-of-tricks", "5"))
    assert "log" not in markdown.splitlines()[2]
    assert "AUTHOR-LOG" not in markdown
