"""The account of the printed values: complete, each with one status of the closed list."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from gluontricks.cli import main
from gluontricks.recipes import ABLATIONS, OUT_OF_SCOPE, published
from gluontricks.recipes.catalogue import EXCEPTIONS
from gluontricks.recipes.cifar10_resnets import parameters
from gluontricks.recipes.derived import DERIVED, FORMULAS, REPEATS
from gluontricks.recipes.external import LABEL, external
from gluontricks.results import complexity, registry
from gluontricks.results.account import MEANING, STATUSES, account, by_status, by_table

RESULTS = Path(__file__).resolve().parents[2] / "results"
COUNTS = complexity.load(RESULTS)


def statuses(records=()):
    return {entry.value.id: entry for entry in account(records, COUNTS)}


def test_the_account_holds_the_354_printed_values_of_five_papers_once_each() -> None:
    entries = account([], COUNTS)
    ids = [entry.value.id for entry in entries]
    assert len(ids) == len(set(ids)) == 354
    assert Counter(value.paper for value in published()) == {
        "bag-of-tricks": 184, "stitch-mixup": 85, "cifar10-resnets": 43, "tiny-imagenet": 33,
        "imagenette": 9,
    }  # fmt: skip
    assert sum(by_status(entries).values()) == 354
    assert sum(sum(counts.values()) for counts in by_table(entries).values()) == 354


def test_every_status_is_one_of_the_closed_list_and_has_a_reason() -> None:
    assert set(MEANING) == set(STATUSES)
    for entry in account(registry.load(RESULTS), COUNTS):
        assert entry.status in STATUSES, entry.value.id
        assert entry.reason or entry.status == "not reported by the authors", entry.value.id
    reasons = [*OUT_OF_SCOPE.values(), *EXCEPTIONS.values()]
    assert {why.partition(": ")[0] for why in reasons} <= set(STATUSES)
    assert all(why.partition(": ")[2] for why in reasons)
    assert set(EXCEPTIONS) <= {value.id for value in published()}


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("bag-of-tricks/5/resnet-50-d/flops_G", "exact"),
        ("bag-of-tricks/5/resnet-50/params_M", "differs"),
        ("bag-of-tricks/text/recipe/temperature", "recipe setting"),
        ("stitch-mixup/text/gain-abstract/top1_relative_gain_pct", "recomputed"),
        ("bag-of-tricks/2/resnet-50-reference/top1", "quoted from others"),
        ("stitch-mixup/II/nadam/top5", "not reported by the authors"),
        ("cifar10-resnets/1/row-7/test_acc_frac", "not reported by the authors"),
        ("cifar10-resnets/1/row-9/test_acc_frac", "not run"),
        ("cifar10-resnets/text/final-model/params", "exact"),
        ("cifar10-resnets/text/final-model/blocks", "recipe setting"),
        ("tiny-imagenet/text/final-ensemble/test_top1_error", "out of scope"),
        ("tiny-imagenet/text/final-ensemble/val_top1_error_frac", "not run"),
        ("imagenette/text/a-shift-by-one-pixel/prob_correct_after", "quoted from others"),
        ("stitch-mixup/V/vert-spatial-mixup/top1", "not run"),
    ],
)  # fmt: skip
def test_without_any_record_a_value_has_the_status_of_its_kind(key: str, status: str) -> None:
    found = {k: v for k, v in statuses().items() if k == key}
    assert found, key
    assert found[key].status == status


def test_a_full_run_goes_before_a_log_and_a_reduced_run_and_those_stay_as_evidence(record) -> None:
    key = "bag-of-tricks/6/resnet-50-d-label-smoothing/top1"
    logs = registry.load(RESULTS)
    assert statuses(logs)[key].status == "log agrees"
    assert dict(statuses(logs)[key].evidence)["AUTHOR-LOG"].startswith("78.47")
    key = "stitch-mixup/III/mixup/top1"
    reduced = record("stitch-III-mixup-reduced", 0, 30.0)
    found = statuses([reduced])[key]
    assert (found.status, found.reason) == ("measured reduced", "fine 30.00 (1 run, mxnet)")
    full = record("stitch-III-mixup-coarse-as-run", 0, 79.0)
    found = statuses([reduced, full])[key]
    assert (found.status, found.reason) == ("measured in full", "79.00 (1 run, mxnet)")
    assert dict(found.evidence)["MEASURED-REDUCED"] == "fine 30.00 (1 run, mxnet)"


def test_a_run_on_labels_that_the_paper_is_not_compared_in_measures_no_published_value(
    record,
) -> None:
    key = "stitch-mixup/III/mixup/top1"
    assert statuses([record("stitch-III-mixup", 0, 60.0)])[key].status == "not run"


def test_a_row_that_is_not_run_names_the_recipe_that_would_run_it() -> None:
    reason = statuses()["stitch-mixup/V/vert-spatial-mixup/top1"].reason
    assert reason == "recipe stitch-V-vertical-coarse-as-run"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        # The contradictions that the papers have, by hand from their tables.
        ("bag-of-tricks/text/loss-linear-scaling-alone/top1_loss",
         "does not follow: 75.87 - 75.17 = 0.70"),
        ("bag-of-tricks/text/gain-batch-1024-and-fp16/top1_gain",
         "does not follow: 76.21 - 75.87 = 0.34"),
        ("bag-of-tricks/text/gain-resnet-50-b/top1_gain", "follows: 76.66 - 76.21 = 0.45"),
        ("stitch-mixup/text/gain-warmup-20/top1_relative_gain_pct",
         "does not follow: 100 x (76.99 / 74.92 - 1) = 2.762947"),
        ("stitch-mixup/text/gain-abstract/top1_relative_gain_pct",
         "follows: 100 x (80.71 / 74.92 - 1) = 7.7282"),
        ("bag-of-tricks/text/theoretical-gap/logit_gap", "follows: log(999 x 0.9 / 0.1) = 9.104"),
    ],
)  # fmt: skip
def test_a_value_that_is_said_to_follow_from_others_is_calculated_anew(key: str, told: str) -> None:
    found = statuses()[key]
    assert (found.status, found.reason) == ("recomputed", told)


def test_every_recomputed_value_tells_whether_it_follows() -> None:
    told = [entry.reason for entry in statuses().values() if entry.status == "recomputed"]
    assert len(told) == len(DERIVED) + len(FORMULAS) == 20
    assert sum(reason.startswith("does not follow: ") for reason in told) == 3


def test_a_value_that_is_printed_again_has_the_status_of_the_first(record) -> None:
    by_id = {value.id: value for value in published()}
    for key, first in REPEATS.items():
        again, once = by_id[key], by_id[first]
        number = once.number * (100 if once.metric.endswith("_frac") else 1)
        digits = len(again.value.partition(".")[2])
        assert abs(number - again.number) <= 0.5 * 10.0 ** -min(digits, 2)
    made = record("bag-6-resnet50d-mixup-distill", 0, 79.3)
    made["data"].update(n_train=1_281_167, n_eval=50_000)
    full = statuses([made])
    for key in (
        "bag-of-tricks/1/resnet-50-tricks/top1",
        "bag-of-tricks/text/abstract-resnet-50-after/top1",
    ):
        assert statuses()[key].status == "not run"
        assert full[key].status == "measured in full"
    assert full["bag-of-tricks/text/abstract-resnet-50-after/top1"].reason.endswith(
        "(bag-of-tricks/1/resnet-50-tricks/top1 again)"
    )


@pytest.mark.parametrize(
    ("blocks", "stem", "count"),
    [
        ("[[Basic,3,64,0.1],[Basic,5,128,0.1],[Bottleneck,26,256,0.1],[Bottleneck,5,512,0.1]]",
         5, 4_997_194),
        ("[[Basic,2,64,0.1,2],[Basic,2,128,0.1,2],[Basic,2,256,0.1,2],[Basic,2,512,0.1,2]]",
         3, 5_069_130),
        ("[[Basic,3,64,0.1],[Basic,5,128,0.1],[Bottleneck,9,256,0.1],[Bottleneck,9,512,0.1]]",
         5, 4_920_650),
        ("[[Bottleneck,2,128,null],[Bottleneck,6,256,null],[Bottleneck,6,512,null],"
         "[Bottleneck,2,1024,null]]", 3, 4_902_794),
    ],
)  # fmt: skip
def test_parameters_follow_from_a_list_of_blocks_as_the_authors_code_counts_them(
    blocks, stem, count
) -> None:
    # The first two are printed in the paper, the others in the authors' repository.
    assert parameters(blocks, stem) == count


def test_the_94_values_of_repositories_stand_apart_under_their_own_label() -> None:
    values = external()
    assert len({value.id for value in values}) == len(values) == 94
    assert {value.paper for value in values} == {"imagenette", "cifar10-resnets"}
    assert not {value.id for value in values} & {value.id for value in published()}
    best = next(v for v in values if v.id == "imagenette/external-leaderboard/128px-5ep/val_top1")
    assert (best.number, best.runs) == (87.43, 5)
    runs = next(v for v in values if v.id.endswith("osmulski-final-blur/val_top1_runs"))
    mean = next(v for v in values if v.id.endswith("osmulski-final-blur/val_top1_frac"))
    single = [float(text) for text in runs.value.split(";")]
    assert sum(single) / len(single) == pytest.approx(mean.number, abs=1e-5)
    text = (RESULTS / "tables" / "author-repositories.csv").read_text()
    assert text.count(f",{LABEL},") == 94


def test_results_status_tells_the_total_and_the_account(capsys) -> None:
    assert main(["results", "status", "--json", "--results", str(RESULTS)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total"] == len(told["values"]) == 354
    assert sum(told["by_status"].values()) == 354
    assert main(["results", "status", "--results", str(RESULTS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("354 values of 5 papers")
    assert any(line.startswith("bag-of-tricks, Table 5") and "exact" in line for line in lines)


def test_every_table_that_a_paper_prints_is_declared() -> None:
    printed = {f"{value.paper}/{value.table}" for value in published()}
    assert printed == set(ABLATIONS)
