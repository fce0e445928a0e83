"""What tables say of published values and baselines, in every format."""

from __future__ import annotations

import csv
import io
import re

import pytest
from scipy import stats

from gluontricks.recipes import ABLATIONS, published
from gluontricks.results.cells import FULL, REDUCED
from gluontricks.results.formats import tex, to_latex
from gluontricks.results.grids import Cell, Column, Grid
from gluontricks.results.rendering import render_table
from gluontricks.results.statistics import holm, sign_flip

THREE = ABLATIONS["stitch-mixup/III"]


def rows(records, name="stitch-mixup/III", label=FULL, metric="top1"):
    table = ABLATIONS[name]
    text = render_table(table, records, published(table.paper, table.table), label=label).csv
    lines = [r for r in csv.DictReader(io.StringIO(text)) if r["metric"] == metric]
    return {(r["row"], r["labels"]): r for r in lines if r["ours_mean"]}


def test_full_runs_are_judged_against_the_published_value_in_one_label_set(record) -> None:
    name = "stitch-III-baseline"
    values = (74.9, 74.95, 75.0)
    records = [record(f"{name}-coarse-as-run", s, v) for s, v in enumerate(values)]
    records += [record(name, s, v) for s, v in enumerate(values)]
    found = rows(records)
    judged = found["Baseline", "coarse-as-run"]
    assert judged["verdict"] == "reproduced"
    # 74.95 - 74.92, and the t interval of three values.
    half = stats.t.ppf(0.975, 2) * 0.05 / 3**0.5
    assert float(judged["to_published"]) == pytest.approx(0.03, abs=1e-4)
    assert float(judged["to_published_high"]) == pytest.approx(0.03 + half, abs=1e-4)
    fine = found["Baseline", "fine"]
    assert (fine["verdict"], fine["to_published"]) == ("", "")


def test_a_misprinted_value_is_not_what_its_row_is_judged_by(record) -> None:
    name = "stitch-II-nag-coarse-as-run"
    records = [record(name, s, v) for s, v in enumerate((74.9, 74.95, 75.0))]
    found = rows(records, "stitch-mixup/II")["NAG (Baseline)", "coarse-as-run"]
    assert found["published"] == "75.87"
    assert float(found["to_published"]) == pytest.approx(0.03, abs=1e-4)


def test_a_printed_deviation_of_four_runs_enters_the_comparison(record) -> None:
    records = [record("bag-6-resnet50d-smoothing", s, 78.3 + s / 10, status="completed")
               for s in range(3)]  # fmt: skip
    for one in records:
        one["data"].update(n_train=1_281_167, n_eval=50_000)
    found = rows(records, "bag-of-tricks/6")["ResNet-50-D, + label smoothing", "imagenet"]
    expected = stats.ttest_ind_from_stats(78.4, 0.1, 3, 78.37, 0.09, 4, equal_var=False)
    low, high = float(found["to_published_low"]), float(found["to_published_high"])
    assert low < 0 < high
    assert expected.pvalue > 0.05
    assert found["verdict"] == "reproduced"


def test_rows_are_compared_with_their_baseline_by_seed_and_corrected_within_the_table(
    record,
) -> None:
    base, cosine, smooth = (
        dict(enumerate(values))
        for values in (
            (75.0, 75.2, 74.9, 75.1, 75.3, 74.8), (76.0, 76.1, 76.0, 75.9, 76.4, 76.1),
            (75.1, 75.0, 75.0, 75.2, 75.1, 75.0),
        )
    )  # fmt: skip
    records = [
        record(f"stitch-III-{name}", s, v)
        for name, values in (("baseline", base), ("cosine", cosine), ("smoothing", smooth))
        for s, v in values.items()
    ]
    found = rows(records)
    line = found["+ cosine decay", "fine"]
    gaps = [cosine[s] - base[s] for s in base]
    others = [smooth[s] - base[s] for s in base]
    assert (line["baseline"], line["pairs"]) == ("Baseline", "6")
    assert float(line["to_baseline"]) == pytest.approx(sum(gaps) / 6, abs=1e-4)
    assert float(line["p_sign_flip"]) == sign_flip(gaps) == 0.03125
    family = holm({"cosine": sign_flip(gaps), "smooth": sign_flip(others)})
    assert float(line["p_sign_flip_holm"]) == pytest.approx(family["cosine"], abs=1e-6)
    welch = stats.ttest_ind(list(cosine.values()), list(base.values()), equal_var=False).pvalue
    assert float(line["p_welch"]) == pytest.approx(welch, abs=1e-6)
    assert found["Baseline", "fine"]["baseline"] == ""


