"""Figures of Bag of Tricks: their data against closed forms and the paper, their bytes."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gluontricks.errors import DataError, UsageError
from gluontricks.figures import bag_of_tricks, make
from gluontricks.figures.canvas import MATPLOTLIB, apart
from gluontricks.figures.diagrams import label, marked
from gluontricks.figures.layers import contract, from_rows, residual
from gluontricks.results import complexity, registry
from gluontricks.targets import optimal_gap, smooth_targets

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
SCRIPT = ROOT / "scripts" / "make_figures.py"
SVG = sorted((RESULTS / make.FOLDER).glob("*.svg"))
KEPT = complexity.load(RESULTS)
NETWORKS = {name: residual(from_rows(rows)) for name, rows in KEPT["layers"].items()}


def table(name: str) -> list:
    (picture,) = [p for p in make.all_figures(RESULTS) if p.name == f"bag-of-tricks-figure-{name}"]
    return list(csv.DictReader(io.StringIO(picture.csv)))


def labels(path) -> list:
    return [label(layer).replace("\n", ", ") for layer in path]


def test_the_schedules_are_the_papers_formulas() -> None:
    rows = {int(row["update"]): row for row in table("3a")}
    assert len(rows) == 120 * 5
    steps, warmup, total = 1251, 5 * 1251, 120 * 1251
    for update, row in rows.items():
        if update < warmup:
            cosine = step = 0.4 * (update + 1) / warmup
        else:
            turn = math.pi * (update - warmup) / (total - warmup)
            cosine = 0.5 * (1 + math.cos(turn)) * 0.4
            step = 0.4 * 0.1 ** sum(update >= epoch * steps for epoch in (30, 60, 90))
        assert float(row["cosine decay"]) == pytest.approx(cosine, rel=1e-5)
        assert float(row["step decay"]) == pytest.approx(step, rel=1e-5)


def test_cosine_is_half_the_peak_in_the_middle_and_a_step_falls_at_its_epoch() -> None:
    rows = {int(row["update"]): row for row in table("3a")}
    assert float(rows[int(62.5 * 1251)]["cosine decay"]) == pytest.approx(0.2, abs=1e-4)
    assert [rows[30 * 1251 + k]["step decay"] for k in (-1, 0)] == ["0.4", "0.04"]


@pytest.mark.parametrize(("classes", "printed"), [(10, 4.39), (1000, 9.10)])
def test_the_gap_at_a_tenth_is_the_papers(classes: int, printed: float) -> None:
    assert optimal_gap(classes, 0.1) == pytest.approx(math.log((classes - 1) * 0.9 / 0.1))
    assert round(optimal_gap(classes, 0.1), 2) == printed
    (row,) = [row for row in table("4a") if row["epsilon"] == "0.1"]
    assert float(row[f"gap of {classes} classes"]) == pytest.approx(printed, abs=0.005)


def test_the_gap_is_infinite_without_smoothing_and_0_where_all_classes_are_alike() -> None:
    assert optimal_gap(10, 0) == math.inf
    assert optimal_gap(10, 0.9) == pytest.approx(0, abs=1e-12)
    assert optimal_gap(10, 0.1, "gluoncv") == pytest.approx(math.log(91))


@pytest.mark.parametrize("form", ["paper", "gluoncv"])
def test_the_softmax_of_logits_with_the_gap_is_the_smoothed_target(form: str) -> None:
    import numpy as np

    logits = np.zeros(10)
    logits[3] = optimal_gap(10, 0.1, form)
    softmax = np.exp(logits) / np.exp(logits).sum()
    target = smooth_targets(np.array([3]), 10, epsilon=0.1, form=form)[0]
    assert softmax == pytest.approx(target, abs=1e-7)


def test_figure_one_is_the_papers_resnet_50() -> None:
    network = NETWORKS["resnet50_v1"]
    assert labels(network.stem) == ["7×7 conv, 64, stride 2", "3×3 max pool, stride 2"]
    assert [len(stage) for stage in network.stages] == [3, 4, 6, 3]
    assert [stage[-1].addition.channels for stage in network.stages] == [256, 512, 1024, 2048]
    first, second, _ = network.stages[3]
    assert labels(first.main) == ["1×1 conv, 512, stride 2", "3×3 conv, 512", "1×1 conv, 2048"]
    assert labels(first.shortcut) == ["1×1 conv, 2048, stride 2"]
    assert labels(second.main) == ["1×1 conv, 512", "3×3 conv, 512", "1×1 conv, 2048"]
    assert second.shortcut == ()
    assert labels(network.head) == ["7×7 avg pool", "dense, 1000"]


def test_figure_two_is_the_papers_three_tweaks() -> None:
    plain, b, c, d = NETWORKS.values()
    blocks = [network.stages[3][0] for network in (plain, b, c, d)]
    main = ["1×1 conv, 512", "3×3 conv, 512, stride 2", "1×1 conv, 2048"]
    assert [labels(block.main) for block in blocks[1:]] == [main] * 3
    assert labels(blocks[1].shortcut) == labels(blocks[0].shortcut)
    assert labels(d.stages[3][0].shortcut) == ["2×2 avg pool, stride 2", "1×1 conv, 2048"]
    deep = ["3×3 conv, 32, stride 2", "3×3 conv, 32", "3×3 conv, 64", "3×3 max pool, stride 2"]
    assert labels(c.stem) == labels(d.stem) == deep
    assert labels(b.stem) == labels(plain.stem)


def test_what_a_tweak_changed_is_marked() -> None:
    plain, b, c, d = NETWORKS.values()
    old, new = (network.stages[3][0] for network in (plain, b))
    assert [mark for _, mark in marked(new.main, old.main)] == [True, True, False]
    assert [mark for _, mark in marked(c.stem, b.stem)] == [True, True, True, False]
    shortcuts = (network.stages[3][0].shortcut for network in (d, c))
    assert [mark for _, mark in marked(*shortcuts)] == [True, True]


def test_the_data_of_a_diagram_are_all_layers() -> None:
    kinds = [row["kind"] for row in table("1")]
    assert kinds.count("convolution") == 53
    assert kinds.count("addition") == 16
    assert {row["model"] for row in table("2")} == set(NETWORKS)


def test_a_graph_with_another_operator_is_refused() -> None:
    nodes = [{"op": "null", "name": "data", "inputs": [], "attrs": {}},
             {"op": "SliceChannel", "name": "s", "inputs": [[0, 0, 0]], "attrs": {}}]  # fmt: skip
    with pytest.raises(UsageError, match="SliceChannel cannot be drawn"):
        contract({"nodes": nodes}, {1: (3, 8, 8)}, (3, 8, 8))


def test_figure_3b_shows_the_authors_final_accuracies_and_needs_their_logs() -> None:
    rows = table("3b")
    last = {row["series"]: row["top1"] for row in rows}
    assert last == {"step, batch 256": "75.484", "cosine, batch 1024": "76.5406"}
    assert {row["label"] for row in rows} == {"AUTHOR-LOG"}
    assert bag_of_tricks.validation([]) == []


def test_the_committed_figures_are_what_the_results_give() -> None:
    assert make.stale_figures(RESULTS) == []


def test_ci_compares_pictures_under_the_pinned_matplotlib() -> None:
    assert f"matplotlib=={MATPLOTLIB}" in (ROOT / "setup.py").read_text()


def test_figures_regenerate_byte_identically_in_a_new_process(tmp_path: Path) -> None:
    (tmp_path / complexity.FILE).write_bytes((RESULTS / complexity.FILE).read_bytes())

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(SCRIPT), "--results", str(tmp_path), *words]
        environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    assert run().returncode == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / make.FOLDER).iterdir()}
    assert len(written) == 10
    for picture in bag_of_tricks.pictures(KEPT, []):
        assert written[f"{picture.name}.svg"] == picture.draw()
    data = tmp_path / make.FOLDER / "bag-of-tricks-figure-4a.csv"
    data.write_text(data.read_text().replace("4.39445", "4.5"))
    stale = run("--check")
    assert stale.returncode == 1
    assert "stale: figures/bag-of-tricks-figure-4a.csv" in stale.stdout


def test_a_picture_with_other_bytes_is_stale_only_under_the_pinned_version(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / complexity.FILE).write_bytes((RESULTS / complexity.FILE).read_bytes())
    monkeypatch.setattr(make, "compares_svg", lambda: True)
    make.write_figures(tmp_path)
    picture = tmp_path / make.FOLDER / "bag-of-tricks-figure-4a.svg"
    picture.write_bytes(picture.read_bytes() + b"\n")
    assert make.stale_figures(tmp_path) == [picture.name]
    monkeypatch.setattr(make, "compares_svg", lambda: False)
    assert make.stale_figures(tmp_path) == []
    picture.unlink()
    assert make.stale_figures(tmp_path) == [picture.name]


@pytest.mark.parametrize("path", SVG, ids=lambda path: path.stem)
def test_a_picture_is_whole_and_names_no_date_and_no_version(path: Path) -> None:
    text = path.read_text()
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    used = set(re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert {one or other for one, other in used} <= ids
    assert "date" not in text.lower()
    assert MATPLOTLIB not in text


def test_figures_without_a_count_name_the_script_that_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"make_complexity\.py"):
        make.all_figures(tmp_path)


@pytest.mark.parametrize("places", [[1, 1, 1], [0, 0.1, 5], [9.9, 10, 10], [3, 1, 2.9, 2.95]])
def test_labels_keep_their_order_and_distance_inside_the_axes(places: list) -> None:
    moved = apart(places, 1.0, 0.0, 10.0)
    ranked = [y for _, y in sorted(zip(places, moved))]
    assert all(b - a >= 1 - 1e-9 for a, b in zip(ranked, ranked[1:]))
    assert min(moved) >= -1e-9
    assert max(moved) <= 10 + 1e-9


def test_labels_that_are_apart_stay() -> None:
    assert apart([5, 1, 8], 1.0, 0.0, 10.0) == [5, 1, 8]


def test_registry_of_the_results_knows_the_logs_of_figure_3b() -> None:
    known = {record["run_id"] for record in registry.load(RESULTS)}
    assert set(bag_of_tricks.LOGS) <= known
