"""The commands that draw what runs and logs say: whose number is whose, and what is refused."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from log_excerpts import OLD_IMAGENET

from gluontricks.cli import main
from gluontricks.metrics import logit_gaps

PRINTED = "stitch-mixup/III/mixup/top1"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def lines(path: Path) -> list:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def refused(capsys, *words) -> str:
    assert main(["figures", *map(str, words)]) != 0
    return capsys.readouterr().err


def test_runs_logs_and_printed_values_are_series_of_their_own_label(
    finished, results, tmp_path, capsys
) -> None:
    run = finished("stitch-III-mixup", 0, top1=78.0)
    log = tmp_path / "author.log"
    log.write_text(OLD_IMAGENET)
    words = ["figures", "curves", run, log, "--published", PRINTED, "--out", tmp_path / "o",
             "--results", results, "--json"]  # fmt: skip
    assert main([*map(str, words)]) == 0
    written = [Path(name) for name in json.loads(capsys.readouterr().out)]
    assert [path.name for path in written] == ["curves.svg", "curves.csv"]
    rows = lines(written[1])
    labels = {row["series"]: row["label"] for row in rows}
    assert labels == {"stitch-III-mixup": "MEASURED-FULL", "author": "AUTHOR-LOG",
                      "+ mixup": "PAPER"}  # fmt: skip
    assert [row["top1"] for row in rows if row["label"] == "MEASURED-FULL"] == ["78"] * 4
    assert [row["epochs"] for row in rows if row["label"] == "MEASURED-FULL"] == list("1234")
    (paper,) = [row for row in rows if row["label"] == "PAPER"]
    assert (paper["source"], paper["top1"], paper["epochs"]) == (PRINTED, "79.1", "")


def test_a_record_of_a_log_says_what_is_not_to_be_trusted_in_the_curve(tmp_path, capsys) -> None:
    known = Path(__file__).resolve().parents[2] / "results"
    words = ["figures", "curves", "log-96a1f47a8a04aed3", "--out", tmp_path, "--results", known]
    assert main([*map(str, words)]) == 0
    said = capsys.readouterr().err
    assert said.startswith("note: log-96a1f47a8a04aed3: padded-validation")
    assert "training-accuracy" not in said, "no curve of that is drawn"


def test_what_is_not_to_be_trusted_in_a_log_is_said(tmp_path, results, capsys) -> None:
    log = tmp_path / "author.log"
    log.write_text(OLD_IMAGENET.replace("num_epochs=2", "num_epochs=3"))
    words = ["figures", "curves", log, "--out", tmp_path / "o", "--results", results]
    assert main([*map(str, words)]) == 0
    assert capsys.readouterr().err.startswith("note: author.log: ")


def test_seeds_of_one_recipe_are_one_curve_and_names_can_be_given(finished, tmp_path) -> None:
    runs = [finished("stitch-III-mixup", seed, top1=78.0 + seed) for seed in range(7)]
    out = tmp_path / "o"
    assert main(["figures", "curves", *map(str, runs), "--out", str(out)]) == 0
    assert {row["seed"] for row in lines(out / "curves.csv")} == set("0123456")
    assert main(["figures", "curves", *map(str, runs[:2]), "--names", "one", "two", "--name",
                 "pair", "--out", str(out)]) == 0  # fmt: skip
    assert {row["series"] for row in lines(out / "pair.csv")} == {"one", "two"}


def test_curves_that_cannot_be_drawn_are_refused(finished, results, tmp_path, capsys) -> None:
    run = finished("stitch-III-mixup", 0, top1=78.0)
    out = ("--out", tmp_path / "o", "--results", results)
    assert "no directory of a run" in refused(capsys, "curves", "nothing", *out)
    assert "needs a run or a log" in refused(capsys, "curves", *out)
    assert "needs --out" in refused(capsys, "curves", run)
    assert "holds no top5" in refused(capsys, "curves", run, "--metric", "top5", *out)
    assert "unknown printed value" in refused(capsys, "curves", run, "--published", "x", *out)
    assert "1 curves and 2 names" in refused(capsys, "curves", run, *out, "--names", "a", "b")
    assert "cannot be told apart" in refused(
        capsys, "curves", *[run] * 7, *out, "--names", *"abcdefg"
    )
    assert "no effect with gap" in refused(capsys, "gap", run, run, *out, "--metric", "top5")


def test_the_gap_is_the_largest_logit_minus_the_mean_of_the_others() -> None:
    logits = np.float32([[5, 1, 2, 3], [-1, -1, -1, -1], [0, 0, 8, -4]])
    assert logit_gaps(logits).tolist() == [3.0, 0.0, pytest.approx(8 + 4 / 3)]


def with_gaps(finished, recipe: str, centre: float, **changes) -> Path:
    """A run whose images have the gaps centre - 2 to centre + 2."""
    run = finished(recipe, 0, **changes)
    np.savez_compressed(run / "predictions.npz", gap=np.float32(centre + np.linspace(-2, 2, 401)))
    record = json.loads((run / "record.json").read_text())
    record["data"]["class_count"] = 10
    (run / "record.json").write_text(json.dumps(record))
    return run


def test_the_distributions_of_two_runs_stand_beside_the_theory(finished, tmp_path) -> None:
    plain = with_gaps(finished, "demo-digits-plain", 9.0)
    smooth = with_gaps(finished, "demo-digits-plain", 4.4, label_smoothing=0.1,
                       smoothing_form="gluoncv")  # fmt: skip
    out = tmp_path / "o"
    assert main(["figures", "gap", str(plain), str(smooth), "--out", str(out)]) == 0
    first, second = lines(out / "gap-summary.csv")
    assert (first["epsilon"], first["optimum"], first["images"]) == ("0", "", "401")
    assert float(first["mean"]) == pytest.approx(9)
    assert float(second["optimum of Eq. 5"]) == pytest.approx(math.log(9 * 0.9 / 0.1), abs=1e-4)
    assert float(second["optimum"]) == pytest.approx(math.log(91), abs=1e-4)
    bins = lines(out / "gap.csv")
    for name in ("no smoothing", "smoothing 0.1"):
        assert sum(int(row[f"images, {name}"]) for row in bins) == 401
    assert (float(bins[0]["low"]), float(bins[-1]["high"])) == (2.0, 11.0)
    assert (out / "gap.svg").read_bytes().startswith(b"<?xml")


def test_a_mixer_is_said_to_be_outside_the_theory(finished, tmp_path, capsys) -> None:
    plain = with_gaps(finished, "demo-digits-plain", 9.0)
    mixed = with_gaps(finished, "demo-digits-plain", 4.4, label_smoothing=0.1,
                      smoothing_form="gluoncv", mixup_type="mixup", mixup_alpha=0.2)  # fmt: skip
    assert main(["figures", "gap", str(plain), str(mixed), "--out", str(tmp_path / "o")]) == 0
    assert "its mixup_type is mixup" in capsys.readouterr().err


def test_runs_that_are_no_pair_are_refused(finished, tmp_path, capsys) -> None:
    plain = with_gaps(finished, "demo-digits-plain", 9.0)
    smooth = with_gaps(finished, "demo-digits-plain", 4.4, label_smoothing=0.1,
                       smoothing_form="paper")  # fmt: skip
    out = ("--out", tmp_path / "o")
    assert "smoothing is 0.1 in the first run" in refused(capsys, "gap", smooth, plain, *out)
    assert "needs a run without" in refused(capsys, "gap", plain, *out)
    np.savez_compressed(smooth / "predictions.npz", gap=np.zeros(3, np.float32))
    assert "401 and 3 images" in refused(capsys, "gap", plain, smooth, *out)
    np.savez_compressed(smooth / "predictions.npz", gap=np.full(401, np.nan, np.float32))
    assert "not finite" in refused(capsys, "gap", plain, smooth, *out)
    np.savez_compressed(smooth / "predictions.npz", predicted=np.zeros(3))
    assert "kept no gaps" in refused(capsys, "gap", plain, smooth, *out)
    (smooth / "predictions.npz").write_bytes(b"PK\x03\x04 torn")
    assert "kept no gaps" in refused(capsys, "gap", plain, smooth, *out)