def test_reduced_runs_have_a_table_of_their_own_without_verdicts_tests_or_published_values(
    record,
) -> None:
    records = [
        record(f"stitch-III-{name}-reduced", s, v + s)
        for name, v in (("baseline", 20.0), ("cosine", 30.0))
        for s in range(2)
    ]
    assert rows(records) == {}
    table = render_table(THREE, records, published("stitch-mixup", "III"), label=REDUCED)
    found = rows(records, label=REDUCED)
    assert set(found) == {("Baseline", "fine"), ("+ cosine decay", "fine")}
    line = found["+ cosine decay", "fine"]
    assert float(line["to_baseline"]) == 10.0
    empty = ("published", "verdict", "to_published", "p_sign_flip", "p_welch", "p_sign_flip_holm")
    assert [line[name] for name in empty] == [""] * len(empty)
    assert line["label"] == "MEASURED-REDUCED"
    assert line["protocol"] == "resnet20_v1, 12 epochs of 12,800 images, batch 32"
    heading = next(row for row in table.markdown.splitlines() if row.startswith("| row"))
    assert "top-1, published" not in heading
    assert "verdict" not in heading
    # The printed difference, 75.99 - 74.92, of labels that these runs did not have.
    assert "difference to baseline, published" in heading
    assert "| (+1.07) |" in table.markdown
    assert "; 2 pairs) |" in table.markdown
    assert "12,800 of the 50,000" in table.markdown


def test_a_reduced_table_has_every_row_of_its_protocol_and_says_what_did_not_run(record) -> None:
    made = record("stitch-II-nag-reduced", 0, 20.0)
    table = ABLATIONS["stitch-mixup/II"]
    text = render_table(table, [made], published("stitch-mixup", "II"), label=REDUCED).markdown
    for optimizer in ("Adam", "Nadam", "Adadelta", "RMSProp"):
        for labels in ("fine", "coarse"):
            assert f"| {optimizer} | {labels} | not run |" in text
    assert "coarse-as-run |" not in text
    assert render_table(table, [], (), label=REDUCED).csv.count("\n") == 1


def test_times_of_two_processors_are_not_pooled(record) -> None:
    records = [record("stitch-II-nag-reduced", seed, 20.0) for seed in range(3)]
    for made, cpu, seconds in zip(records, ("A", "A", "B"), (10.0, 20.0, 90.0)):
        made["hardware"].update(cpu=cpu, threads=1)
        made["budget"]["wall_s"] = 360 * seconds
        for epoch in made["epochs"]:
            epoch["seconds"] = seconds
    printed = published("stitch-mixup", "II")
    made = render_table(ABLATIONS["stitch-mixup/II"], records, printed, label=REDUCED)
    # 15 = (10 + 20) / 2 and 7.07 = 10 / sqrt(2); hours 1 and 2 have the median 1.5.
    assert "| 15.0 ± 7.1 (2 runs, A) |" in made.markdown
    assert "| 1.50 (A) |" in made.markdown
    assert "20.00 ± 0.00 (3 runs)" in made.markdown
    assert "; A, 1 thread; B, 1 thread; " in made.markdown


def test_full_runs_never_stand_in_a_reduced_table(record) -> None:
    table = render_table(THREE, [record("stitch-III-mixup")], (), label=REDUCED)
    assert "MEASURED-FULL" not in table.csv
    assert "79" not in "".join(table.csv.splitlines()[1:])


def test_every_number_leads_to_its_runs(record) -> None:
    made = record("stitch-III-mixup", 0, 78.0)
    markdown = render_table(THREE, [made], published("stitch-mixup", "III")).markdown
    assert f"](../index.html#run-{made['run_id']})" in markdown


def test_latex_has_as_many_cells_in_every_row_and_escapes_every_word(record) -> None:
    bad = record("stitch-III-mixup", 0, 78.0, engine=r"a&b_c%d$e#f{g}~^\h|<i>±")
    latex = render_table(THREE, [bad], published("stitch-mixup", "III")).latex
    body = latex.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
    shape = re.search(r"\\begin\{longtable\}\{([lr]+)\}", latex)[1]
    assert len(re.findall(r"(?<!\\)&", lines[0])) == len(shape) - 1
    assert len(re.findall(r"(?<!\\)\{", latex)) == len(re.findall(r"(?<!\\)\}", latex))
    text = re.sub(r"\$\\pm\$|\\[a-z]+|\\.|^%.*$", "", latex, flags=re.MULTILINE)
    assert not set(text) & set("#$%^_~\\")


def test_a_character_that_latex_takes_for_its_own_is_spelled_out() -> None:
    assert tex("5 % of a_b & c ± d") == r"5 \% of a\_b \& c $\pm$ d"
    columns = (Column("a"), Column("b", numeric=True))
    rows = ((Cell("x", 1), Cell("1", grey=True)),)
    grid = Grid("T", columns, rows, "c", ("note",), ("`code`",))
    text = to_latex(grid)
    assert r"x\textsuperscript{1} & \textit{1} \\" in text
    assert r"\begin{longtable}{lr}" in text
